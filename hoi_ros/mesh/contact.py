# SPDX-License-Identifier: Apache-2.0
"""The distance between two surfaces, and when they touch."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from hoi_ros.mesh.nearest import nearest_points
from hoi_ros.mesh.splitting import parts_for_search

TOUCHING = 0.004
"""Metres within which two surfaces are in contact, as in the contact labels of HO-3D (Hampali et al., CVPR 2020). The
one threshold of the package: estimates, messages and the simulated truth."""
_MEASURED = 24
"""Points whose distance to the mesh is measured exactly at a time: the deepest, or the nearest, by the distance to the
nearest vertex or middle of a triangle or of a part of it."""
_EDGES = ((0, 1), (1, 2), (2, 0))


def mutual_gap(first: np.ndarray, first_faces: np.ndarray, second: np.ndarray, second_faces: np.ndarray) -> float:
    """Least signed distance of two closed meshes, metres: the lesser `surface_gap` of one's vertices to the other."""
    return min(surface_gap(first, second, second_faces), surface_gap(second, first, first_faces))


def surface_gap(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> float:
    """Least signed distance from points to a closed mesh; below 0, the depth of the deepest point inside it.

    A point is inside where the mesh winds around it. Normals play no part, so that the mesh may have folds.

    Args:
        points: (N, 3) metres.
        vertices: (M, 3) metres.
        faces: (F, 3) counter-clockwise from outside.
    """
    if deepest := depth(points, vertices, faces):
        return -deepest
    corners = vertices[faces]
    centres = corners.mean(1)
    parts, _ = parts_for_search(corners)
    middles = parts.mean(1)
    rough = _to_nearest(points, np.concatenate([middles, vertices]))
    # A point is nearer to the mesh than to the middles of its parts by this at most.
    slack = float(np.sqrt(((parts - middles[:, None]) ** 2).sum(-1).max(initial=0)))
    order, least = np.argsort(rough), np.inf
    for first in range(0, len(order), _MEASURED):
        if rough[order[first]] - slack >= least:
            break
        batch = points[order[first : first + _MEASURED]]
        least = min(least, float(_distances(batch, corners, centres).min()))
    return least


def depth(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> float:
    """Depth of the deepest of points inside a closed mesh, metres; 0 where none is inside. Arguments as of
    `surface_gap`."""
    near = points[((points > vertices.min(0)) & (points < vertices.max(0))).all(1)]
    inside = near[winding(near, vertices, faces) != 0]
    if not len(inside):
        return 0.0
    corners = vertices[faces]
    centres = corners.mean(1)
    # No point is deeper than by its rough distance.
    rough = _to_nearest(inside, np.concatenate([centres, vertices]))
    order = np.argsort(-rough)
    deepest = 0.0
    for first in range(0, len(order), _MEASURED):
        if rough[order[first]] <= deepest:
            break
        batch = inside[order[first : first + _MEASURED]]
        deepest = max(deepest, float(_distances(batch, corners, centres).max()))
    return deepest


def _to_nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) distances of points (N, 3) to the nearest of others (M, 3), metres."""
    return np.linalg.norm(points - others[nearest_points(points, others)], axis=1)


def touched(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(N,) whether points are inside a closed mesh or within `TOUCHING` of it.

    Args:
        points: (N, 3) metres.
        vertices: (M, 3) metres.
        faces: (F, 3) counter-clockwise from outside.
    """
    corners = vertices[faces]
    touches = ((points > vertices.min(0) - TOUCHING) & (points < vertices.max(0) + TOUCHING)).all(1)
    near = points[touches]
    inside = winding(near, vertices, faces) != 0
    inside[~inside] = _distances(near[~inside], corners, corners.mean(1)) <= TOUCHING
    touches[touches] = inside
    return touches


def _distances(points: np.ndarray, corners: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(N,) distances of points (N, 3) to triangles (F, 3, 3) with centres (F, 3), metres."""
    reach = np.sqrt(((corners - centres[:, None]) ** 2).sum(-1).max(1))
    to_centres = cdist(points, centres)
    # A triangle that is nearest is no farther than the nearest centre.
    point, triangle = np.nonzero(to_centres - reach <= to_centres.min(1, keepdims=True))
    distances = np.full(len(points), np.inf)
    np.minimum.at(distances, point, triangle_distances(points[point], corners[triangle]))
    return distances


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
    turn, height = crossings(np.stack([x, y, z]))
    turns = np.zeros(len(points), int)
    turns[order] = np.bincount(point, turn * (height > 0), len(points))
    return turns


def crossings(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How vertical lines cross triangles.

    Args:
        corners: (3, 3, N) x, y and z of the three corners of a triangle for each line, about a point on the line.

    Returns:
        (N,) ints: 1 where a line crosses a triangle that faces upwards, −1 downwards, 0 where it passes by; and (N,)
        height of the crossing above the point times twice the triangle's area in x and y.
    """
    x, y, z = corners
    # Twice the area between the point and each edge, in the plane of x and y. Two triangles with a common edge have
    # exactly opposite values there, so that no ray passes between them.
    first_area, second_area, third_area = (x[i] * y[j] - y[i] * x[j] for i, j in _EDGES)
    left, second_left, third_left = (
        _left(area, x[i], y[i], x[j], y[j])
        for area, (i, j) in zip((first_area, second_area, third_area), _EDGES, strict=True)
    )
    around = (left == second_left) & (left == third_left)
    turn = np.where(left, 1, -1) * around
    # The triangle's height above the point is the mean of its corners', each weighted by the area of the opposite edge.
    return turn, (first_area * z[2] + second_area * z[0] + third_area * z[1]) * turn


def _left(area: np.ndarray, x: np.ndarray, y: np.ndarray, to_x: np.ndarray, to_y: np.ndarray) -> np.ndarray:
    """(N,) whether points lie left of directed edges, from twice the signed areas (N,) and the edges' ends (N,).

    A point on an edge counts as moved by a little along x and by much less along y, so that it is left of the edge in
    one of its two triangles.
    """
    left = area > 0
    on = np.flatnonzero(area == 0)
    if len(on):
        left[on] = (y[on] > to_y[on]) | ((y[on] == to_y[on]) & (to_x[on] > x[on]))
    return left


def _least(corners: np.ndarray) -> np.ndarray:
    """(F,) the least of three rows (3, F)."""
    return np.minimum(np.minimum(corners[0], corners[1]), corners[2])


def triangle_distances(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(...) distances of points (..., 3) to triangles (..., 3, 3), metres."""
    return np.linalg.norm(points - nearest_on_triangles(points, corners), axis=-1)


def nearest_on_triangles(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(..., 3) nearest points of triangles (..., 3, 3) to points (..., 3), metres."""
    # Coordinates first, then corners: sums over a last axis of three are slow.
    point = np.ascontiguousarray(np.moveaxis(points, -1, 0))
    corner = np.ascontiguousarray(np.moveaxis(corners, (-1, -2), (0, 1)))
    edge, offset = corner[:, [1, 2, 0]] - corner, point[:, None] - corner
    along = (offset * edge).sum(0) / np.maximum((edge * edge).sum(0), 1e-18)
    from_edges = offset - np.minimum(np.maximum(along, 0), 1) * edge
    nearest = (from_edges * from_edges).sum(0).argmin(0)
    to_edge = np.take_along_axis(from_edges, nearest[None, None], 1)[:, 0]
    normal = _cross(edge[:, 0], edge[:, 1])
    normal = normal / np.maximum(np.sqrt((normal * normal).sum(0)), 1e-18)
    # Over a triangle without area there is no point.
    over = ((_cross(edge, offset) * normal[:, None]).sum(0) >= 0).all(0) & normal.any(0)
    height = (offset[:, 0] * normal).sum(0)
    return points - np.moveaxis(np.where(over, height * normal, to_edge), 0, -1)


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cross product of vectors (3, ...)."""
    (a, b, c), (x, y, z) = first, second
    return np.stack([b * z - c * y, c * x - a * z, a * y - b * x])
