# SPDX-License-Identifier: Apache-2.0
"""RViz with the configuration of a system."""

from __future__ import annotations

from launch.conditions import IfCondition
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from hoi_ros.launching.arguments import DEPTH
from hoi_ros.launching.arguments import IMAGE
from hoi_ros.launching.arguments import NAMESPACE
from hoi_ros.launching.arguments import package_file
from hoi_ros.launching.arguments import switch
from hoi_ros.nodes.runtime import camera_topics
from hoi_ros.systems import System


def rviz(system: System) -> list[LaunchDescriptionEntity]:
    """The argument `rviz` and what it starts."""
    topics = [f'/{system.name}/{topic}' for topic in system.outputs]
    viewer = Node(
        package='rviz2',
        executable='rviz2',
        arguments=['-d', package_file('rviz', f'{system.name}.rviz')],
        remappings=[
            *((topic, [NAMESPACE, topic]) for topic in topics),
            (camera_topics.COLOUR, IMAGE),
            (camera_topics.DEPTH, DEPTH),
        ],
        condition=IfCondition(LaunchConfiguration('rviz')),
    )
    return [switch('rviz', 'false', f'Show {system.shown} in RViz.'), viewer]
