# SPDX-License-Identifier: Apache-2.0
"""What the examples use of ROS 2's tf2_ros, for machines that have none: one transform for each stamp."""

import time

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.duration import Duration
from rclpy.time import Time
from tf2_msgs.msg import TFMessage


class TransformException(Exception):
    """No such transform."""


class Buffer:
    """Knows the transforms that it received, each at its stamp; interpolates nothing."""

    def __init__(self):
        self.transforms = {}

    def lookup_transform(self, target_frame, source_frame, time_, timeout=Duration()):
        assert time_.nanoseconds > 0, 'the transform of the stamp is wanted, not the latest'
        end = time.monotonic() + timeout.nanoseconds / 1e9
        wanted = target_frame, source_frame, time_.nanoseconds
        while wanted not in self.transforms:
            if time.monotonic() > end:
                raise TransformException(f'no transform from {source_frame} to {target_frame} at that time')
            time.sleep(0.005)
        return self.transforms[wanted]


class TransformListener:
    """Fills a buffer from /tf, beside the callbacks of the node."""

    def __init__(self, buffer, node):
        self._buffer = buffer
        node.create_subscription(TFMessage, '/tf', self._receive, 100, callback_group=ReentrantCallbackGroup())

    def _receive(self, message):
        for each in message.transforms:
            stamp = Time.from_msg(each.header.stamp).nanoseconds
            self._buffer.transforms[each.header.frame_id, each.child_frame_id, stamp] = each
