# SPDX-License-Identifier: Apache-2.0
"""From a camera to two hands: depth_pose, the two_hand_prior node behind it, a camera, RViz on request.

ros2 launch hoi_ros two_hand_prior.launch.py camera:=sim rviz:=true
"""

from hoi_ros.launching.system_launch import system_launch
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """`ros2 launch --show-args` lists the arguments."""
    return system_launch('two_hand_prior')
