# SPDX-License-Identifier: Apache-2.0
"""The shape of one object."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np


@dataclasses.dataclass(frozen=True)
class Texture:
    """The colours of a scanned object.

    Attributes:
        image: file of the picture.
        vertices: (T,) the vertex of the shape that each corner with a place of its own stands on.
        faces: (F, 3) int32, the shape's triangles as corners.
        places: (T, 2) places of the corners in the picture, right and up from its lower left, 0 to 1.
    """

    image: Path
    vertices: np.ndarray
    faces: np.ndarray
    places: np.ndarray


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
