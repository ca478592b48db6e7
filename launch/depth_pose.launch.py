# SPDX-License-Identifier: Apache-2.0
"""Hands from a depth camera: the depth_pose node, a camera before it, RViz behind it on request.

ros2 launch hoi_ros depth_pose.launch.py camera:=sim rviz:=true
"""

from launch import LaunchDescription
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

IMAGE = '/camera/camera/color/image_raw'
DEPTH = '/camera/camera/aligned_depth_to_color/image_raw'
CAMERA_INFO = '/camera/camera/color/camera_info'

SHARE = FindPackageShare('hoi_ros')


def declare(name: str, default, description: str, choices: list[str] | None = None) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)


def generate_launch_description() -> LaunchDescription:
    """The nodes, and an argument for each thing that differs from robot to robot."""
    camera = LaunchConfiguration('camera')
    namespace = LaunchConfiguration('namespace')
    image = LaunchConfiguration('image')
    depth = LaunchConfiguration('depth')
    camera_info = LaunchConfiguration('camera_info')
    started = {
        'autostart': ParameterValue(LaunchConfiguration('autostart'), value_type=bool),
        'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool),
    }

    depth_pose = LifecycleNode(
        package='hoi_ros',
        executable='depth_pose_node',
        name='depth_pose',
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
        parameters=[LaunchConfiguration('camera_params_file'), started],
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
        arguments=['-d', PathJoinSubstitution([SHARE, 'rviz', 'depth_pose.rviz'])],
        remappings=[('/depth_pose/markers', [namespace, '/depth_pose/markers']), (DEPTH, depth)],
        condition=IfCondition(LaunchConfiguration('rviz')),
    )

    return LaunchDescription(
        [
            declare(
                'camera',
                'realsense',
                'The camera to start: a RealSense, the simulated one, or none where a driver already runs.',
                ['realsense', 'sim', 'none'],
            ),
            declare('image', IMAGE, 'Colour image topic (sensor_msgs/Image).'),
            declare('depth', DEPTH, 'Depth image topic, aligned to the colour image (sensor_msgs/Image).'),
            declare('camera_info', CAMERA_INFO, 'Calibration topic of both images (sensor_msgs/CameraInfo).'),
            declare(
                'region',
                'region',
                'Topic that says where to look for the hand (sensor_msgs/RegionOfInterest).',
            ),
            declare(
                'regions',
                'regions',
                'Topic of boxes to look for hands in (vision_msgs/Detection2DArray).',
            ),
            declare('namespace', '', 'Namespace of the nodes.'),
            declare(
                'params_file',
                PathJoinSubstitution([SHARE, 'config', 'depth_pose.yaml']),
                'Parameters of the depth_pose node.',
            ),
            declare(
                'camera_params_file',
                PathJoinSubstitution([SHARE, 'config', 'sim_camera.yaml']),
                'Parameters of the simulated camera.',
            ),
            declare(
                'autostart',
                'true',
                'Configure and activate the nodes; false leaves it to a lifecycle manager.',
                ['true', 'false'],
            ),
            declare('use_sim_time', 'false', 'Take the time from /clock.', ['true', 'false']),
            declare('rviz', 'false', 'Show markers, depth image and TF in RViz.', ['true', 'false']),
            realsense,
            sim_camera,
            depth_pose,
            rviz,
        ]
    )
