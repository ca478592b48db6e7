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
    extent = vertices.max(0) - vertices.min(0)
    axes = np.roll(range(3), -int(extent.argmax()))
    middle = vertices.mean(0)
    points = (points - middle)[:, axes]
    x, y, z = (vertices - middle).T[axes][:, faces.T]
    # Pairs of a triangle and a point that is within its extent along x, then along y.
    order = np.argsort(points[:, 0])
    first, last = np.searchsorted(points[order, 0], [x.min(0), x.max(0)])
    counts = last - first
    triangle = np.repeat(np.arange(len(faces)), counts)
    point = order[np.arange(len(triangle)) + np.repeat(first - (counts.cumsum() - counts), counts)]
    height = points[point, 1]
    kept = (height >= y.min(0)[triangle]) & (height <= y.max(0)[triangle])
    triangle, point = triangle[kept], point[kept]
    x, y, z = x[:, triangle] - points[point, 0], y[:, triangle] - points[point, 1], z[:, triangle] - points[point, 2]
    # Twice the area between the point and each edge, in the plane of x and y. Two triangles with a common edge have
    # exactly opposite values there, so that no ray passes between them.
    areas = x * np.roll(y, -1, 0) - y * np.roll(x, -1, 0)
    left = areas > 0
    turn = np.where(left.all(0), 1, np.where(left.any(0), 0, -1))
    # The triangle's height above the point is the mean of its corners', each weighted by the area of the opposite edge.
    above = (areas * np.roll(z, 1, 0)).sum(0) * turn > 0
    return np.bincount(point, turn * above, len(points)).astype(int)


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
