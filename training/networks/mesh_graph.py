# SPDX-License-Identifier: Apache-2.0
"""Neighbourhoods of the vertices of a triangle mesh for graph and spiral convolutions."""

from __future__ import annotations

import numpy as np


def neighbours(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The normalised adjacency D^-½ (A + I) D^-½ of the edges of a mesh, row by row.

    Args:
        faces: (F, 3) triangles.
        count: number of vertices.

    Returns:
        Indices (count, most) of the neighbours of each vertex, itself first, and their weights, 0 for padding.
    """
    linked: list[set[int]] = [set() for _ in range(count)]
    for a, b, c in faces.tolist():
        linked[a] |= {b, c}
        linked[b] |= {a, c}
        linked[c] |= {a, b}
    rows = [[vertex, *sorted(others - {vertex})] for vertex, others in enumerate(linked)]
    degree = np.array([len(row) for row in rows])
    index = np.repeat(np.arange(count)[:, None], degree.max(), 1)
    weight = np.zeros(index.shape)
    for vertex, row in enumerate(rows):
        index[vertex, : len(row)] = row
        weight[vertex, : len(row)] = 1 / np.sqrt(degree[vertex] * degree[row])
    return index, weight


def spirals(faces: np.ndarray, count: int, length: int) -> np.ndarray:
    """The first vertices of a spiral about each vertex: itself, its ring, the ring around that.

    Each ring runs counter-clockwise seen from outside. The first ring begins at the neighbour of lowest number.

    Args:
        faces: (F, 3) triangles.
        count: number of vertices.
        length: vertices of a spiral.

    Returns:
        (count, length); the vertex itself pads spirals of small meshes.
    """
    following: list[dict[int, int]] = [{} for _ in range(count)]
    for a, b, c in faces.tolist():
        following[a][b], following[b][c], following[c][a] = c, a, b
    rows = []
    for vertex in range(count):
        row, inward = [vertex], {vertex: -1}
        for place in row:
            if len(row) >= length:
                break
            for other in _ring(following[place], inward[place]):
                if other not in inward:
                    inward[other] = place
                    row.append(other)
        rows.append((row + [vertex] * length)[:length])
    return np.array(rows)


def _ring(following: dict[int, int], first: int) -> list[int]:
    """The neighbours in order, starting at `first` if it is one; on an open mesh, starting at the boundary."""
    around = {*following, *following.values()}
    ring: list[int] = []
    for start in [first, *sorted(around - {*following.values()}), *sorted(around)]:
        while start in around and start not in ring:
            ring.append(start)
            start = following.get(start, -1)
    return ring
