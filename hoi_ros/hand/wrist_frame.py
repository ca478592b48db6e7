# SPDX-License-Identifier: Apache-2.0
"""The wrist's frame and the middle of the palm from keypoints: the same for every hand model."""

from __future__ import annotations

import numpy as np

from hoi_ros.hand.skeleton import FINGERS
from hoi_ros.hand.skeleton import KEYPOINT_NAMES

_MIDDLE, _INDEX, _LITTLE = (KEYPOINT_NAMES.index(f'{finger}_mcp') for finger in ('middle', 'index', 'little'))
_KNUCKLES = [KEYPOINT_NAMES.index(f'{finger}_mcp') for finger in FINGERS[1:]]


def wrist_frame(joints: np.ndarray, side: str) -> np.ndarray:
    """(3, 3) rotation from the wrist's frame to the joints': y along the middle finger's metacarpal, z out of the palm.

    x points to the thumb's side of a right hand, and away from it on a left one.

    Args:
        joints: (21, 3) keypoints.
        side: 'right' or 'left'.
    """
    along = joints[_MIDDLE] - joints[0]
    along = along / max(float(np.linalg.norm(along)), 1e-9)
    across = joints[_INDEX] - joints[_LITTLE] if side == 'right' else joints[_LITTLE] - joints[_INDEX]
    across = across - along * (across @ along)
    across = across / max(float(np.linalg.norm(across)), 1e-9)
    return np.stack([across, along, np.cross(across, along)], 1)


def palm_centre(joints: np.ndarray) -> np.ndarray:
    """(3,) the middle of the palm's bones: two thirds of the way from the wrist to the mean of the four knuckles."""
    return joints[0] / 3 + joints[_KNUCKLES].mean(0) * 2 / 3
