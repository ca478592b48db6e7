# SPDX-License-Identifier: Apache-2.0
"""The distance between two surfaces, and when they touch."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from hoi_ros.mesh.normals import cross

TOUCHING = 0.004
"""Metres within which two surfaces are in contact, as in the contact labels of HO-3D (Hampali et al., CVPR 2020). The
one threshold of the package: estimates, messages and the simulated truth."""
_MEASURED = 24
"""Points whose distance to the mesh is measured exactly: those that are deepest, or nearest, by the distance to the
nearest vertex or centre of a triangle."""
_NEAREST = 16
"""Vertices and centres next to such a point whose triangles it is measured against."""


def surface_gap(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> float:
    """Least signed distance from points to a closed mesh; below 0, the depth of the deepest point inside it.

    A point is inside where the mesh winds around it. Normals play no part, so that the mesh may have folds.

    Args:
        points: (N, 3) metres.
        vertices: (M, 3) metres.
        faces: (F, 3) counter-clockwise from outside.
    """
    near = points[((points > vertices.min(0)) & (points < vertices.max(0))).all(1)]
    inside = near[winding(near, vertices, faces) != 0]
    sign, candidates = (-1, inside) if len(inside) else (1, points)
    corners = vertices[faces]
    tree = cKDTree(np.concatenate([(corners[:, 0] + corners[:, 1] + corners[:, 2]) / 3, vertices]))
    # A triangle of each centre and of each vertex.
    triangle_of = np.concatenate([np.arange(len(faces)), np.zeros(len(vertices), int)])
    triangle_of[len(faces) + faces.ravel()] = np.repeat(np.arange(len(faces)), 3)
    if len(candidates) > _MEASURED:
        rough = tree.query(candidates)[0]
        candidates = candidates[np.argpartition(sign * rough, _MEASURED)[:_MEASURED]]
    nearest = tree.query(candidates, min(_NEAREST, len(triangle_of)))[1]
    distances = triangle_distances(candidates[:, None], corners[triangle_of[nearest]]).min(1)
    return float((sign * distances).min())


def winding(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(N,) how often a closed mesh winds around points, from the triangles above each point.

    Args:
        points: (N, 3) metres.
        vertices: (M, 3) metres.
        faces: (F, 3) counter-clockwise from outside.
    """
    # With x along the longest extent of the mesh, few points are within the extent of a triangle.
    axes = np.roll(range(3), -int((vertices.max(0) - vertices.min(0)).argmax()))
    middle = vertices.mean(0)
    order = points[:, axes[0]].argsort()
    point_x, point_y, point_z = np.ascontiguousarray((points[order] - middle)[:, axes].T, np.float32)
    x, y, z = np.ascontiguousarray((vertices - middle)[:, axes].T, np.float32)[:, faces.T]
    # Pairs of a triangle and a point that is within its extent along x, then along y.
    first, last = point_x.searchsorted(_least(x)), point_x.searchsorted(-_least(-x))
    counts = last - first
    triangle = np.arange(len(faces), dtype=np.int32).repeat(counts)
    shift = (first - (counts.cumsum() - counts)).astype(np.int32)
    point = np.arange(len(triangle), dtype=np.int32) + shift.repeat(counts)
    beside = point_y[point]
    kept = np.flatnonzero((beside >= _least(y)[triangle]) & (beside <= -_least(-y)[triangle]))
    triangle, point = triangle[kept], point[kept]
    x, y, z = x[:, triangle] - point_x[point], y[:, triangle] - point_y[point], z[:, triangle] - point_z[point]
    # Twice the area between the point and each edge, in the plane of x and y. Two triangles with a common edge have
    # exactly opposite values there, so that no ray passes between them.
    first_area, second_area, third_area = (x[i] * y[j] - y[i] * x[j] for i, j in ((0, 1), (1, 2), (2, 0)))
    left = first_area > 0
    around = (left == (second_area > 0)) & (left == (third_area > 0))
    turn = np.where(left, 1, -1) * around
    # The triangle's height above the point is the mean of its corners', each weighted by the area of the opposite edge.
    above = (first_area * z[2] + second_area * z[0] + third_area * z[1]) * turn > 0
    turns = np.zeros(len(points), int)
    turns[order] = np.bincount(point, turn * above, len(points))
    return turns


def _least(corners: np.ndarray) -> np.ndarray:
    """(F,) the least of three rows (3, F)."""
    return np.minimum(np.minimum(corners[0], corners[1]), corners[2])


def triangle_distances(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(...) distances of points (..., 3) to triangles (..., 3, 3), metres."""
    edges = np.roll(corners, -1, -2) - corners
    offset = points[..., None, :] - corners
    length = np.maximum((edges**2).sum(-1, keepdims=True), 1e-18)
    along = np.clip((offset * edges).sum(-1, keepdims=True) / length, 0, 1)
    to_edges = np.linalg.norm(offset - along * edges, axis=-1).min(-1)
    normal = cross(edges[..., 0, :], edges[..., 1, :])
    normal = normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-18)
    over = ((cross(edges, offset) * normal[..., None, :]).sum(-1) >= 0).all(-1)
    return np.where(over, np.abs((offset[..., 0, :] * normal).sum(-1)), to_edges)
