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
"""Metres behind the nearest vertex of its cell, or of the held mesh in its cell, that a vertex still counts as seen."""
_HELD_CELL = 16
"""Pixels of the cells in which a vertex of a held mesh hides those behind it: it has fewer vertices than a hand."""
_AGREEMENT = 0.012
"""Metres within which two vertices' distances to the observed surface agree."""
_LEAST, _LEAST_SHARE = 25, 0.2
"""Vertices that must agree: in number, and as a share of those seen."""
_DENYING = 0.5
"""Share of the seen vertices for which there is depth, below which it does not deny a hand: through holes on the hand
the background may be all that is left."""
_FURTHEST = 0.4
"""Largest change of the logarithm of the distance. On 132 validation hands it was at most 0.29; the hand of a child is
smaller by 0.35."""


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

    The shift is the one on which most of the vertices that the camera sees agree: the background shows where the mesh
    is off, but does not lie at one distance from the hand's near side. A tin before the palm does: vertices that the
    held mesh hides are left out.

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
    place = np.asarray(anchor, float)
    near_side = facing(vertices, faces)
    for _ in range(steps):
        moved = place - anchor
        shift, known = _shift((vertices + moved)[near_side], depth, camera, None if held is None else held + moved)
        if shift is None:
            return None
        place = place * (1 + shift / place[2])
        if abs(np.log(place[2] / anchor[2])) > _FURTHEST:
            if known < _DENYING:
                return None
            raise NoHandThere(
                f'depth shows the surface {place[2]:.2f} m away, where a hand of this size would be {anchor[2]:.2f} m '
                'away'
            )
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


def _shift(
    points: np.ndarray, depth: np.ndarray, camera: Pinhole, held: np.ndarray | None
) -> tuple[float | None, float]:
    """How far behind points (N, 3) the surface is that most of them agree on, metres, None without agreement; and the
    share of the seen ones for which there is depth."""
    points, pixels = _in_image(points, camera)
    seen = points[:, 2] < _nearest(points, pixels, depth.shape[1], _CELL)[0] + _THICKNESS
    if held is not None:
        before = _nearest(*_in_image(held, camera), depth.shape[1], _HELD_CELL)[1]
        cells = _cells(pixels, depth.shape[1], _HELD_CELL)
        hidden = cells < len(before)
        hidden[hidden] = points[hidden, 2] > before[cells[hidden]] + _THICKNESS
        seen &= ~hidden
    points, pixels = points[seen], pixels[seen]
    observed = depth[pixels[:, 1], pixels[:, 0]]
    gaps = np.sort((observed - points[:, 2])[observed > 0])
    known = len(gaps) / max(len(points), 1)
    if len(gaps) < _LEAST:
        return None, known
    agreeing = np.searchsorted(gaps, gaps + 2 * _AGREEMENT, 'right') - np.arange(len(gaps))
    first = int(agreeing.argmax())
    if agreeing[first] < max(_LEAST, _LEAST_SHARE * len(points)):
        return None, known
    return float(np.median(gaps[first : first + agreeing[first]])), known


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
