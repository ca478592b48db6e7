# SPDX-License-Identifier: Apache-2.0
"""How deep and how far two closed meshes intersect."""

from __future__ import annotations

import numpy as np

from hoi_ros.mesh.contact import crossings
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
    # Columns run along the longest side: there are fewest of them then.
    axes = np.roll([0, 1, 2], 2 - counts.argmax())
    counts, size = counts[axes], int(counts.max()) + 1
    bins, turns = zip(
        *(
            crossed_bins((vertices / voxel - from_voxel - 0.5)[:, axes], faces, counts)
            for vertices, faces in ((first, first_faces), (second, second_faces))
        )
    )
    if not all(map(len, bins)):
        return 0.0
    # Both meshes' crossings in one order, each column from its top down: a point is wound around by those above it.
    mesh = np.repeat([0, 1], [len(each) for each in bins])
    bins, turns = np.concatenate(bins), np.concatenate(turns)
    order = np.argsort(-bins)
    bins, turns, mesh = bins[order], turns[order], mesh[order]
    column, level = bins // size, bins % size
    begins = np.flatnonzero(np.diff(column, prepend=-1))
    lengths = np.diff(begins, append=len(column))
    both = np.ones(len(column), bool)
    for which in (0, 1):
        own = np.where(mesh == which, turns, 0)
        above = own.cumsum()
        both &= above != (above - own)[begins].repeat(lengths)
    until = np.append(level[1:], 0)
    until[begins[1:] - 1] = 0
    return int((level - until)[both].sum()) * voxel**3


def crossed_bins(vertices: np.ndarray, faces: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a closed mesh crosses the columns of a grid: (N,) numbers of column and level, and (N,) 1 where it faces
    upwards, −1 downwards.

    The number is column times Z + 1, plus the number of points of the column below the crossing, 1 to Z.

    Args:
        vertices: (V, 3) in grid coordinates: the points are at 0 to X − 1, 0 to Y − 1 and 0 to Z − 1.
        faces: (F, 3) counter-clockwise from outside.
        counts: (3,) X, Y and Z.
    """
    x, y, z = np.asarray(vertices, float).T[:, faces.T]
    lowest = [np.ceil(np.maximum(along.min(0), 0)).astype(int) for along in (x, y)]
    rows, columns = (
        np.maximum(np.floor(np.minimum(along.max(0), count - 1)).astype(int) + 1 - low, 0)
        for along, low, count in zip((x, y), lowest, counts)
    )
    # Pairs of a triangle and a column of the grid that runs through its extent.
    pairs = np.where(z.max(0) > 0, rows * columns, 0)
    triangle = np.arange(len(faces)).repeat(pairs)
    place = np.arange(len(triangle)) - (pairs.cumsum() - pairs).repeat(pairs)
    row, column = lowest[0][triangle] + place // columns[triangle], lowest[1][triangle] + place % columns[triangle]
    corners = np.stack([x[:, triangle] - row, y[:, triangle] - column, z[:, triangle]])
    turn, weighted = crossings(corners)
    crossed = np.flatnonzero((turn != 0) & (weighted > 0))
    (first_x, second_x, third_x), (first_y, second_y, third_y), _ = corners[:, :, crossed]
    area = (second_x - first_x) * (third_y - first_y) - (second_y - first_y) * (third_x - first_x)
    # The number of points below the crossing.
    level = np.minimum(np.ceil(weighted[crossed] / np.abs(area)), counts[2]).astype(int)
    return (row[crossed] * counts[1] + column[crossed]) * (counts[2] + 1) + level, turn[crossed]
