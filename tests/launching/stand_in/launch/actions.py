# SPDX-License-Identifier: Apache-2.0
from . import perform


class DeclareLaunchArgument:
    condition = None

    def __init__(self, name, *, default_value, description, choices=None):
        self.name, self.default_value, self.description, self.choices = name, default_value, description, choices

    def execute(self, context):
        value = context.launch_configurations.setdefault(self.name, perform(context, self.default_value))
        if self.choices and value not in self.choices:
            raise RuntimeError(f'argument {self.name!r} has value {value!r}, expected one of {self.choices}')


class GroupAction:
    def __init__(self, actions, *, condition=None):
        self._actions, self.condition = actions, condition

    def get_sub_entities(self):
        return self._actions


class IncludeLaunchDescription:
    condition = None

    def __init__(self, source, *, launch_arguments):
        self.source, self.launch_arguments = source, tuple(launch_arguments)


class ResetLaunchConfigurations:
    condition = None


class SetEnvironmentVariable:
    condition = None

    def __init__(self, name, value):
        self.name, self.value = name, value


class OpaqueFunction:
    condition = None

    def __init__(self, *, function, args=()):
        self._function, self._arguments = function, args

    def execute(self, context):
        return self._function(context, *self._arguments)
