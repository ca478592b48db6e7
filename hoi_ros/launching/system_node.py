# SPDX-License-Identifier: Apache-2.0
"""The node of a system, its topics and its parameters."""

from __future__ import annotations

from launch.actions import OpaqueFunction
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from hoi_ros.launching.arguments import argument
from hoi_ros.launching.arguments import CAMERA_INFO
from hoi_ros.launching.arguments import DEPTH
from hoi_ros.launching.arguments import given_parameters
from hoi_ros.launching.arguments import IMAGE
from hoi_ros.launching.arguments import NAMESPACE
from hoi_ros.launching.arguments import package_file
from hoi_ros.systems import System
from launch import LaunchContext

_IMAGES = [
    ('image', IMAGE),
    ('depth', DEPTH),
    ('camera_info', CAMERA_INFO),
    ('region', LaunchConfiguration('region')),
    ('regions', LaunchConfiguration('regions')),
]
"""Topics of a node that reads images."""


def system_node(system: System, params_file: str = 'params_file') -> list[LaunchDescriptionEntity]:
    """The node of a system and the arguments that are its own.

    Args:
        system: its entry.
        params_file: name of the argument with the parameter file; another one for a second system of a launch file.
    """
    regions = [
        argument('region', 'region', 'Topic of the region that holds the hand (sensor_msgs/RegionOfInterest).'),
        argument('regions', 'regions', 'Topic of boxes that hold the hands (vision_msgs/Detection2DArray).'),
    ]
    return [
        *(regions if system.images else []),
        argument(params_file, package_file('config', f'{system.name}.yaml'), f'Parameters of the {system.name} node.'),
        OpaqueFunction(function=_node, args=[system, params_file]),
    ]


def _node(context: LaunchContext, system: System, params_file: str) -> list[LifecycleNode]:
    return [
        LifecycleNode(
            package='hoi_ros',
            executable=f'{system.name}_node',
            name=system.name,
            namespace=NAMESPACE,
            parameters=[
                LaunchConfiguration(params_file),
                *given_parameters(context, 'autostart', 'use_sim_time', 'tf_prefix'),
            ],
            remappings=_IMAGES if system.images else [],
            output='screen',
        )
    ]
