# SPDX-License-Identifier: Apache-2.0
"""What the examples use of ROS 2's tf2_geometry_msgs, for machines that have none."""

import numpy as np
from geometry_msgs.msg import PoseStamped
from scipy.spatial.transform import Rotation


def do_transform_pose_stamped(pose, transform):
    turn, place = (
        [getattr(part, axis) for axis in axes]
        for part, axes in ((transform.transform.rotation, 'xyzw'), (transform.transform.translation, 'xyz'))
    )
    position, orientation = pose.pose.position, pose.pose.orientation
    turned = PoseStamped(header=transform.header)
    moved = Rotation.from_quat(turn).apply([position.x, position.y, position.z]) + np.array(place)
    both = Rotation.from_quat(turn) * Rotation.from_quat([getattr(orientation, axis) for axis in 'xyzw'])
    for part, names, values in (
        (turned.pose.position, 'xyz', moved),
        (turned.pose.orientation, 'xyzw', both.as_quat()),
    ):
        for name, value in zip(names, values.tolist()):
            setattr(part, name, value)
    return turned
