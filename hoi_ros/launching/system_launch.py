# SPDX-License-Identifier: Apache-2.0
"""One system behind a camera: the description of most launch files."""

from __future__ import annotations

from hoi_ros.launching.arguments import common_arguments
from hoi_ros.launching.camera_source import camera_source
from hoi_ros.launching.rviz import rviz
from hoi_ros.launching.system_node import system_node
from hoi_ros.systems import system_of
from hoi_ros.systems import SYSTEMS
from launch import LaunchDescription


def system_launch(name: str) -> LaunchDescription:
    """The camera, the system, the systems that it stands on, and RViz on request.

    Args:
        name: of the system.
    """
    system = system_of(name)
    nodes = system_node(system)
    below = system.stands_on
    while below is not None:
        nodes += system_node(SYSTEMS[below], f'{below}_params_file')
        below = SYSTEMS[below].stands_on
    return LaunchDescription([*common_arguments(), *camera_source(system.scene), *nodes, *rviz(system)])
