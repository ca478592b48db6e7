# SPDX-License-Identifier: Apache-2.0
"""Hands from a depth camera: the depth_pose node, a camera before it, RViz behind it on request.

ros2 launch hoi_ros depth_pose.launch.py camera:=sim rviz:=true
"""

from hoi_ros.launching.stage_launch import stage_launch
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """The nodes, and an argument for each thing that differs from robot to robot."""
    return stage_launch('depth_pose', 'markers, depth image and TF')
