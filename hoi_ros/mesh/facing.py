# SPDX-License-Identifier: Apache-2.0
"""The place on a mesh that a surface beside it presses on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from hoi_ros.mesh.contact import nearest_on_triangles
from hoi_ros.mesh.normals import face_normals
from hoi_ros.mesh.splitting import parts_for_search

_FACING = 0.005
"""Distance that a triangle facing away may be nearer than one that faces the point, metres, as a unit of the difference
of their normals: through a thin plate the far side is nearer to skin that presses into it."""
_NEAREST = 16
"""Parts of triangles whose triangles are measured for each point."""


class Places(NamedTuple):
    """Places on a mesh.

    Attributes:
        points: (N, 3) metres.
        inward: (N, 3) unit normals into the mesh.
        distances: (N,) metres, not signed.
        triangles: (N,) rows of its faces.
    """

    points: np.ndarray
    inward: np.ndarray
    distances: np.ndarray
    triangles: np.ndarray


def facing_places(
    points: np.ndarray, normals: np.ndarray, vertices: np.ndarray, faces: np.ndarray, reach: float
) -> Places:
    """The nearest places of a mesh that face points of another surface.

    Of a mesh without a triangle within reach, the places are NaN and their distances infinite.

    Args:
        points: (N, 3) metres.
        normals: (N, 3) outward unit normals of the other surface.
        vertices: (M, 3) metres.
        faces: (F, 3) counter-clockwise from outside.
        reach: triangles farther than this from the box around the points are left out, metres.
    """
    nowhere = np.full((len(points), 3), np.nan)
    missed = Places(nowhere, nowhere, np.full(len(points), np.inf), np.zeros(len(points), int))
    if not len(points):
        return missed
    corners = vertices[faces]
    low, high = points.min(0) - reach, points.max(0) + reach
    near = np.flatnonzero(((corners.max(1) >= low) & (corners.min(1) <= high)).all(1))
    across = face_normals(vertices, faces[near])
    length = np.linalg.norm(across, axis=1)
    near, across = near[length > 0], across[length > 0] / length[length > 0, None]
    if not len(near):
        return missed
    parts, parents = parts_for_search(corners[near])
    described = np.concatenate([parts.mean(1), _FACING * across[parents]], 1)
    count = min(_NEAREST, len(parts))
    rows = cKDTree(described).query(np.concatenate([points, -_FACING * normals], 1), count)[1].reshape(-1, count)
    found = parents[rows]
    nearest = nearest_on_triangles(points[:, None], corners[near[found]])
    squared = ((points[:, None] - nearest) ** 2).sum(-1)
    apart = ((across[found] + normals[:, None]) ** 2).sum(-1)
    best = (squared + _FACING**2 * apart).argmin(1)[:, None]
    chosen = np.take_along_axis(found, best, 1)[:, 0]
    return Places(
        np.take_along_axis(nearest, best[..., None], 1)[:, 0],
        -across[chosen],
        np.sqrt(np.take_along_axis(squared, best, 1)[:, 0]),
        near[chosen],
    )
