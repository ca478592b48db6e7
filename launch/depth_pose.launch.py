# SPDX-License-Identifier: Apache-2.0
"""Hands from a depth camera: the depth_pose node, a camera, RViz on request.

ros2 launch hoi_ros depth_pose.launch.py camera:=sim rviz:=true
"""

from hoi_ros.launching.system_launch import system_launch
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """`ros2 launch --show-args` lists the arguments."""
    return system_launch('depth_pose')
