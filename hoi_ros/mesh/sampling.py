# SPDX-License-Identifier: Apache-2.0
"""Evenly spaced points on a triangle mesh, without chance; NumPy only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hoi_ros.mesh.normals import face_normals

_CELLS = 1 << 10
"""Cells along each side of the bounding box that order the triangles."""
_ORDERS = np.array([[2, 0, 1], [1, 2, 0], [0, 1, 2]])
"""Which of start, apex and end each corner is, where the longest edge, from end to start, is 0-1, 1-2 or 2-0."""


class SurfacePlaces(NamedTuple):
    """Places on a triangle mesh, valid for every mesh of the same topology.

    Attributes:
        triangles: (N,) int64 indices of faces.
        weights: (N, 3) barycentric weights of the triangle's corners.
    """

    triangles: np.ndarray
    weights: np.ndarray

    def points(self, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """(..., N, 3) the places on meshes of vertices (..., V, 3) and faces (F, 3)."""
        corners = vertices[..., faces[self.triangles], :]
        return (corners * self.weights[..., None].astype(corners.dtype)).sum(-2)

    def normals(self, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """(N, 3) unit normals of the triangles, outwards where faces run counter-clockwise from outside; 0 where a
        triangle has no area.

        Args:
            vertices: (V, 3) metres.
            faces: (F, 3) vertex indices.
        """
        normals = face_normals(vertices, faces[self.triangles])
        # Dividing by the largest component first keeps the squares of tiny triangles above the smallest number.
        normals = normals / np.maximum(np.abs(normals).max(1, keepdims=True), 1e-30)
        return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)


def even_places(vertices: np.ndarray, faces: np.ndarray, count: int) -> SurfacePlaces:
    """Spreads places over a mesh: the same number on equal areas.

    A curve runs through all triangles, one next to the other, and fills each of them by halving it at its longest edge
    (the curve of Sierpiński); places follow each other on it at equal steps of area. The result depends on nothing
    else, and triangles without area get no place.

    Args:
        vertices: (V, 3) metres.
        faces: (F, 3) vertex indices.
        count: number of places.

    Raises:
        ValueError: the mesh has no area, or a vertex of it is not finite.
    """
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces)
    x, y, z = face_normals(vertices, faces).T
    doubled = np.sqrt(x * x + y * y + z * z)
    if not np.isfinite(doubled).all():
        broken = int((~np.isfinite(doubled)).sum())
        raise ValueError(f'{broken} of {len(faces)} triangles have corners that are not finite')
    order = _along_surface(vertices[faces[:, 0]] + vertices[faces[:, 1]] + vertices[faces[:, 2]])
    reached = doubled[order].cumsum()
    if len(reached) == 0 or reached[-1] <= 0:
        raise ValueError(
            f'a mesh of {len(vertices)} vertices and {len(faces)} triangles has no area to spread points on'
        )
    wanted = (np.arange(count) + 0.5) * (reached[-1] / count)
    position = np.minimum(reached.searchsorted(wanted, side='right'), len(order) - 1)
    triangles = order[position]
    share = 1 - (reached[position] - wanted) / np.maximum(doubled[triangles], 1e-300)
    return SurfacePlaces(triangles, _inside(vertices[faces[triangles]], np.clip(share, 0, 1)))


def _along_surface(centres: np.ndarray) -> np.ndarray:
    """(F,) an order of points (F, 3) in which neighbours follow each other: that of Morton's interleaved numbers."""
    low = centres.min(0, initial=np.inf)
    side = max(float((centres.max(0, initial=-np.inf) - low).max()), 1e-300)
    code = np.zeros(len(centres), np.uint32)
    for axis in range(3):
        cells = np.minimum((centres[:, axis] - low[axis]) * (_CELLS / side), _CELLS - 1).astype(np.uint32)
        for shift, mask in ((16, 0x30000FF), (8, 0x300F00F), (4, 0x30C30C3), (2, 0x9249249)):
            cells = (cells | cells << shift) & mask
        code |= cells << axis
    return np.argsort(code, kind='stable')


def _inside(corners: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(N, 3) barycentric weights of the places where the curve through triangles (N, 3, 3) has passed a share (N,)."""
    edges = ((np.roll(corners, -1, 1) - corners) ** 2).sum(-1)
    part = np.minimum((share * len(_PARTS) ** 2).astype(int), len(_PARTS) ** 2 - 1)
    large, small = np.divmod(part, len(_PARTS))
    weights = np.einsum('nk,nki->ni', _PARTS.sum(1)[small], _PARTS[large]) / 3
    return np.take_along_axis(weights, _ORDERS[edges.argmax(1)], 1)


def _parts(halvings: int) -> np.ndarray:
    """(2 ** halvings, 3, 3) start, apex and end of the parts of a triangle along the curve, as weights of its own."""
    halves = np.array([[[1, 0, 0], [0.5, 0, 0.5], [0, 1, 0]], [[0, 1, 0], [0.5, 0, 0.5], [0, 0, 1]]])
    parts = np.eye(3)[None]
    for _ in range(halvings):
        parts = (halves @ parts[:, None]).reshape(-1, 3, 3)
    return parts


_PARTS = _parts(8)
"""A triangle is halved twice eight times to find a place in it: to 1/65,536 of its area."""
