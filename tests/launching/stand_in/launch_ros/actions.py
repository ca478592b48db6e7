# SPDX-License-Identifier: Apache-2.0
from launch import perform


class Node:
    def __init__(
        self,
        *,
        package,
        executable,
        name=None,
        namespace='',
        parameters=(),
        remappings=(),
        arguments=(),
        output='log',
        condition=None,
    ):
        self._package, self.node_executable, self._name, self._namespace = package, executable, name, namespace
        self._parameters, self._remappings, self._arguments = parameters, remappings, arguments
        self.condition = condition

    def _perform_substitutions(self, context):
        namespace = perform(context, self._namespace)
        self.node_name = f'{namespace.rstrip("/")}/{self._name}'
        self.expanded_remapping_rules = [
            (perform(context, source), perform(context, target)) for source, target in self._remappings
        ]
        self.arguments = [perform(context, argument) for argument in self._arguments]
        self.parameter_files = [perform(context, each) for each in self._parameters if not isinstance(each, dict)]
        self.parameters = {
            name: value.evaluate(context) if hasattr(value, 'evaluate') else value
            for each in self._parameters
            if isinstance(each, dict)
            for name, value in each.items()
        }


class LifecycleNode(Node):
    pass
