#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Publishes the distance of thumb tip and index tip, metres: of the surest left hand and of the surest right one.

With hands of depth_pose, occluded fingertips are left out.
"""

import numpy as np
import rclpy
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Float64

from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray


def receive(message):
    said = []
    for side, output in outputs.items():
        hand = max((hand for hand in message.hands if hand.side == side), key=lambda hand: hand.score, default=None)
        if hand is None:
            continue
        if min(hand.joint_scores[Hand.THUMB_TIP], hand.joint_scores[Hand.INDEX_TIP]) < 0.3:
            said.append(f'{output.topic}: a fingertip is occluded')
            continue
        joints = np.reshape(hand.joints, (21, 3))
        distance = float(np.linalg.norm(joints[Hand.THUMB_TIP] - joints[Hand.INDEX_TIP]))
        output.publish(Float64(data=distance))
        said.append(f'{output.topic}: {distance:.3f} m')
    node.get_logger().info('; '.join(said) or 'no hands', throttle_duration_sec=1.0)


rclpy.init()
node = rclpy.create_node('pinch_distance')
topics = {Hand.LEFT: 'left_pinch_distance', Hand.RIGHT: 'right_pinch_distance'}
outputs = {side: node.create_publisher(Float64, topic, 1) for side, topic in topics.items()}
node.create_subscription(HandArray, 'hands', receive, qos_profile_sensor_data)
try:
    rclpy.spin(node)
except KeyboardInterrupt:
    pass
except Exception:  # also: SIGTERM has shut ROS down
    if rclpy.ok():
        raise
