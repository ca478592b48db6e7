# SPDX-License-Identifier: Apache-2.0
"""RViz with the configuration of a system."""

from __future__ import annotations

from launch.actions import OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from hoi_ros.launching.arguments import argument
from hoi_ros.launching.arguments import DEPTH
from hoi_ros.launching.arguments import given_parameters
from hoi_ros.launching.arguments import IMAGE
from hoi_ros.launching.arguments import NAMESPACE
from hoi_ros.launching.arguments import package_file
from hoi_ros.launching.arguments import switch
from hoi_ros.nodes.runtime import camera_topics
from hoi_ros.systems import System
from launch import LaunchContext


def rviz(system: System) -> list[LaunchDescriptionEntity]:
    """The arguments `rviz` and `fixed_frame` and what they start."""
    return [
        switch('rviz', 'false', f'Show {system.shown} in RViz.'),
        argument(
            'fixed_frame', camera_topics.FRAME, "Fixed frame of RViz: the images' frame_id, or one that TF joins to it."
        ),
        OpaqueFunction(function=_viewer, args=[system]),
    ]


def _viewer(context: LaunchContext, system: System) -> list[Node]:
    topics = [f'/{system.name}/{topic}' for topic in system.outputs]
    return [
        Node(
            package='rviz2',
            executable='rviz2',
            arguments=['-d', package_file('rviz', f'{system.name}.rviz'), '-f', LaunchConfiguration('fixed_frame')],
            parameters=given_parameters(context, 'use_sim_time'),
            remappings=[
                *((topic, [NAMESPACE, topic]) for topic in topics),
                (camera_topics.COLOUR, IMAGE),
                (camera_topics.DEPTH, DEPTH),
            ],
            condition=IfCondition(LaunchConfiguration('rviz')),
        )
    ]
