# SPDX-License-Identifier: Apache-2.0
"""How deep and how far two closed meshes intersect."""

from __future__ import annotations

import numpy as np

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
