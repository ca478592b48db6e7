# SPDX-License-Identifier: Apache-2.0
"""Least distance of the surfaces of two hands, fast enough for every frame."""

from __future__ import annotations

import numpy as np

from hoi_ros.mesh.contact import triangle_distances
from hoi_ros.stages.parts.hand_separation import HandSeparation
from hoi_ros.stages.parts.hand_separation import HandSurfaces
from hoi_ros.stages.parts.hand_separation import nearest_of

_MEASURED = 12
"""Vertices whose distance to the other surface is measured, those nearest to a vertex of it."""


def hand_gap(right: HandSurfaces, left: HandSurfaces, faces: np.ndarray, separation: HandSeparation) -> float:
    """Metres between a right and a left hand, (1, V, 3) each; below 0, the depth of the deepest vertex of one in the
    other. Vertices of the right hand are measured to the left one's triangles (F, 3)."""
    depth = float(separation.penetration(right, left).depths.max())
    if depth > 0:
        return -depth
    points, targets = right.vertices[0], left.vertices[0]
    nearest = nearest_of(points, targets)
    rough = ((points - targets[nearest]) ** 2).sum(1)
    some = np.argpartition(rough, _MEASURED)[:_MEASURED]
    around = np.flatnonzero(np.isin(faces, _ring(faces, nearest[some])).any(1))
    return float(triangle_distances(points[some, None], targets[faces[around]][None]).min())


def _ring(faces: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """The vertices that share a triangle with some."""
    return np.unique(faces[np.isin(faces, vertices).any(1)])
