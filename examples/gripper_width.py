#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Publishes the opening of a gripper that imitates the hand: shortest side of the object plus the gap on both sides."""

import math

import rclpy
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Float64

from hoi_ros.msg import HeldObjectArray

WIDEST = 0.085  # metres, of the gripper


def receive(message):
    if not message.objects:
        return
    thing = max(message.objects, key=lambda thing: thing.score)
    opening = min(thing.size.x, thing.size.y) + 2 * max(thing.gap, 0.0)  # the shortest side of the box
    if not math.isnan(opening):  # NaN: the box or the gap is not known well enough
        width.publish(Float64(data=min(opening, WIDEST)))


rclpy.init()
node = rclpy.create_node('gripper_width')
width = node.create_publisher(Float64, 'gripper_width', 1)
node.create_subscription(HeldObjectArray, 'objects', receive, qos_profile_sensor_data)
try:
    rclpy.spin(node)
except KeyboardInterrupt:
    pass
except Exception:  # also: SIGTERM has shut ROS down
    if rclpy.ok():
        raise
