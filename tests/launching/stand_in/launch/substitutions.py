# SPDX-License-Identifier: Apache-2.0
from . import perform


class LaunchConfiguration:
    def __init__(self, name):
        self._name = name

    def perform(self, context):
        return context.launch_configurations[self._name]


class PathJoinSubstitution:
    def __init__(self, parts):
        self._parts = parts

    def perform(self, context):
        return '/'.join(perform(context, part) for part in self._parts)
