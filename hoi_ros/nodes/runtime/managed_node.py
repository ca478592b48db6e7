# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node that all nodes of the package are: parameters, parts, transitions, autostart, diagnostics."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TypeVar

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.lifecycle import LifecycleNodeMixin
from rclpy.lifecycle import LifecyclePublisher
from rclpy.lifecycle import LifecycleState
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.qos import QoSProfile

from hoi_ros.nodes.runtime.autostart import Autostart
from hoi_ros.nodes.runtime.diagnostics import DiagnosticsPublisher
from hoi_ros.nodes.runtime.diagnostics import Finding
from hoi_ros.nodes.runtime.diagnostics import Level
from hoi_ros.nodes.runtime.parameter_sources import unknown_parameters
from hoi_ros.nodes.runtime.parameter_sources import unused_sources
from hoi_ros.nodes.runtime.part import Part
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.settings import Settings
from hoi_ros.nodes.runtime.throttle import Throttle
from hoi_ros.nodes.runtime.transitions import Transitions

Made = TypeVar('Made')
LIFECYCLE_SETTINGS = (
    Setting('autostart', True, 'Configure and activate without a lifecycle manager; retry while that fails.'),
)
_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_DIAGNOSTICS_PERIOD = 1.0  # seconds


class ManagedNode(LifecycleNodeMixin, Node):
    """Calls the hooks of its parts and its own through the lifecycle.

    Transitions run on a thread of their own. Configuring may fail: the node then reports the reason in the log and on
    /diagnostics, stays alive and can be configured again.

    Args:
        name: name of the node.
        table: its parameters by group, `autostart` among them.
        parts: what it is assembled from.

    Attributes:
        settings: values of the parameters.
        closing: whether the process ends: long work may give up.
    """

    def __init__(self, name: str, table: Mapping[str, Sequence[Setting]], parts: Sequence[Part] = ()) -> None:
        Node.__init__(self, name)
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self.closing = False
        self._throttle = Throttle()
        self._fault = ''
        self._autostart: Autostart | None = None
        self._outputs: list[LifecyclePublisher] = []
        self._transitions = Transitions(self)
        self._parts = tuple(parts)
        for part in self._parts:
            part.attach(self)
        settings = [setting for group in table.values() for setting in group]
        self.settings = Settings(self, settings, lambda: self.state, self._settings_changed)
        self._diagnostics = DiagnosticsPublisher(self)
        self.create_timer(_DIAGNOSTICS_PERIOD, self._diagnose, clock=Clock(clock_type=ClockType.STEADY_TIME))
        misspelt, foreign = unknown_parameters(list(self._parameter_overrides), list(self._parameters))
        self._unused = [*misspelt, *unused_sources(sys.argv[1:], self.get_fully_qualified_name())]
        for text in (*self._unused, *foreign):
            self.get_logger().warning(text)
        self._report_faults()
        if self.settings['autostart']:
            # Nothing begins before an executor serves the node.
            self.create_guard_condition(self._begin).trigger()

    # A node overrides these; each also calls its parts.

    def load(self) -> None:
        """Loads what the node needs and creates its outputs; on the thread of the transitions.

        Raises:
            Exception: its text is reported, and the node stays unconfigured.
        """
        for part in self._parts:
            part.load()

    def unload(self) -> None:
        """Releases all or part of what `load` created, without waiting for work in progress; on the executor's thread,
        as `start` and `stop`."""
        for part in reversed(self._parts):
            part.unload()

    def start(self) -> None:
        """Starts working."""
        for part in self._parts:
            part.start()

    def stop(self) -> None:
        """Stops working, without waiting for work in progress."""
        for part in reversed(self._parts):
            part.stop()

    def settings_changed(self) -> None:
        """Takes over live parameters; on the executor's thread."""
        for part in self._parts:
            part.settings_changed()

    def findings(self) -> list[Finding]:
        """What an active node reports."""
        return [finding for part in self._parts for finding in part.findings()]

    def values(self) -> dict[str, object]:
        """Figures for /diagnostics."""
        return {name: value for part in self._parts for name, value in part.values().items()}

    # A node and its parts use these.

    @property
    def state(self) -> str:
        """Label of the lifecycle state: unconfigured, inactive, active, or that of a transition."""
        return self._state_machine.current_state[1]

    def create_output(self, message_type: type, topic: str, qos: QoSProfile) -> LifecyclePublisher:
        """A publisher that exists until the node is cleaned up and is silent while the node is inactive."""
        publisher = self.on_executor(lambda: self.create_lifecycle_publisher(message_type, topic, qos))
        self._outputs.append(publisher)
        return publisher

    def on_executor(self, change: Callable[[], Made]) -> Made:
        """Runs on the executor's thread what creates or destroys topics, services and timers, and waits for it."""
        return self._transitions.on_executor(change)

    def report(self, severity: str, text: str, subject: object = None) -> None:
        """Logs a recurring event, throttled by subject.

        Args:
            severity: 'info', 'warning' or 'error'.
            text: the whole sentence.
            subject: what it is about; the text itself by default.
        """
        if not self._throttle.allows(text if subject is None else subject):
            return
        # rclpy refuses another severity from the same line.
        match severity:
            case 'info':
                self.get_logger().info(text)
            case 'warning':
                self.get_logger().warning(text)
            case _:
                self.get_logger().error(text)

    def close(self) -> None:
        """Stops everything before the node is destroyed. Safe to call twice."""
        self.closing = True
        if self._autostart:
            self._autostart.stop()
        self._transitions.close()
        self.stop()
        self.unload()

    # Lifecycle:

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        if self.settings.faults:
            return self._cannot_be_configured('; '.join(self.settings.faults.values()))
        self.get_logger().info('configuring: where networks are loaded, this takes some seconds')
        try:
            self.load()
        except Exception as error:  # any cause is reported, and the node stays alive
            self._clear()
            return self._cannot_be_configured(str(error) or type(error).__name__)
        self._fault = ''
        self.get_logger().info('configured')
        return _SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        super().on_activate(state)
        try:
            self._transitions.on_executor(self.start)
        except Exception as error:  # reported; the node stays inactive and can be activated again
            self.on_deactivate(state)
            self._fault = f'cannot be activated: {error or type(error).__name__}'
            self.report('error', self._fault)
            return _FAILURE
        self._fault = ''
        self.get_logger().info('active')
        return _SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._transitions.on_executor(self.stop)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._clear()
        return _SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._transitions.on_executor(self.stop)
        self._clear()
        return _SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._transitions.on_executor(self.stop)
        self._clear()
        self._fault = 'a transition failed; see the log'
        return _SUCCESS

    def _cannot_be_configured(self, reason: str) -> TransitionCallbackReturn:
        if not self.closing:
            self._fault = f'cannot be configured: {reason}'
            self.report('error', self._fault)
        return _FAILURE

    def _clear(self) -> None:
        self._transitions.on_executor(self._release)

    def _release(self) -> None:
        self.unload()
        for publisher in self._outputs:
            self.destroy_lifecycle_publisher(publisher)
        self._outputs.clear()

    def _begin(self) -> None:
        self._autostart = Autostart(self._start)

    def _start(self) -> bool:
        if self.settings.faults:
            # /diagnostics and the log say which; a node that configures accepts no parameter.
            return False
        if self.state == 'unconfigured' and not self._transitions.run(self.trigger_configure):
            return self.state != 'unconfigured'
        return self.state != 'inactive' or self._transitions.run(self.trigger_activate)

    def _settings_changed(self) -> None:
        self.settings_changed()
        if self._autostart:
            self._autostart.hurry()

    def _report_faults(self) -> None:
        for reason in self.settings.faults.values():
            self.report('error', reason)

    def _namesakes(self) -> list[str]:
        """What to do about other nodes of this name, which share its topics and parameters."""
        own = self.get_name(), self.get_namespace()
        others = self.get_node_names_and_namespaces().count(own) - 1
        if others < 1:
            return []
        text = (
            f'{others + 1} nodes are called {self.get_fully_qualified_name()}: their topics and parameters mix; rename '
            'this one with --ros-args -r __node:=NAME, or end the other one; a killed one counts for some seconds'
        )
        self.report('warning', text, 'namesakes')
        return [text]

    def _diagnose(self) -> None:
        self._report_faults()
        faults = (self._fault, *self.settings.faults.values())
        findings = [Finding(Level.ERROR, text) for text in dict.fromkeys(faults) if text]
        findings += [Finding(Level.WARN, text) for text in (*self._unused, *self._namesakes())]
        if self.state == 'active':
            findings += self.findings()
        else:
            findings.append(Finding(Level.OK, self.state))
        self._diagnostics.publish(findings, {'state': self.state, **self.values()})
