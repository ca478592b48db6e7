# SPDX-License-Identifier: Apache-2.0
"""What the launch files have in common: a stage's node, a camera before it, RViz behind it on request."""

from __future__ import annotations

from collections.abc import Mapping

from launch.actions import DeclareLaunchArgument
from launch.actions import IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import EqualsSubstitution
from launch.substitutions import LaunchConfiguration
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

IMAGE = '/camera/camera/color/image_raw'
DEPTH = '/camera/camera/aligned_depth_to_color/image_raw'
CAMERA_INFO = '/camera/camera/color/camera_info'

SHARE = FindPackageShare('hoi_ros')


def stage_launch(stage: str, shown: str, simulated: Mapping[str, str] | None = None) -> LaunchDescription:
    """The nodes, and an argument for each thing that differs from robot to robot.

    Args:
        stage: name of the stage, of its node, and of its parameter and RViz files.
        shown: what RViz shows, for the description of its argument.
        simulated: parameters of the simulated camera beyond those of its file.
    """
    camera = LaunchConfiguration('camera')
    namespace = LaunchConfiguration('namespace')
    image = LaunchConfiguration('image')
    depth = LaunchConfiguration('depth')
    camera_info = LaunchConfiguration('camera_info')
    started = {
        'autostart': ParameterValue(LaunchConfiguration('autostart'), value_type=bool),
        'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool),
    }

    node = LifecycleNode(
        package='hoi_ros',
        executable=f'{stage}_node',
        name=stage,
        namespace=namespace,
        parameters=[LaunchConfiguration('params_file'), started],
        remappings=[
            ('image', image),
            ('depth', depth),
            ('camera_info', camera_info),
            ('region', LaunchConfiguration('region')),
            ('regions', LaunchConfiguration('regions')),
        ],
        output='screen',
    )
    sim_camera = LifecycleNode(
        package='hoi_ros',
        executable='sim_camera_node',
        name='sim_camera',
        namespace=namespace,
        parameters=[LaunchConfiguration('camera_params_file'), {**(simulated or {}), **started}],
        remappings=[(IMAGE, image), (DEPTH, depth), (CAMERA_INFO, camera_info)],
        output='screen',
        condition=IfCondition(EqualsSubstitution(camera, 'sim')),
    )
    realsense = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution([FindPackageShare('realsense2_camera'), 'launch', 'rs_launch.py'])
        ),
        launch_arguments={
            'camera_namespace': 'camera',
            'camera_name': 'camera',
            'align_depth.enable': 'true',
            'enable_sync': 'true',
        }.items(),
        condition=IfCondition(EqualsSubstitution(camera, 'realsense')),
    )
    rviz = Node(
        package='rviz2',
        executable='rviz2',
        arguments=['-d', PathJoinSubstitution([SHARE, 'rviz', f'{stage}.rviz'])],
        remappings=[
            *((f'/{stage}/{topic}', [namespace, f'/{stage}/{topic}']) for topic in ('markers', 'object_boxes')),
            (IMAGE, image),
            (DEPTH, depth),
        ],
        condition=IfCondition(LaunchConfiguration('rviz')),
    )

    return LaunchDescription(
        [
            _declare(
                'camera',
                'realsense',
                'The camera to start: a RealSense, the simulated one, or none where a driver already runs.',
                ['realsense', 'sim', 'none'],
            ),
            _declare('image', IMAGE, 'Colour image topic (sensor_msgs/Image).'),
            _declare('depth', DEPTH, 'Depth image topic, aligned to the colour image (sensor_msgs/Image).'),
            _declare('camera_info', CAMERA_INFO, 'Calibration topic of both images (sensor_msgs/CameraInfo).'),
            _declare(
                'region',
                'region',
                'Topic that says where to look for the hand (sensor_msgs/RegionOfInterest).',
            ),
            _declare(
                'regions',
                'regions',
                'Topic of boxes to look for hands in (vision_msgs/Detection2DArray).',
            ),
            _declare('namespace', '', 'Namespace of the nodes.'),
            _declare(
                'params_file',
                PathJoinSubstitution([SHARE, 'config', f'{stage}.yaml']),
                f'Parameters of the {stage} node.',
            ),
            _declare(
                'camera_params_file',
                PathJoinSubstitution([SHARE, 'config', 'sim_camera.yaml']),
                'Parameters of the simulated camera.',
            ),
            _declare(
                'autostart',
                'true',
                'Configure and activate the nodes; false leaves it to a lifecycle manager.',
                ['true', 'false'],
            ),
            _declare('use_sim_time', 'false', 'Take the time from /clock.', ['true', 'false']),
            _declare('rviz', 'false', f'Show {shown} in RViz.', ['true', 'false']),
            realsense,
            sim_camera,
            node,
            rviz,
        ]
    )


def _declare(name: str, default, description: str, choices: list[str] | None = None) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)
