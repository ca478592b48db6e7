# SPDX-License-Identifier: Apache-2.0
"""Oriented bounding boxes of point sets."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

_LOPSIDED = 0.05
"""Skewness from which an axis points to the thinner end of the points."""
_FACING = np.array([0, 0.6, 0.8])
"""Direction that a symmetric axis points to, rather than away from it. It lies in the plane of the mirror x → −x."""
_AS_SMALL = 1.001
"""Boxes, and sides of a box, up to this factor of the smallest one's size are as small."""
_THINNEST = 0.001
"""Added to each side of a box for the comparison of volumes, as a share of the longest side."""
_HALF_TURNS = [Rotation.identity(), *(Rotation.from_rotvec(np.pi * axis) for axis in np.eye(3))]


def oriented_box(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A tight box around points: the smallest of the boxes that are aligned with one of their principal axes.

    The box of the mirror image of points, x → −x, is the mirror image of their box, and the axes turn with the points:
    y and z point to the thinner end of the points, or, where both ends are alike, to the far and lower side of an
    optical frame. Of a mirrored box, the x axis points the other way.

    Args:
        points: (N, 3) metres.

    Returns:
        centre (3,), orientation (4,) as a quaternion x, y, z, w, and size (3,) along the box's x, y and z: the longest
        side lies along z, the shortest along x.
    """
    mean = points.mean(0)
    centred = points - mean
    axes = np.linalg.eigh(centred.T @ centred)[1].T
    boxes = [_box_along(centred, np.roll(axes, 2 - along, 0)) for along in range(3)]
    # A flat thing has no volume in any box.
    centre, frame, size = min(boxes, key=lambda box: (box[2] + _THINNEST * box[2].max()).prod())
    order = np.argsort(size * (1 + (_AS_SMALL - 1) * np.abs(frame @ _FACING)))
    frame, size = frame[order], size[order]
    frame *= _signs(centred, frame)[:, None]
    frame[0] *= np.sign(np.linalg.det(frame))
    return mean + centre, Rotation.from_matrix(frame.T).as_quat(), size


def nearest_alike(orientation: np.ndarray, reference: Rotation) -> np.ndarray:
    """Of the four orientations (4,) in which a box has the same sides, the nearest to another one; quaternions x, y, z,
    w. Half a turn about an axis of a box changes nothing of it but the names of its ends."""
    own = Rotation.from_quat(orientation)
    alike = [own * turn for turn in _HALF_TURNS]
    return min(alike, key=lambda turned: (turned.inv() * reference).magnitude()).as_quat()


def _box_along(points: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre (3,), axes (3, 3) as rows and size (3,) of the smallest box along the last row of a frame (3, 3)."""
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
    alike = np.flatnonzero(areas <= _AS_SMALL * areas.min())
    facing = np.abs(np.stack([edges[alike], across[alike]]) @ (frame[:2] @ _FACING)).max(0)
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
