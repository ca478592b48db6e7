# SPDX-License-Identifier: Apache-2.0
"""The distribution of scenes."""

from __future__ import annotations

import dataclasses

SPLITS = {'train': 0, 'validation': 1, 'test': 2}


@dataclasses.dataclass(frozen=True)
class SceneConfig:
    """What the scenes contain."""

    hands: tuple[float, float, float] = (0.0, 0.7, 0.3)
    """Probability of 0, 1 and 2 hands."""
    nearest: float = 0.25
    farthest: float = 1.2
    """Depth of the hands' centres, metres."""
    person: float = 0.5
    """Probability of a visible body at an arm."""
    table: float = 0.5
    wall: float = 0.7
    clutter: float = 4.0
    """Mean number of other objects."""
    held: float = 0.25
    """Probability of an object in or at a hand."""
    width: int = 640
    height: int = 480
