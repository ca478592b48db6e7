# SPDX-License-Identifier: Apache-2.0
"""What the scenes of a set contain."""

from __future__ import annotations

import dataclasses

SPLITS = {'train': 0, 'validation': 1, 'test': 2}


@dataclasses.dataclass(frozen=True)
class SceneConfig:
    """What the scenes are made of."""

    hands: tuple[float, float, float] = (0.0, 0.7, 0.3)
    """Probability of 0, 1 and 2 hands."""
    nearest: float = 0.25
    farthest: float = 1.2
    """Depth of the hands' centres, metres."""
    person: float = 0.5
    """Probability that the arm belongs to a visible body."""
    table: float = 0.5
    wall: float = 0.7
    clutter: float = 4.0
    """Mean number of things that stand about."""
    held: float = 0.25
    """Probability that something is in or at the hand."""
    width: int = 640
    height: int = 480
