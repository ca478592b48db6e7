# SPDX-License-Identifier: Apache-2.0
"""Closed triangle meshes: whether a mesh has an inside, and filling its holes."""

from __future__ import annotations

import itertools

import numpy as np


class OpenSurfaceError(ValueError):
    """A mesh has no inside: it has holes, or its triangles do not all face the same way."""


def close_holes(faces: np.ndarray) -> np.ndarray:
    """Fills each hole with a fan of triangles; meant for the flat, round wrist that MANO leaves open.

    Args:
        faces: (F, 3) vertex indices.

    Returns:
        (F', 3) faces of the same type over the same vertices; the same faces if there is no hole.

    Raises:
        OpenSurfaceError: two holes meet in a vertex, or triangles do not face the same way.
    """
    faces = np.asarray(faces)
    edges = set(map(tuple, directed_edges(faces).tolist()))
    rim = [edge for edge in edges if edge[::-1] not in edges]
    after = dict(rim)
    if len(after) < len(rim) or set(after) != set(after.values()):
        raise OpenSurfaceError('the edges of the holes are no separate rings: close the mesh in a mesh editor')
    fans = []
    while after:
        ring = [min(after)]
        while (following := after.pop(ring[-1])) != ring[0]:
            ring.append(following)
        fans += [(ring[0], second, first) for first, second in itertools.pairwise(ring[1:])]
    return np.concatenate([faces, np.array(fans, faces.dtype).reshape(-1, 3)])


def is_closed(vertices: np.ndarray, faces: np.ndarray) -> bool:
    """Whether a mesh has an inside: every edge is used equally often in both directions.

    Vertices in the same place count as one, so the seam of a texture is no hole. A deformed icosphere stays closed
    where it folds through itself.

    Args:
        vertices: (V, 3).
        faces: (F, 3) vertex indices.
    """
    if _is_paired(faces):
        return True
    _, welded = np.unique(vertices, axis=0, return_inverse=True)
    return _is_paired(welded.reshape(-1)[faces])


def _is_paired(faces: np.ndarray) -> bool:
    """Whether every edge is used equally often in both directions."""
    start, end = directed_edges(faces).T.astype(np.int64)
    count = faces.max(initial=0) + 1
    return bool(np.array_equal(np.sort(start * count + end), np.sort(end * count + start)))


def directed_edges(faces: np.ndarray) -> np.ndarray:
    """(3 F, 2) the three edges of each triangle, in the direction in which it runs through them."""
    return faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
