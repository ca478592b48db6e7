# SPDX-License-Identifier: Apache-2.0
"""From a camera to grasps: the nodes of all systems that stand on each other, a camera, RViz on request.

ros2 launch hoi_ros pipeline.launch.py camera:=sim rviz:=true
"""

from hoi_ros.launching.system_launch import system_launch
from hoi_ros.systems import PIPELINE
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """`ros2 launch --show-args` lists the arguments."""
    return system_launch(PIPELINE)
