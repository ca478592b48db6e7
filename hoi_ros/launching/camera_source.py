# SPDX-License-Identifier: Apache-2.0
"""The camera: a RealSense, the simulated one, or a driver that runs already."""

from __future__ import annotations

from collections.abc import Mapping

from launch.actions import GroupAction
from launch.actions import IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import EqualsSubstitution
from launch.substitutions import LaunchConfiguration
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

from hoi_ros.launching.arguments import argument
from hoi_ros.launching.arguments import CAMERA_INFO
from hoi_ros.launching.arguments import DEPTH
from hoi_ros.launching.arguments import IMAGE
from hoi_ros.launching.arguments import NAMESPACE
from hoi_ros.launching.arguments import package_file
from hoi_ros.launching.arguments import start_parameters
from hoi_ros.nodes.runtime import camera_topics


def camera_source(scene: Mapping[str, str]) -> list[LaunchDescriptionEntity]:
    """The argument `camera` and what it starts.

    Args:
        scene: parameters of the simulated camera beyond those of its file.
    """
    camera = LaunchConfiguration('camera')
    simulated = LifecycleNode(
        package='hoi_ros',
        executable='sim_camera_node',
        name='sim_camera',
        namespace=NAMESPACE,
        parameters=[LaunchConfiguration('camera_params_file'), {**scene, **start_parameters()}],
        remappings=[(camera_topics.COLOUR, IMAGE), (camera_topics.DEPTH, DEPTH), (camera_topics.INFO, CAMERA_INFO)],
        output='screen',
        condition=IfCondition(EqualsSubstitution(camera, 'sim')),
    )
    driver = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution([FindPackageShare('realsense2_camera'), 'launch', 'rs_launch.py'])
        ),
        launch_arguments={
            'camera_namespace': 'camera',
            'camera_name': 'camera',
            'align_depth.enable': 'true',
            'enable_sync': 'true',
            'tf_prefix': '',
        }.items(),
    )
    # The driver has an argument tf_prefix, too (since 4.57): ours would rename its frames, and without a group its own
    # value would become that of our nodes.
    realsense = GroupAction([driver], condition=IfCondition(EqualsSubstitution(camera, 'realsense')))
    return [
        argument(
            'camera',
            'realsense',
            'The camera to start: a RealSense, the simulated one, or none where a driver already runs.',
            ['realsense', 'sim', 'none'],
        ),
        argument(
            'camera_params_file', package_file('config', 'sim_camera.yaml'), 'Parameters of the simulated camera.'
        ),
        realsense,
        simulated,
    ]
