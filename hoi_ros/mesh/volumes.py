# SPDX-License-Identifier: Apache-2.0
"""How deep and how far two closed meshes intersect."""

from __future__ import annotations

import numpy as np

from hoi_ros.mesh.contact import winding
from hoi_ros.mesh.surface import Surface


def penetration_depth(points: np.ndarray, solid: Surface) -> float:
    """Largest distance from the surface of a point inside a solid, metres; 0 if no point is inside.

    Args:
        points: (N, 3) metres.
        solid: closed.

    Raises:
        OpenSurfaceError: the solid is not closed.
    """
    inside = points[solid.contains(points)]
    return float(solid.distances(inside).max()) if len(inside) else 0.0


def shared_volume(first: Surface, second: Surface, voxel: float) -> float:
    """Volume of the intersection of two solids, m³: the voxels whose centres are inside both.

    The estimate is unbiased, and coarse for one pair: a voxel of 5 mm is 0.125 cm³. The voxels lie on multiples of
    their edge.

    Args:
        first, second: closed.
        voxel: edge of a voxel, metres.

    Raises:
        OpenSurfaceError: one of them is not closed.
    """
    first.check_closed()
    second.check_closed()
    lowest = np.maximum(first.vertices.min(0), second.vertices.min(0))
    highest = np.minimum(first.vertices.max(0), second.vertices.max(0))
    x, y, z = (
        voxel * (np.arange(np.ceil(low / voxel - 0.5), np.floor(high / voxel - 0.5) + 1) + 0.5)
        for low, high in zip(lowest, highest)
    )
    layer = np.stack(np.meshgrid(y, z, indexing='ij'), -1).reshape(-1, 2)
    count = 0
    for place in x:
        centres = np.insert(layer, 0, place, axis=1)
        count += int(second.contains(centres[first.contains(centres)]).sum())
    return count * voxel**3


def grid_volume(
    first: np.ndarray, first_faces: np.ndarray, second: np.ndarray, second_faces: np.ndarray, voxel: float
) -> float:
    """`shared_volume` at the camera's rate: the same voxels, without Open3D and without a check of the meshes.

    Args:
        first, second: (V, 3) vertices of two closed meshes, metres.
        first_faces, second_faces: (F, 3) counter-clockwise from outside.
        voxel: edge of a voxel, metres.
    """
    lowest, highest = np.maximum(first.min(0), second.min(0)), np.minimum(first.max(0), second.max(0))
    from_voxel = np.ceil(lowest / voxel - 0.5).astype(int)
    counts = np.floor(highest / voxel - 0.5).astype(int) + 1 - from_voxel
    if (counts <= 0).any():
        return 0.0
    # The mesh with fewer triangles sorts out most of the voxels.
    meshes = sorted(((first, first_faces), (second, second_faces)), key=lambda mesh: len(mesh[1]))
    centres = (np.indices(counts).reshape(3, -1).T + from_voxel + 0.5) * voxel
    for vertices, faces in meshes:
        centres = centres[winding(centres, vertices, faces) != 0]
    return len(centres) * voxel**3
