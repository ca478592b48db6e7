# SPDX-License-Identifier: Apache-2.0
"""Oriented bounding boxes of point sets."""

from __future__ import annotations

import math

import cv2
import numpy as np
from scipy.spatial.transform import Rotation


def oriented_box(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A tight box around points: the smallest of the boxes that are aligned with one of their principal axes.

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
    centre, frame, size = min(boxes, key=lambda box: box[2].prod())
    order = np.argsort(size)
    frame, size = frame[order], size[order]
    if np.linalg.det(frame) < 0:
        frame[0] = -frame[0]
    return mean + centre, Rotation.from_matrix(frame.T).as_quat(), size


def _box_along(points: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre (3,), axes (3, 3) as rows and size (3,) of the smallest box along the last row of a frame (3, 3)."""
    local = points @ frame.T
    (x, y), (width, height), degrees = cv2.minAreaRect(local[:, :2].astype(np.float32))
    low, high = local[:, 2].min(), local[:, 2].max()
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]]) @ frame
    return np.array([x, y, (low + high) / 2]) @ frame, turned, np.array([width, height, high - low])
