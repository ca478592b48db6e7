# SPDX-License-Identifier: Apache-2.0
"""Evaluates launch descriptions where ROS 2's `launch` is not installed: the few classes that the package uses."""


class LaunchDescription:
    def __init__(self, entities):
        self.entities = list(entities)

    def get_launch_arguments(self):
        return [entity for entity in self.entities if hasattr(entity, 'default_value')]


class LaunchContext:
    def __init__(self):
        self.launch_configurations = {}


def perform(context, value):
    """The text of a substitution, a list of substitutions or a text."""
    if isinstance(value, list | tuple):
        return ''.join(perform(context, part) for part in value)
    return value.perform(context) if hasattr(value, 'perform') else str(value)
