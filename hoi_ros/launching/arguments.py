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
from launch import LaunchContext

NAMESPACE = LaunchConfiguration('namespace')
IMAGE, DEPTH, CAMERA_INFO = (LaunchConfiguration(name) for name in ('image', 'depth', 'camera_info'))

_FROM_FILE = 'auto'
"""Value of an argument that leaves a parameter to the parameter file."""
_SWITCH = ['true', 'false', 'True', 'False']
"""Launch files in Python and in XML write them differently, and an argument of the file around it is handed over."""


def argument(name: str, default: Any, description: str, choices: list[str] | None = None) -> DeclareLaunchArgument:
    """A launch argument."""
    return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)


def switch(name: str, default: str, description: str) -> DeclareLaunchArgument:
    """A launch argument that is true or false."""
    return argument(name, default, description, [default, *(each for each in _SWITCH if each != default)])


def package_file(*parts: str, package: str = 'hoi_ros') -> PathJoinSubstitution:
    """A file of an installed package."""
    return PathJoinSubstitution([FindPackageShare(package), *parts])


def common_arguments() -> list[DeclareLaunchArgument]:
    """What camera, nodes and RViz share: topics, namespace, start, clock."""
    return [
        argument('image', camera_topics.COLOUR, 'Colour image topic (sensor_msgs/Image).'),
        argument('depth', camera_topics.DEPTH, 'Depth image topic, aligned to the colour image (sensor_msgs/Image).'),
        argument('camera_info', camera_topics.INFO, 'Calibration topic of both images (sensor_msgs/CameraInfo).'),
        argument('namespace', '', 'Namespace of the nodes.'),
        argument(
            'tf_prefix',
            _FROM_FILE,
            "Prefix of the TF frames; auto is the parameter file's, which is the namespace unless it is set there.",
        ),
        switch(
            'autostart',
            _FROM_FILE,
            "Configure and activate the nodes; false leaves it to a lifecycle manager; auto is the parameter file's.",
        ),
        switch('use_sim_time', _FROM_FILE, "Take the time from /clock; auto is the parameter file's, else false."),
    ]


def given_parameters(context: LaunchContext, *names: str) -> list[dict[str, ParameterValue]]:
    """The parameters of a node that launch arguments set; where none is given, those of files and of other launch files
    stay.

    Args:
        context: of the launch.
        names: of the arguments, which are those of the parameters.
    """
    given = [name for name in names if LaunchConfiguration(name).perform(context) != _FROM_FILE]
    kinds = {'tf_prefix': str}
    values = {name: ParameterValue(LaunchConfiguration(name), value_type=kinds.get(name, bool)) for name in given}
    return [values] if values else []
