# SPDX-License-Identifier: Apache-2.0
"""How far a reconstructed hand is, from the depth image that was taken with it."""

from __future__ import annotations

import numpy as np

from hoi_ros.camera.pinhole import Pinhole

_FACING = 0.3
"""Cosine to the ray above which a vertex of the near side is compared: at grazing angles depth is unsure."""
_CELL = 8
"""Pixels of the cells in which a vertex hides those behind it."""
_THICKNESS = 0.012
"""Metres behind the nearest vertex in its cell, of hand or held mesh, at which a vertex counts as seen."""
_SEARCHED, _FOUND_SHARE = (-1.1, 0.7, 0.05), 0.22
"""Logarithms of the distances that are tried, over that of the hand's size: first, last, step; and the share of the
seen vertices that lie on the surface there, at least."""
_HELD_CELL = 16
"""Pixels of the cells in which a vertex of a held mesh hides those behind it: it has fewer vertices than a hand."""
_AGREEMENT = 0.012
"""Metres within which two vertices' distances to the observed surface agree."""
_LEAST, _LEAST_SHARE = 25, 0.2
"""Vertices that must agree on a hand's surface: in number, and as a share of those seen."""
_DENYING, _OFF = 0.5, 0.05
"""Share of the seen vertices that must be further than the second, metres, from the surface for it to deny the hand:
through holes on a hand the background may be all that is left."""
_FURTHEST = 0.4
"""Largest change of the logarithm of the distance. On 132 validation hands it was at most 0.29; the hand of a child is
smaller by 0.35."""
_BEHIND = -0.5
"""The same for the distance at which most of a hand lies on the surface: behind what it holds it looks further away."""


class NoHandThere(ValueError):
    """The depth image shows the mesh's surface where a hand of a human's size cannot be."""


def shift_along_ray(
    vertices: np.ndarray,
    faces: np.ndarray,
    anchor: np.ndarray,
    depth: np.ndarray,
    camera: Pinhole,
    held: np.ndarray | None = None,
    steps: int = 2,
) -> np.ndarray | None:
    """Moves a mesh along the ray through its anchor to where the depth image has its surface.

    The shift is the one on which most of the vertices that the camera sees agree, of those with which the mesh has
    about the size of a hand: the background shows where the mesh is off, but does not lie at one distance from the
    hand's near side. A tin before the palm does: vertices that the held mesh hides are left out. Where they agree on
    none, the distances are tried one by one.

    Args:
        vertices: (V, 3) metres in the camera's optical frame.
        faces: (F, 3) counter-clockwise from outside.
        anchor: (3,) a point of the mesh's.
        depth: (H, W) metres, 0 or NaN invalid.
        camera: of the depth image.
        held: (M, 3) mesh of what the hand holds, which moves with it; None where it holds nothing.
        steps: times that the vertices are compared, each time from where the last one put them.

    Returns:
        The anchor's new place (3,), or None where the depth image does not show the surface.

    Raises:
        NoHandThere: the surface lies so much nearer or farther that the mesh would have another size than a hand.
    """
    anchor = np.asarray(anchor, float)
    seen, place = vertices[facing(vertices, faces)], anchor
    for _ in range(steps):
        gaps, count = _gaps(seen, place - anchor, depth, camera, held)
        plausible = anchor[2] * np.exp([-_FURTHEST, _FURTHEST]) - place[2]
        shift = _agreed(gaps[(gaps > plausible[0]) & (gaps < plausible[1])], _LEAST_SHARE * count)
        if shift is not None:
            place = place * (1 + shift / place[2])
            continue
        found = _searched(seen, anchor, depth, camera, held)
        off = gaps[np.abs(gaps) > _OFF]
        if found is not None and _BEHIND < np.log(found[2] / anchor[2]) < _FURTHEST:
            return found
        if len(off) > max(_LEAST, _DENYING * count):
            raise NoHandThere(
                f'depth shows the surface {place[2] + float(np.median(off)):.2f} m away, where a hand of this size '
                f'would be {anchor[2]:.2f} m away'
            )
        return None
    return place


def _searched(
    vertices: np.ndarray, anchor: np.ndarray, depth: np.ndarray, camera: Pinhole, held: np.ndarray | None
) -> np.ndarray | None:
    """The place (3,) on the ray through the anchor at which most of the vertices (N, 3) that the camera sees lie on the
    observed surface; None where they are few.

    Of a hand behind what it holds the camera sees a part, which looks like a hand that is further away.
    """
    best, place = _FOUND_SHARE, None
    for ratio in np.exp(np.arange(*_SEARCHED)):
        gaps, count = _gaps(vertices, (ratio - 1) * anchor, depth, camera, held)
        on_surface = gaps[np.abs(gaps) < 2 * _AGREEMENT]
        if len(on_surface) >= max(_LEAST, best * count):
            best, place = len(on_surface) / count, anchor * (ratio + float(np.median(on_surface)) / anchor[2])
    return place


def facing(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,) vertices of a triangle that faces the camera."""
    x, y, z = np.ascontiguousarray(vertices.T)[:, faces.T]
    # Three times the centres, and the normals.
    along = np.stack([corners[0] + corners[1] + corners[2] for corners in (x, y, z)])
    (ax, bx), (ay, by), (az, bz) = x[1:] - x[0], y[1:] - y[0], z[1:] - z[0]
    normals = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
    toward = -(normals * along).sum(0)
    length = (normals**2).sum(0) * (along**2).sum(0)
    seen = np.zeros(len(vertices), bool)
    seen[faces[(toward > 0) & (toward**2 > _FACING**2 * length)]] = True
    return seen


def _gaps(
    points: np.ndarray, moved: np.ndarray, depth: np.ndarray, camera: Pinhole, held: np.ndarray | None
) -> tuple[np.ndarray, int]:
    """How far behind those of moved points (N, 3) that are seen the surface is, in order, metres; and the number of
    these points, with or without depth. A held mesh (M, 3) moves with them."""
    points, pixels = _in_image(points + moved, camera)
    seen = points[:, 2] < _nearest(points, pixels, depth.shape[1], _CELL)[0] + _THICKNESS
    if held is not None:
        before = _nearest(*_in_image(held + moved, camera), depth.shape[1], _HELD_CELL)[1]
        cells = _cells(pixels, depth.shape[1], _HELD_CELL)
        hidden = cells < len(before)
        hidden[hidden] = points[hidden, 2] > before[cells[hidden]] + _THICKNESS
        seen &= ~hidden
    points, pixels = points[seen], pixels[seen]
    observed = depth[pixels[:, 1], pixels[:, 0]]
    return np.sort((observed - points[:, 2])[observed > 0]), len(points)


def _agreed(gaps: np.ndarray, least: float) -> float | None:
    """The gap on which most of sorted gaps (N,) agree; None where fewer than `least` do."""
    if len(gaps) < _LEAST:
        return None
    agreeing = np.searchsorted(gaps, gaps + 2 * _AGREEMENT, 'right') - np.arange(len(gaps))
    first = int(agreeing.argmax())
    if agreeing[first] < max(_LEAST, least):
        return None
    return float(np.median(gaps[first : first + agreeing[first]]))


def _in_image(points: np.ndarray, camera: Pinhole) -> tuple[np.ndarray, np.ndarray]:
    """Those of points (N, 3) that the camera may see, and their pixels."""
    points = points[points[:, 2] > 0.05]
    pixels, inside = camera.pixels_of(points)
    return points[inside], pixels[inside]


def _cells(pixels: np.ndarray, width: int, size: int) -> np.ndarray:
    """(N,) the cell of each pixel (N, 2), of `size` pixels each way in an image of that width."""
    cells: np.ndarray = (pixels[:, 1] // size) * (width // size + 1) + pixels[:, 0] // size
    return cells


def _nearest(points: np.ndarray, pixels: np.ndarray, width: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) the least distance of the points (N, 3) in the cell of each, metres, and that of each cell."""
    cells = _cells(pixels, width, size)
    nearest = np.full(cells.max(initial=-1) + 1, np.inf)
    np.minimum.at(nearest, cells, points[:, 2])
    return nearest[cells], nearest
