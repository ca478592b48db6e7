# SPDX-License-Identifier: Apache-2.0
"""The shape of one object."""

from __future__ import annotations

import dataclasses

import numpy as np

from training.data.hand_object import Texture


@dataclasses.dataclass(frozen=True)
class ObjectShape:
    """A watertight triangle mesh in the object's own frame: origin in the middle of its bounding box, z up."""

    family: str
    vertices: np.ndarray
    """(M, 3) float32, metres."""
    faces: np.ndarray
    """(F, 3) int32, counter-clockwise from outside."""
    texture: Texture | None = None
    """Of a scanned object."""

    @property
    def extents(self) -> np.ndarray:
        """(3,) sides of the bounding box in the object's own frame, metres."""
        return np.ptp(self.vertices, axis=0)
