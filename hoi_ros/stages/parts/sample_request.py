# SPDX-License-Identifier: Apache-2.0
"""What the two-hand prior is asked for, and what it answers."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from hoi_ros.hand.estimates import HandEstimate


@dataclasses.dataclass(frozen=True)
class SampleRequest:
    """A request for hands."""

    count: int
    """Number of samples, 1 or more."""
    seed: int
    """The same seed and request give the same samples."""
    side: Literal['left', 'right', 'both'] = 'both'
    """A hand of that side, or pairs."""
    anchor: HandEstimate | None = None
    """A hand that stays, in the frame of the answer; `side` is that of the other hand, or 'both', which gives the
    anchor back in each sample."""
    object_vertices: np.ndarray | None = None
    """(M, 3) of an object that the hands hold, metres, in the frame of the answer; None without one."""
    object_faces: np.ndarray | None = None
    """(F, 3) counter-clockwise from outside."""
    guidance: float = 0.1
    """Strength of the classifier-free guidance."""
    anti_penetration: float = 4.0
    """Strength of the guidance against penetration."""
    first: int = 0
    """Number of the first sample of the seed."""


@dataclasses.dataclass(frozen=True)
class HandSamples:
    """The answer: N samples."""

    hands: list[list[HandEstimate]]
    """The hands of each, left first."""
    scores: np.ndarray
    """(N,) plausibility, 0 to 1."""
    intersections: np.ndarray
    """(N,) volume that both hands share, m³; 0 for one hand."""


@dataclasses.dataclass(frozen=True)
class HandInteraction:
    """What became of two hands of one image."""

    regularised: bool
    """Whether they were moved."""
    reason: str = ''
    """Why not; of moved hands, which of them was misplaced, if one was."""
    left_id: int = 0
    right_id: int = 0
    """Their tracks; 0 if there are no two hands of different sides."""
    gap: float = float('nan')
    """Least distance of their surfaces as they came, metres, negative where one passes into the other; NaN if there are
    no two hands of different sides."""
    intersection_before: float = 0.0
    intersection_after: float = 0.0
    """Volume that they share, m³."""
