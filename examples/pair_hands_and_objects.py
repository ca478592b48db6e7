#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the hands and the held objects of one image together: their messages have the same stamp."""

import rclpy
from rclpy.qos import qos_profile_sensor_data

from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObjectArray

waiting = {}  # the messages of each stamp, until both are there


def receive(message):
    stamp = message.header.stamp.sec, message.header.stamp.nanosec
    pair = waiting.setdefault(stamp, {})
    pair[type(message)] = message
    if len(pair) == 2:
        del waiting[stamp]
        held = {thing.hand_id: thing for thing in pair[HeldObjectArray].objects}
        for hand in pair[HandArray].hands:
            print(f'hand {hand.id}:', f'holds, {held[hand.id].score:.2f}' if hand.id in held else 'empty', flush=True)
    elif len(waiting) > 10:
        del waiting[next(iter(waiting))]  # the other message of that image was lost


rclpy.init()
node = rclpy.create_node('pair_hands_and_objects')
for kind, topic in ((HandArray, 'hands'), (HeldObjectArray, 'objects')):
    node.create_subscription(kind, topic, receive, qos_profile_sensor_data)
try:
    rclpy.spin(node)
except KeyboardInterrupt:
    pass
except Exception:  # also: SIGTERM has shut ROS down
    if rclpy.ok():
        raise
