# SPDX-License-Identifier: Apache-2.0
"""The camera: a RealSense, the simulated one, or a driver that runs already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from launch.actions import GroupAction
from launch.actions import IncludeLaunchDescription
from launch.actions import OpaqueFunction
from launch.actions import ResetLaunchConfigurations
from launch.actions import SetEnvironmentVariable
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from hoi_ros.launching.arguments import argument
from hoi_ros.launching.arguments import CAMERA_INFO
from hoi_ros.launching.arguments import DEPTH
from hoi_ros.launching.arguments import given_parameters
from hoi_ros.launching.arguments import IMAGE
from hoi_ros.launching.arguments import NAMESPACE
from hoi_ros.launching.arguments import package_file
from hoi_ros.nodes.runtime import camera_topics
from hoi_ros.nodes.runtime.image_transport import room_for_images
from launch import LaunchContext

_DRIVER = {
    'align_depth.enable': 'true',
    'enable_sync': 'true',
    'rgb_camera.color_profile': '640x480x30',
    'depth_module.depth_profile': '640x480x30',
    'depth_module.color_profile': '640x480x30',
}
"""Arguments of the driver where the user gives no others. Its own profiles are those of the device, 1280×720 for most,
whose images take three times as long on their way."""
_NAMES = {'camera_namespace': 'camera', 'camera_name': 'camera', 'tf_prefix': ''}
"""Those that name its topics and frames, which are the defaults of ours, whatever a launch file around it sets."""
_PARAMETERS = package_file('config', 'sim_camera.yaml')


def camera_source(scene: Mapping[str, str]) -> list[LaunchDescriptionEntity]:
    """The argument `camera` and what it starts.

    Args:
        scene: parameters of the simulated camera beyond those of our file; another file says all of its own.
    """
    return [
        argument(
            'camera',
            'realsense',
            'The camera to start: a RealSense, to whose driver all arguments of rs_launch.py are handed; the simulated '
            'one; or none where a driver already runs.',
            ['realsense', 'sim', 'none'],
        ),
        argument(
            'camera_params_file',
            _PARAMETERS,
            'Parameters of the simulated camera; a file of your own says its scene, too.',
        ),
        OpaqueFunction(function=_camera, args=[scene]),
    ]


def _camera(context: LaunchContext, scene: Mapping[str, str]) -> list[LaunchDescriptionEntity]:
    match LaunchConfiguration('camera').perform(context):
        case 'realsense':
            return [_realsense(context)]
        case 'sim':
            return [_simulated(context, scene)]
        case _:
            return []


def _realsense(context: LaunchContext) -> GroupAction:
    """The driver in a group of its own, which gets those of our arguments that it declares.

    It warns of each other one, and `tf_prefix` (since 4.57) means another thing to it: ours would rename its frames.
    """
    path = package_file('launch', 'rs_launch.py', package='realsense2_camera').perform(context)
    source = PythonLaunchDescriptionSource(path)
    declared = {each.name for each in source.get_launch_description(context).get_launch_arguments()}
    values = {**_DRIVER, **context.launch_configurations, **_NAMES}
    arguments = {name: value for name, value in values.items() if name in declared}
    return GroupAction(
        [
            ResetLaunchConfigurations(),
            *(SetEnvironmentVariable(name, value) for name, value in room_for_images().items()),
            IncludeLaunchDescription(source, launch_arguments=arguments.items()),
        ]
    )


def _simulated(context: LaunchContext, scene: Mapping[str, str]) -> LifecycleNode:
    file = LaunchConfiguration('camera_params_file')
    ours = Path(file.perform(context)).resolve() == Path(_PARAMETERS.perform(context)).resolve()
    return LifecycleNode(
        package='hoi_ros',
        executable='sim_camera_node',
        name='sim_camera',
        namespace=NAMESPACE,
        parameters=[
            file,
            dict(scene) if ours else {},
            *given_parameters(context, 'autostart', 'use_sim_time'),
        ],
        remappings=[(camera_topics.COLOUR, IMAGE), (camera_topics.DEPTH, DEPTH), (camera_topics.INFO, CAMERA_INFO)],
        output='screen',
    )
