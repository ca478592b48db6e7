# SPDX-License-Identifier: Apache-2.0
"""What meshes are made of: reflectances in [0, 1], lengths in metres."""

from __future__ import annotations

from typing import NamedTuple
from typing import Protocol

import numpy as np


class SurfacePoints(NamedTuple):
    """Points of one mesh: places (N, 3) in the frame of its texture, metres; the triangle (N,) of the mesh on which
    each lies, and its barycentric weights (N, 3) there."""

    places: np.ndarray
    faces: np.ndarray
    weights: np.ndarray


class Look(NamedTuple):
    """What points do with light: albedo (N, 3) diffuse; gloss (N, 3) specular reflectance at normal incidence;
    roughness (N,) 0 a mirror, 1 chalk; relief (N,) how far they stand out of the mesh, metres."""

    albedo: np.ndarray
    gloss: np.ndarray
    roughness: np.ndarray
    relief: np.ndarray


class Material(Protocol):
    """What a mesh is made of."""

    scatters: bool
    """Whether light travels in it, as in skin."""

    def look(self, points: SurfacePoints) -> Look: ...
