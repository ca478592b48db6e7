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
"""Metres behind the nearest vertex of its cell that a vertex still counts as seen."""
_AGREEMENT = 0.012
"""Metres within which two vertices' distances to the observed surface agree."""
_LEAST, _LEAST_SHARE = 25, 0.2
"""Vertices that must agree: in number, and as a share of those seen."""
_FURTHEST = 0.4
"""Largest change of the logarithm of the distance. On 132 validation hands it was at most 0.29; the hand of a child is
smaller by 0.35."""


class NoHandThere(ValueError):
    """The depth image shows the mesh's surface where a hand of a human's size cannot be."""


def shift_along_ray(
    vertices: np.ndarray, faces: np.ndarray, anchor: np.ndarray, depth: np.ndarray, camera: Pinhole, steps: int = 2
) -> np.ndarray | None:
    """Moves a mesh along the ray through its anchor to where the depth image has its surface.

    The shift is the one on which most of the vertices that the camera sees agree: what is held hides some of the hand,
    and the background shows where the mesh is off, but neither lies at one distance from the hand's near side.

    Args:
        vertices: (V, 3) metres in the camera's optical frame.
        faces: (F, 3) counter-clockwise from outside.
        anchor: (3,) a point of the mesh's.
        depth: (H, W) metres, 0 or NaN invalid.
        camera: of the depth image.
        steps: times that the vertices are compared, each time from where the last one put them.

    Returns:
        The anchor's new place (3,), or None where the depth image does not show the surface.

    Raises:
        NoHandThere: the surface lies so much nearer or farther that the mesh would have another size than a hand.
    """
    place = np.asarray(anchor, float)
    near_side = facing(vertices, faces)
    for _ in range(steps):
        points = (vertices + (place - anchor))[near_side]
        shift = _shift(points, depth, camera)
        if shift is None:
            return None
        place = place * (1 + shift / place[2])
        if abs(np.log(place[2] / anchor[2])) > _FURTHEST:
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


def _shift(points: np.ndarray, depth: np.ndarray, camera: Pinhole) -> float | None:
    points = points[points[:, 2] > 0.05]
    if not len(points):
        return None
    pixels, inside = camera.pixels_of(points)
    points, pixels = points[inside], pixels[inside]
    cells = (pixels[:, 1] // _CELL) * (depth.shape[1] // _CELL + 1) + pixels[:, 0] // _CELL
    nearest = np.full(cells.max(initial=0) + 1, np.inf)
    np.minimum.at(nearest, cells, points[:, 2])
    seen = points[:, 2] < nearest[cells] + _THICKNESS
    points, pixels = points[seen], pixels[seen]
    observed = depth[pixels[:, 1], pixels[:, 0]]
    gaps = np.sort((observed - points[:, 2])[observed > 0])
    if len(gaps) < _LEAST:
        return None
    agreeing = np.searchsorted(gaps, gaps + 2 * _AGREEMENT, 'right') - np.arange(len(gaps))
    first = int(agreeing.argmax())
    if agreeing[first] < max(_LEAST, _LEAST_SHARE * len(points)):
        return None
    return float(np.median(gaps[first : first + agreeing[first]]))
