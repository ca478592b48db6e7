# SPDX-License-Identifier: Apache-2.0
"""Oriented bounding boxes of point sets."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

Box = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Centre (3,), axes (3, 3) as rows, and size (3,) along them."""
_LOPSIDED = 0.05
"""Skewness from which an axis points to the thinner end of the points."""
_FACING = np.array([0, 0.6, 0.8])
"""Direction that a symmetric axis points to, rather than away from it. It lies in the plane of the mirror x → −x."""
_AS_SMALL = 1.001
"""Boxes, and sides of a box, up to this factor of the smallest one's size are as small."""
_THINNEST = 0.001
"""Added to each side of a box for the comparison of volumes, as a share of the longest side."""
_AS_GOOD, _AS_LONG = 1.05, 1.15
"""Boxes up to this factor of the smallest one's size, and sides up to this factor of another one, are as good where a
reference chooses among them."""
_NAMES = np.array(
    [
        np.eye(3)[list(order)] * np.array(signs)[:, None]
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1, -1), repeat=3)
    ]
)
"""All ways to name the axes of a box and their ends."""
_HANDED = np.linalg.det(_NAMES)


def oriented_box(points: np.ndarray, reference: Rotation | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A tight box around points: the smallest of the boxes that are aligned with one of their principal axes.

    The box of the mirror image of points, x → −x, is the mirror image of their box, and the axes turn with the points:
    y and z point to the thinner end of the points, or, where both ends are alike, to the far and lower side of an
    optical frame. Of a mirrored box, the x axis points the other way.

    With a reference, the box is the one whose axes are nearest to it among those that are as good, that along the
    reference included: up to 5 % larger than the smallest one, or with sides in another order that differ by up to
    15 %. So the box of an object that moves does not jump, whatever is symmetric about it.

    Args:
        points: (N, 3) metres.
        reference: orientation of a box before, or what else it should resemble.

    Returns:
        centre (3,), orientation (4,) as a quaternion x, y, z, w, and size (3,) along the box's x, y and z: the longest
        side lies along z, the shortest along x.
    """
    mean = points.mean(0)
    centred = points - mean
    axes = np.linalg.eigh(centred.T @ centred)[1].T
    wanted = None if reference is None else reference.as_matrix().T
    boxes = [_box_along(centred, np.roll(axes, 2 - along, 0), wanted) for along in range(3)]
    if wanted is not None:
        low, high = (bound(centred @ wanted.T, 0) for bound in (np.min, np.max))
        boxes.append(((low + high) / 2 @ wanted, wanted, high - low))
    # A flat thing has no volume in any box.
    volumes = [float((size + _THINNEST * size.max()).prod()) for _, _, size in boxes]
    if wanted is not None:
        alike = [_named(box, wanted) for box, volume in zip(boxes, volumes) if volume <= _AS_GOOD * min(volumes)]
        centre, frame, size = max(alike, key=lambda box: float((box[1] * wanted).sum()))
        return mean + centre, Rotation.from_matrix(frame.T).as_quat(), size
    centre, frame, size = boxes[int(np.argmin(volumes))]
    order = np.argsort(size * (1 + (_AS_SMALL - 1) * np.abs(frame @ _FACING)))
    frame, size = frame[order], size[order]
    frame *= _signs(centred, frame)[:, None]
    frame[0] *= np.sign(np.linalg.det(frame))
    return mean + centre, Rotation.from_matrix(frame.T).as_quat(), size


def _named(box: Box, wanted: np.ndarray) -> Box:
    """A box with the axes, and their ends, named as those of a frame (3, 3) as rows that are nearest to them."""
    centre, frame, size = box
    sides = np.abs(_NAMES) @ size
    fits = (_HANDED * np.linalg.det(frame) > 0) & (sides[:, :-1] <= _AS_LONG * sides[:, 1:]).all(1)
    named = _NAMES @ frame
    best = int(np.where(fits, (named * wanted).sum((1, 2)), -np.inf).argmax())
    return centre, named[best], sides[best]


def _box_along(points: np.ndarray, frame: np.ndarray, wanted: np.ndarray | None) -> Box:
    """Centre (3,), axes (3, 3) as rows and size (3,) of the smallest box along the last row of a frame (3, 3); of those
    that are as small, the one that resembles a frame (3, 3) if one is wanted."""
    local = points @ frame.T
    hull = cv2.convexHull(np.ascontiguousarray(local[:, :2], np.float32), returnPoints=False)[:, 0]
    corners = local[hull, :2]
    # One side of the smallest rectangle lies on an edge of the hull (Freeman and Shapira 1975).
    edges = np.roll(corners, -1, 0) - corners
    length = np.linalg.norm(edges, axis=1, keepdims=True)
    edges = (edges / np.maximum(length, 1e-12))[length[:, 0] > 0] if (length > 0).any() else np.eye(2)[:1]
    across = edges[:, ::-1] * [-1, 1]
    along_edges, beside = corners @ edges.T, corners @ across.T
    areas = np.ptp(along_edges, axis=0) * np.ptp(beside, axis=0)
    # Around a round thing many rectangles are as small: their mirror images must be chosen alike.
    alike = np.flatnonzero(areas <= (_AS_SMALL if wanted is None else _AS_GOOD) * areas.min())
    if wanted is None:
        facing = np.abs(np.stack([edges[alike], across[alike]]) @ (frame[:2] @ _FACING)).max(0)
    else:
        facing = np.abs(edges[alike] @ frame[:2] @ wanted.T).max(1)
    best = alike[facing.argmax()]
    rows = np.stack([along_edges[:, best], beside[:, best], np.zeros(len(corners))])
    turned = np.stack([edges[best] @ frame[:2], across[best] @ frame[:2], frame[2]])
    low, high = rows.min(1), rows.max(1)
    low[2], high[2] = local[:, 2].min(), local[:, 2].max()
    return (low + high) / 2 @ turned, turned, high - low


def _signs(points: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """(3,) 1 or −1: the direction of each axis (3, 3), as rows, about centred points (N, 3)."""
    along = points @ frame.T
    spread = np.maximum(along.std(0), 1e-12)
    skewness = (along**3).mean(0) / spread**3
    towards = np.where(np.abs(skewness) >= _LOPSIDED, skewness, frame @ _FACING)
    return np.where(towards < 0, -1, 1)
