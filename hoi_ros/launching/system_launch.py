# SPDX-License-Identifier: Apache-2.0
"""The descriptions of the launch files: a system behind a camera, or a node that stands on another."""

from __future__ import annotations

from hoi_ros.launching.arguments import common_arguments
from hoi_ros.launching.camera_source import camera_source
from hoi_ros.launching.rviz import rviz
from hoi_ros.launching.system_node import system_node
from hoi_ros.systems import system_of
from launch import LaunchDescription


def system_launch(name: str) -> LaunchDescription:
    """The camera, the system, the systems that it stands on, and RViz on request.

    Args:
        name: of the system.
    """
    system = system_of(name)
    nodes = system_node(system)
    for below in system.below:
        nodes += system_node(below, f'{below.name}_params_file')
    return LaunchDescription([*common_arguments(), *camera_source(system.scene), *nodes, *rviz(system)])


def node_launch(name: str) -> LaunchDescription:
    """The node of a system that stands on another, whose nodes run already, and RViz on request.

    Args:
        name: of the system.
    """
    system = system_of(name)
    return LaunchDescription([*common_arguments(), *system_node(system), *rviz(system)])
