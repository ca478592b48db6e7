# SPDX-License-Identifier: Apache-2.0
"""Interface of materials: points of a mesh → their optical properties. Reflectances in [0, 1], lengths in metres."""

from __future__ import annotations

from typing import NamedTuple
from typing import Protocol

import numpy as np


class SurfacePoints(NamedTuple):
    """Points of one mesh: places (N, 3) in the frame of its texture, metres; `faces` (N,), their triangles, and
    barycentric weights (N, 3) in them; unit normals (N, 3) in the camera's frame; spacing (N,), the distance to the
    point of a neighbouring pixel, metres."""

    places: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    normals: np.ndarray
    spacing: np.ndarray


class Look(NamedTuple):
    """Optical properties of points: albedo (N, 3), diffuse; gloss (N, 3), specular reflectance at normal incidence;
    roughness (N,), 0 a mirror, 1 chalk; relief (N,), height above the mesh in metres."""

    albedo: np.ndarray
    gloss: np.ndarray
    roughness: np.ndarray
    relief: np.ndarray


class Material(Protocol):
    """The material of a mesh."""

    scatters: bool
    """Whether light scatters below the surface, as in skin."""

    def look(self, points: SurfacePoints) -> Look: ...
