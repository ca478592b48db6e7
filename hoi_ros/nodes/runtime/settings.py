# SPDX-License-Identifier: Apache-2.0
"""The parameters of a node: declared from one table, with ranges, refused with a reason."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import IntegerRange
from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.msg import SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

Value = bool | int | float | str


@dataclasses.dataclass(frozen=True)
class Setting:
    """One parameter."""

    name: str
    default: Value
    """Its type is the type of the parameter."""
    description: str
    lowest: float = math.nan
    """Lowest value; every number has a range, which also excludes NaN and infinity."""
    highest: float = math.nan
    choices: tuple[str, ...] = ()
    """Allowed texts; empty for any."""
    live: bool = False
    """Whether the parameter may change while the node is configured."""

    def __post_init__(self) -> None:
        number = isinstance(self.default, (int, float)) and not isinstance(self.default, bool)
        if number and not self.lowest < self.highest:
            raise ValueError(f'the parameter {self.name} has no range')

    def descriptor(self) -> ParameterDescriptor:
        """The descriptor that `ros2 param describe` prints."""
        when = 'Takes effect at once.' if self.live else 'Takes effect when the node is configured.'
        constraints = f'One of {", ".join(self.choices)}. {when}' if self.choices else when
        # YAML and the command line read true and false as booleans.
        descriptor = ParameterDescriptor(
            description=self.description, additional_constraints=constraints, dynamic_typing='true' in self.choices
        )
        if isinstance(self.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(self.lowest), to_value=float(self.highest))
            ]
        elif isinstance(self.default, int) and not isinstance(self.default, bool):
            descriptor.integer_range = [IntegerRange(from_value=int(self.lowest), to_value=int(self.highest))]
        return descriptor

    def chosen(self, value: Value) -> Value:
        """A value as it is read: true and false among the choices are texts."""
        return str(value).lower() if self.choices and isinstance(value, bool) else value

    def refusal(self, value: Value) -> str:
        """Why a value is refused, or an empty text."""
        if self.choices and self.chosen(value) not in self.choices:
            return f'{self.name} is {value!r}, expected one of {", ".join(self.choices)}'
        return ''


class Settings:
    """The declared parameters of a node.

    A refused start value leaves the default in place and is recorded in `faults`: the node reports it and continues
    once a valid value is set.

    Args:
        node: the node that declares them.
        table: the parameters.
        state: returns the label of the lifecycle state; parameters that are not live change while unconfigured.
        changed: called after each change.

    Attributes:
        faults: refused start values: name → reason.
    """

    def __init__(
        self, node: Node, table: Iterable[Setting], state: Callable[[], str], changed: Callable[[], None]
    ) -> None:
        self._node = node
        self._table = {setting.name: setting for setting in table}
        self._state = state
        self._changed = changed
        self.faults: dict[str, str] = {}
        node.add_on_set_parameters_callback(self._judge)
        for setting in self._table.values():
            self._declare(setting)
        node.add_post_set_parameters_callback(self._accept)

    def __getitem__(self, name: str) -> Any:
        """The value; its type is that of the default."""
        return self._table[name].chosen(self._node.get_parameter(name).value)

    def _declare(self, setting: Setting) -> None:
        try:
            self._node.declare_parameter(setting.name, setting.default, setting.descriptor())
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            self._node.declare_parameter(setting.name, setting.default, setting.descriptor(), ignore_override=True)
            number = ' (write 1.0 for 1)' if isinstance(setting.default, float) else ''
            self.faults[setting.name] = (
                f'parameter refused, the node waits unconfigured: {error}; mend it{number} in the parameter file or '
                f'after -p and start again, or set it with `ros2 param set {self._node.get_fully_qualified_name()} '
                f'{setting.name} ...`'
            )

    def _judge(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            setting = self._table.get(parameter.name)
            if setting is None:
                continue
            reason = setting.refusal(parameter.value)
            if not reason and not setting.live and (state := self._state()) != 'unconfigured':
                reason = f'{setting.name} takes effect when the node is configured: {self._way_there(state)}'
            if reason:
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _way_there(self, state: str) -> str:
        """How a parameter that is not live is changed in a lifecycle state."""
        if state == 'configuring':
            return 'that is under way, set it again in a moment'
        before = 'cleanup' if state == 'inactive' else 'deactivate, cleanup'
        command = f'`ros2 lifecycle set {self._node.get_fully_qualified_name()} ...`'
        return f'{command} with {before} before, and with configure, activate after'

    def _accept(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            self.faults.pop(parameter.name, None)
        self._changed()
