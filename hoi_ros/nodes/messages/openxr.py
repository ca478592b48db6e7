# SPDX-License-Identifier: Apache-2.0
"""Hands as the OpenXR joints that teleoperation reads."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import PoseArray
from std_msgs.msg import Header

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import surest_by_side
from hoi_ros.hand.openxr import openxr_joints
from hoi_ros.hand.openxr import OPENXR_NAMES
from hoi_ros.nodes.messages.geometry import pose_message

_ABSENT = (np.zeros((len(OPENXR_NAMES), 3)), np.tile([0.0, 0.0, 0.0, 1.0], (len(OPENXR_NAMES), 1)))


def openxr_poses(header: Header, hands: Sequence[HandEstimate], models: Mapping[str, HandModel]) -> PoseArray:
    """The joints of the hands of `surest_by_side`, in the order of `hoi_ros.hand.openxr.TELEOPERATION_NAMES`.

    Positions of the keypoints are those of `HandEstimate.joints`. A hand that is not there has its 25 poses all the
    same, so that a place always means the same joint: at the camera, where no hand can be, and not turned. Isaac Teleop
    fills in the same poses.

    Args:
        header: of the image.
        hands: in the image.
        models: by side.
    """
    surest = surest_by_side(hands)
    message = PoseArray(header=header)
    for side in ('left', 'right'):
        positions, orientations = _ABSENT
        if side in surest:
            hand, model = surest[side], models[side]
            posed = model.forward(hand.pose, hand.shape, hand.translation, vertices=False)
            positions, orientations = openxr_joints(model, posed._replace(keypoints=np.asarray(hand.joints)))
        message.poses += [pose_message(*pose) for pose in zip(positions, orientations)]
    return message
