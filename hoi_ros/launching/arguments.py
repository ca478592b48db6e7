# SPDX-License-Identifier: Apache-2.0
"""Launch arguments that the parts share."""

from __future__ import annotations

from typing import Any

from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch.substitutions import PathJoinSubstitution
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from hoi_ros.nodes.runtime import camera_topics

NAMESPACE = LaunchConfiguration('namespace')
IMAGE, DEPTH, CAMERA_INFO = (LaunchConfiguration(name) for name in ('image', 'depth', 'camera_info'))

FROM_FILE = 'auto'
"""Value of `tf_prefix` that leaves the prefix to the parameter file."""


def argument(name: str, default: Any, description: str, choices: list[str] | None = None) -> DeclareLaunchArgument:
    """A launch argument."""
    return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)


def switch(name: str, default: str, description: str) -> DeclareLaunchArgument:
    """A launch argument that is true or false."""
    return argument(name, default, description, ['true', 'false'])


def package_file(*parts: str) -> PathJoinSubstitution:
    """A file of the installed package."""
    return PathJoinSubstitution([FindPackageShare('hoi_ros'), *parts])


def common_arguments() -> list[DeclareLaunchArgument]:
    """What camera, nodes and RViz share: topics, namespace, start, clock."""
    return [
        argument('image', camera_topics.COLOUR, 'Colour image topic (sensor_msgs/Image).'),
        argument('depth', camera_topics.DEPTH, 'Depth image topic, aligned to the colour image (sensor_msgs/Image).'),
        argument('camera_info', camera_topics.INFO, 'Calibration topic of both images (sensor_msgs/CameraInfo).'),
        argument('namespace', '', 'Namespace of the nodes.'),
        argument(
            'tf_prefix',
            FROM_FILE,
            "Prefix of the TF frames; auto is the parameter file's, which is the namespace unless it is set there.",
        ),
        switch('autostart', 'true', 'Configure and activate the nodes; false leaves it to a lifecycle manager.'),
        switch('use_sim_time', 'false', 'Take the time from /clock.'),
    ]


def start_parameters() -> dict[str, ParameterValue]:
    """The parameters of a node that `autostart` and `use_sim_time` set."""
    return {name: ParameterValue(LaunchConfiguration(name), value_type=bool) for name in ('autostart', 'use_sim_time')}
