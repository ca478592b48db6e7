# SPDX-License-Identifier: Apache-2.0
"""Normals of triangle meshes."""

from __future__ import annotations

import numpy as np


def face_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F, 3) normals of triangles, twice their area long, outwards where faces run counter-clockwise from outside.

    Args:
        vertices: (V, 3) metres.
        faces: (F, 3) vertex indices.
    """
    corners = vertices[faces]
    return cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals, each the mean of its triangles' normals weighted by their areas; 0 where no triangle is."""
    normals = face_normals(vertices, faces)
    summed = np.stack(
        [np.bincount(faces.ravel(), np.repeat(normals[:, axis], 3), len(vertices)) for axis in range(3)], 1
    )
    return summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12)


def cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(..., 3) cross product; several times as fast as NumPy's on many short vectors."""
    a, b, c = first[..., 0], first[..., 1], first[..., 2]
    x, y, z = second[..., 0], second[..., 1], second[..., 2]
    return np.stack([b * z - c * y, c * x - a * z, a * y - b * x], -1)
