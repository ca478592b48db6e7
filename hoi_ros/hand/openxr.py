# SPDX-License-Identifier: Apache-2.0
"""A hand as the joints of OpenXR (XR_EXT_hand_tracking), the form that teleoperation of robot hands reads.

OpenXR has 26 joints a hand, the palm first. NVIDIA's Isaac Teleop publishes 25 for ROS 2, without the palm, of the left
hand and then of the right.

The axes of a joint are those of the bone that begins there, and of a tip those of its last bone: −z along the bone
towards the tip, y out of the back of the hand and, at the fingers, out of the nail's side; x follows the right-hand
rule, so it points to the viewer's right on both hands laid palm down. The wrist's −z points to the base of the middle
finger's metacarpal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandGeometry
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import FINGER_JOINTS
from hoi_ros.hand.skeleton import FINGERS
from hoi_ros.hand.wrist_frame import wrist_frame

_BONES = ('METACARPAL', 'PROXIMAL', 'INTERMEDIATE', 'DISTAL', 'TIP')
OPENXR_NAMES = (
    'WRIST',
    *(f'THUMB_{bone}' for bone in _BONES if bone != 'INTERMEDIATE'),
    *(f'{finger.upper()}_{bone}' for finger in FINGERS[1:] for bone in _BONES),
)
"""The 25 joints of a hand, in OpenXR's order."""
TELEOPERATION_NAMES = tuple(f'{side}_{name}' for side in ('left', 'right') for name in OPENXR_NAMES)
"""The 50 joints of two hands, in the order of Isaac Teleop's teleop_ros2 example."""

_METACARPALS = np.array([[0.34, 0.02], [0.32, 0.04], [0.33, -0.05], [0.50, -0.10]])
"""Base of the metacarpal of the index to the little finger, which the hand model does not have: the share of the way
from wrist to knuckle, and a shift to the thumb's side in widths of the four knuckles. From the skeleton of the WebXR
generic hand; the bases of that skeleton lie 3 to 5 mm closer to the palm."""


class OpenXRJoints(NamedTuple):
    """The joints OPENXR_NAMES of one hand.

    Attributes:
        positions: (25, 3) metres.
        orientations: (25, 4) quaternions x, y, z, w.
    """

    positions: np.ndarray
    orientations: np.ndarray


def openxr_joints(model: HandModel, posed: HandGeometry) -> OpenXRJoints:
    """The OpenXR joints of a posed hand, in its frame.

    Args:
        model: the hand, of its side.
        posed: what `model.forward` returns; vertices are not needed.
    """
    keypoints = posed.keypoints.astype(float)
    wrist, chains = keypoints[0], keypoints[1:].reshape(5, 4, 3)
    knuckles = chains[1:, 0]
    across = knuckles[0] - knuckles[-1]
    bases = wrist + _METACARPALS[:, :1] * (knuckles - wrist) + _METACARPALS[:, 1:] * across

    back = -wrist_frame(keypoints, model.side)[:, 2]
    rest = model.axes[FINGER_JOINTS][..., 1] * (1 if model.side == 'right' else -1)
    nails = (posed.transforms[FINGER_JOINTS, :3, :3] @ rest[..., None])[..., 0]

    places, along, up = [wrist[None]], [bases[1:2] - wrist], [back[None]]
    for finger, chain in enumerate(chains):
        bones = chain if finger == 0 else np.concatenate([bases[finger - 1 : finger], chain])
        steps = np.diff(bones, axis=0)
        places.append(bones)
        along += [steps, steps[-1:]]
        up += [*([] if finger == 0 else [back[None]]), nails[finger], nails[finger, -1:]]
    return OpenXRJoints(np.concatenate(places), _orientations(np.concatenate(along), np.concatenate(up)))


def _orientations(along: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(N, 4) quaternions with −z along the first vectors (N, 3) and y as close as possible to the second (N, 3)."""
    z = -along / np.linalg.norm(along, axis=1, keepdims=True)
    x = np.cross(up, z)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return Rotation.from_matrix(np.stack([x, np.cross(z, x), z], -1)).as_quat(canonical=True)
