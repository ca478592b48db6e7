# SPDX-License-Identifier: Apache-2.0
"""Makes scanned meshes usable: welded, facing outwards, without debris and small holes."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from hoi_ros.mesh.closing import directed_edges
from hoi_ros.mesh.closing import is_closed
from hoi_ros.mesh.normals import face_normals

_WELDED = 1e-6
"""Vertices within this distance are one, metres."""
_SMALL_HOLES = 0.05
"""Holes are filled up to this share of the area: larger ones may be the opening of a cup."""
_DEBRIS = 0.05
"""Open pieces up to this share of the area are left out."""


@dataclasses.dataclass(frozen=True)
class MendedMesh:
    """A triangle mesh, and what was done to it."""

    vertices: np.ndarray
    """(V, 3) float64, metres."""
    faces: np.ndarray
    """(F, 3) int64; counter-clockwise from outside where the mesh is closed."""
    closed: bool
    """Whether it has an inside, see `is_closed`."""
    notes: tuple[str, ...]
    """What was changed, and why it is not closed."""


def mended(vertices: np.ndarray, faces: np.ndarray) -> MendedMesh:
    """Welds vertices, drops triangles with two equal corners, doubles and debris, turns triangles alike, and fills
    small holes.

    A closed piece faces outwards afterwards; an open one, as most of its area did.

    Args:
        vertices: (V, 3) finite, metres.
        faces: (F, 3) vertex indices.

    Raises:
        ValueError: no triangle has an area.
    """
    notes: list[str] = []
    vertices, faces = welded(np.asarray(vertices, float), np.asarray(faces, np.int64))
    if _areas(vertices, faces).sum() < _WELDED**2:
        raise ValueError('no triangle of the mesh has an area')
    faces, turned = _turned_alike(vertices, faces)
    if turned:
        notes.append(f'{turned} of {len(faces)} triangles faced the other way and were turned')
    faces, debris = _without_debris(vertices, faces)
    if debris:
        notes.append(f'small open pieces were left out ({debris} of {debris + len(faces)} triangles)')
    faces, filled = _filled(vertices, faces)
    if filled:
        notes.append(f'small holes of {100 * filled:.1f} % of the area were closed')
    faces, inverted = _turned_outwards(vertices, faces)
    if inverted:
        notes.append(f'{inverted} triangles faced inwards and were turned')
    used, compact = np.unique(faces, return_inverse=True)
    vertices, faces = vertices[used], compact.reshape(-1, 3)
    closed = is_closed(vertices, faces)
    if not closed:
        keys, way, _ = _edges(faces)
        net = np.abs(np.bincount(keys, way))
        notes.append(
            f'the mesh is open ({int((net > 0).sum())} of {len(net)} edges have no triangle opposite): it has no inside'
        )
    return MendedMesh(vertices, faces, closed, tuple(notes))


def welded(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mesh with one vertex a place and one triangle a set of corners, both in the given order.

    Args:
        vertices: (V, 3) finite, metres; within 2 m.
        faces: (F, 3) vertex indices.
    """
    cells = np.round((vertices - vertices.min(0)) / _WELDED).astype(np.int64)
    first, number = _first_of_each(cells)
    faces = number[faces]
    faces = faces[(faces != np.roll(faces, 1, 1)).all(1)]
    return vertices[first], faces[_first_of_each(np.sort(faces, 1))[0]] if len(faces) else faces


def _first_of_each(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of the first of each different row (N, 3) of numbers from 0, in their order, and the number (N,) of each
    row's."""
    count = int(rows.max()) + 1
    pairs = np.unique(rows[:, 0] * count + rows[:, 1], return_inverse=True)[1]
    _, first, number = np.unique(pairs * count + rows[:, 2], return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[number]


def _edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number (3 F,) of each undirected edge, its direction (3 F,) as 1 or −1, and its triangle (3 F,)."""
    edges = directed_edges(faces)
    keys = np.unique(edges.min(1) * (int(edges.max()) + 1) + edges.max(1), return_inverse=True)[1]
    return keys, np.where(edges[:, 0] < edges[:, 1], 1, -1), np.arange(len(faces)).repeat(3)


def _neighbours(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of triangles (N,), (N,) at edges that two of them share, and whether (N,) they face the same way."""
    keys, way, owner = _edges(faces)
    order = np.argsort(keys, kind='stable')
    keys, way, owner = keys[order], way[order], owner[order]
    pair = np.flatnonzero((keys[1:] == keys[:-1]) & (np.bincount(keys)[keys[1:]] == 2))
    return owner[pair], owner[pair + 1], way[pair] != way[pair + 1]


def _pieces(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    """(count,) number of the connected piece of each node of a graph."""
    graph = coo_matrix((np.ones(len(first), np.int8), (first, second)), (count, count))
    return np.asarray(connected_components(graph, directed=False)[1])


def _areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    return np.linalg.norm(face_normals(vertices, faces), axis=1) / 2


def _turned_alike(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, int]:
    """The triangles, those of each piece turned as most of its area is, and how many were turned."""
    first, second, alike = _neighbours(faces)
    count = len(faces)
    # In a graph of each triangle as it is and turned over, what is connected faces the same way.
    over = np.where(alike, 0, count)
    ends = np.concatenate([second + over, second + count - over])
    labels = _pieces(np.concatenate([first, first + count]), ends, 2 * count)
    piece = _pieces(first, second, count)
    leaders = np.unique(piece, return_index=True)[1]
    turned = labels[:count] != labels[leaders[piece]]
    area = _areas(vertices, faces)
    turned ^= (np.bincount(piece, area * turned) > np.bincount(piece, area) / 2)[piece]
    return np.where(turned[:, None], faces[:, ::-1], faces), int(turned.sum())


def _without_debris(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, int]:
    """The triangles without small open pieces, and how many were left out."""
    first, second, _ = _neighbours(faces)
    piece, (keys, way, owner) = _pieces(first, second, len(faces)), _edges(faces)
    unpaired = np.bincount(keys, way)[keys] != 0
    is_open = np.bincount(piece[owner], unpaired) > 0
    area = np.bincount(piece, _areas(vertices, faces))
    dropped = is_open & (area <= _DEBRIS * area.sum())
    if area[dropped].sum() > _DEBRIS * area.sum():
        return faces, 0
    return faces[~dropped[piece]], int(dropped[piece].sum())


def _filled(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, float]:
    """The triangles with a fan of triangles in each small hole, and the share of these fans in the area."""
    whole = float(_areas(vertices, faces).sum())
    filled, added = [faces], 0.0
    for ring in _rims(faces):
        fan = np.array([(ring[0], second, first) for first, second in itertools.pairwise(ring[1:])])
        area = float(_areas(vertices, fan).sum())
        if area <= _SMALL_HOLES * whole:
            filled.append(fan)
            added += area
    return np.concatenate(filled), added / whole


def _rims(faces: np.ndarray) -> list[list[int]]:
    """Rings of vertices around the holes, in the direction of the triangles beside them; holes may meet in a vertex."""
    keys, way, _ = _edges(faces)
    rim = directed_edges(faces)[np.bincount(keys, way)[keys] * way > 0]
    after: dict[int, list[int]] = {}
    for start, end in rim.tolist():
        after.setdefault(start, []).append(end)
    rings = []
    for start in list(after):
        path = [start]
        while after.get(path[-1]):
            path.append(after[path[-1]].pop())
            if path[-1] in path[:-1]:
                first = path.index(path[-1])
                rings.append(path[first:-1])
                del path[first + 1 :]
    return [ring for ring in rings if len(ring) > 2]


def _turned_outwards(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, int]:
    """The triangles, those of closed pieces that face inwards turned over, and how many were turned."""
    first, second, _ = _neighbours(faces)
    piece, (keys, way, owner) = _pieces(first, second, len(faces)), _edges(faces)
    is_open = np.bincount(piece[owner], np.bincount(keys, way)[keys] != 0) > 0
    corners = vertices[faces] - vertices.mean(0)
    volume = np.bincount(piece, np.linalg.det(corners))
    inverted = (~is_open & (volume < 0))[piece]
    return np.where(inverted[:, None], faces[:, ::-1], faces), int(inverted.sum())
