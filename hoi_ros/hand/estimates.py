# SPDX-License-Identifier: Apache-2.0
"""What the stages are told and what they find: regions, hands, and the objects in them."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

LocatedBy = Literal['depth', 'hand_size']
"""Where a hand's distance comes from: a depth image, or how large a hand of its shape looks."""


@dataclasses.dataclass(frozen=True)
class Region:
    """Where a hand is, in pixels; `side` 'left' or 'right' where it is known."""

    x: float
    y: float
    width: float
    height: float
    side: str | None = None


@dataclasses.dataclass(frozen=True)
class ObjectEstimate:
    """What a hand holds, in the camera's optical frame, metres."""

    score: float
    """Probability that the hand holds something."""
    vertices: np.ndarray
    """(M, 3); the faces are the stage's `object_faces`."""
    position: np.ndarray
    """(3,) centre of the oriented box around the mesh."""
    orientation: np.ndarray
    """(4,) the box's axes as a quaternion x, y, z, w; the longest side lies along z, the shortest along x."""
    size: np.ndarray
    """(3,) the box's sides along its x, y and z."""
    gap: float
    """Least distance from the hand's mesh to the object's; below 0 the deepest that a hand's vertex lies inside."""
    touching: bool
    """Whether the two are in contact: within 4 mm, or inside each other."""


@dataclasses.dataclass(frozen=True)
class HandEstimate:
    """One hand in the camera's optical frame, metres.

    pose (48,), shape (10,), translation (3,) and vertices (V, 3) belong to the hand model of `side`; joints is
    (21, 3), joint_scores (21,) the probability that a joint is within 2 cm; score the probability that this is a
    hand, side_score (0.5 to 1) that its side is the right one; track_id stays while the hand is followed.
    """

    side: str
    track_id: int
    score: float
    joints: np.ndarray
    joint_scores: np.ndarray
    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    vertices: np.ndarray
    located_by: LocatedBy = 'depth'
    held: ObjectEstimate | None = None
    side_score: float = 1.0
