# SPDX-License-Identifier: Apache-2.0
"""The launch file of a system that does not exist."""

from hoi_ros.launching.system_launch import system_launch
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """`ros2 launch --show-args` lists the arguments."""
    return system_launch('nearest_point')
