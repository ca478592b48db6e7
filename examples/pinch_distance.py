#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Publishes the distance of thumb tip and index tip of the surest right hand, metres."""

import contextlib

import numpy as np
import rclpy
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Float64

from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray


def receive(message):
    right = [hand for hand in message.hands if hand.side == Hand.RIGHT]
    if not right:
        return
    hand = max(right, key=lambda hand: hand.score)
    if min(hand.joint_scores[Hand.THUMB_TIP], hand.joint_scores[Hand.INDEX_TIP]) < 0.3:
        return  # a fingertip is occluded
    joints = np.reshape(hand.joints, (21, 3))
    pinch.publish(Float64(data=float(np.linalg.norm(joints[Hand.THUMB_TIP] - joints[Hand.INDEX_TIP]))))


rclpy.init()
node = rclpy.create_node('pinch_distance')
pinch = node.create_publisher(Float64, 'pinch_distance', 1)
node.create_subscription(HandArray, 'hands', receive, qos_profile_sensor_data)
with contextlib.suppress(KeyboardInterrupt):
    rclpy.spin(node)
