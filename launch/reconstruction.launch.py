# SPDX-License-Identifier: Apache-2.0
"""Hands and what they hold from an RGB or RGB-D camera: the reconstruction node, a camera before it, RViz behind it on
request. Without a depth topic the node works on the colours alone.

ros2 launch hoi_ros reconstruction.launch.py camera:=sim rviz:=true
"""

from hoi_ros.launching.stage_launch import stage_launch
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """The nodes, and an argument for each thing that differs from robot to robot."""
    return stage_launch('reconstruction', 'markers, boxes, colour image and TF', {'object': 'can'})
