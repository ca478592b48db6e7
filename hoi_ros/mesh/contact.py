# SPDX-License-Identifier: Apache-2.0
"""The distance between two surfaces, and when they touch."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from hoi_ros.mesh.normals import vertex_normals

TOUCHING = 0.004
"""Metres within which two surfaces are in contact, as in the contact labels of HO-3D (Hampali et al., CVPR 2020). The
one threshold of the package: estimates, messages and the simulated truth."""


def surface_gap(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray, near: float = 0.03) -> float:
    """Least signed distance from points to a closed mesh; below 0, the depth of the deepest point inside it.

    Each point is measured against the tangent plane of the mesh's nearest vertex. That is exact enough for a mesh with
    vertices closer together than its radius of curvature. Points beyond `near` of every vertex count as outside.

    Args:
        points: (N, 3) metres.
        vertices: (M, 3) metres.
        faces: (F, 3) counter-clockwise from outside.
        near: metres.
    """
    tree = cKDTree(vertices)
    distance, nearest = tree.query(points, distance_upper_bound=near)
    close = distance < near
    if not close.any():
        return float(tree.query(points)[0].min())
    nearest = nearest[close]
    normals = vertex_normals(vertices, faces)[nearest]
    return float(((points[close] - vertices[nearest]) * normals).sum(1).min())
