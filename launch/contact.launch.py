# SPDX-License-Identifier: Apache-2.0
"""Contact and grasps of the hands that the reconstruction node publishes: the contact node alone, RViz on request.

ros2 launch hoi_ros contact.launch.py
"""

from hoi_ros.launching.system_launch import node_launch
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """`ros2 launch --show-args` lists the arguments."""
    return node_launch('contact')
