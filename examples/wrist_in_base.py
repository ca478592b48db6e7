#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Publishes the wrists in the robot's frame. The transform is that of the image's stamp, never the latest one."""

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.duration import Duration
from rclpy.executors import MultiThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from tf2_geometry_msgs import do_transform_pose_stamped
from tf2_ros import Buffer
from tf2_ros import TransformException
from tf2_ros import TransformListener

from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray


def receive(message):
    camera, stamp = message.header.frame_id, Time.from_msg(message.header.stamp)
    try:
        to_base = buffer.lookup_transform('base_link', camera, stamp, timeout=Duration(seconds=0.2))
    except TransformException as error:
        node.get_logger().warning(f'wrists are skipped: {error}', throttle_duration_sec=5.0)
        return
    for hand in message.hands:
        wrist = PoseStamped(header=message.header, pose=hand.wrist)
        outputs[hand.side].publish(do_transform_pose_stamped(wrist, to_base))


rclpy.init()
node = rclpy.create_node('wrist_in_base')
buffer = Buffer()
listener = TransformListener(buffer, node)
topics = {Hand.LEFT: 'left_wrist', Hand.RIGHT: 'right_wrist'}
outputs = {side: node.create_publisher(PoseStamped, topic, 10) for side, topic in topics.items()}
node.create_subscription(HandArray, 'hands', receive, qos_profile_sensor_data)
try:
    rclpy.spin(node, MultiThreadedExecutor(2))  # transforms arrive while `receive` waits for one
except KeyboardInterrupt:
    pass
except Exception:  # also: SIGTERM has shut ROS down
    if rclpy.ok():
        raise
