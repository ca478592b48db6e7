# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node that all nodes of the package are: parameters, transitions, autostart, diagnostics."""

from __future__ import annotations

from collections.abc import Sequence

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
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.settings import Settings
from hoi_ros.nodes.runtime.throttle import Throttle
from hoi_ros.nodes.runtime.transitions import Transitions

_AUTOSTART = Setting(
    'autostart', True, 'Configure and activate without a lifecycle manager; try again while that fails.'
)
_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_DIAGNOSTICS_PERIOD = 1.0  # seconds


class ManagedNode(LifecycleNodeMixin, Node):
    """A node says what it loads, starts and stops; the rest is here.

    Its transitions run on a thread of their own. Configuring may fail: the node then says why in the log and
    on /diagnostics, lives on and can be configured again.

    Args:
        name: of the node.
        table: its parameters.

    Attributes:
        settings: the parameters' values.
        closing: whether the process ends: what takes long may give up.
    """

    def __init__(self, name: str, table: Sequence[Setting]) -> None:
        Node.__init__(self, name)
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self.closing = False
        self._throttle = Throttle()
        self._fault = ''
        self._autostart: Autostart | None = None
        self._outputs: list[LifecyclePublisher] = []
        self._transitions = Transitions(self)
        self.settings = Settings(self, (_AUTOSTART, *table), lambda: self.state, self._settings_changed)
        self._diagnostics = DiagnosticsPublisher(self)
        self.create_timer(_DIAGNOSTICS_PERIOD, self._diagnose, clock=Clock(clock_type=ClockType.STEADY_TIME))
        for reason in self.settings.faults.values():
            self.get_logger().error(reason)
        if self.settings['autostart']:
            # Nothing begins before an executor serves the node.
            self.create_guard_condition(self._begin).trigger()

    # What a node brings:

    def load(self) -> None:
        """Loads what the node needs and creates its outputs; on the thread of the transitions.

        Raises:
            Exception: its text is reported, and the node stays unconfigured.
        """

    def unload(self) -> None:
        """Gives up what `load` loaded, all or part of it, without waiting for work under way; on the executor's thread,
        as `start` and `stop`."""

    def start(self) -> None:
        """Begins to work."""

    def stop(self) -> None:
        """Ends what `start` began, without waiting for work under way."""

    def settings_changed(self) -> None:
        """Takes over live parameters; on the executor's thread."""

    def findings(self) -> list[Finding]:
        """What is to be said of an active node."""
        return []

    def values(self) -> dict[str, object]:
        """Figures for /diagnostics."""
        return {}

    # What it may use:

    @property
    def state(self) -> str:
        """The state's label: unconfigured, inactive, active, or that of a transition."""
        return self._state_machine.current_state[1]

    def create_output(self, message_type: type, topic: str, qos: QoSProfile) -> LifecyclePublisher:
        """A publisher that lives until the node is cleaned up and is silent while it is inactive."""
        publisher = self._transitions.on_executor(lambda: self.create_lifecycle_publisher(message_type, topic, qos))
        self._outputs.append(publisher)
        return publisher

    def report(self, severity: str, text: str, subject: object = None) -> None:
        """Logs now and then what goes on happening.

        Args:
            severity: 'info', 'warning' or 'error'.
            text: the whole sentence.
            subject: what it is about; the text itself where it is not given.
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
        """Stops everything before the node is destroyed; twice does no harm."""
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
        try:
            self.load()
        except Exception as error:  # whatever is wrong is reported, and the node lives on
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
        self._transitions.on_executor(self._give_up)

    def _give_up(self) -> None:
        self.unload()
        for publisher in self._outputs:
            self.destroy_lifecycle_publisher(publisher)
        self._outputs.clear()

    def _begin(self) -> None:
        self._autostart = Autostart(self._start)

    def _start(self) -> bool:
        if self.settings.faults:
            # Each is said already; while a node configures no parameter can be mended.
            return False
        if self.state == 'unconfigured' and not self._transitions.run(self.trigger_configure):
            return self.state != 'unconfigured'
        return self.state != 'inactive' or self._transitions.run(self.trigger_activate)

    def _settings_changed(self) -> None:
        self.settings_changed()
        if self._autostart:
            self._autostart.hurry()

    def _diagnose(self) -> None:
        faults = (self._fault, *self.settings.faults.values())
        findings = [Finding(Level.ERROR, text) for text in dict.fromkeys(faults) if text]
        if self.state == 'active':
            findings += self.findings()
        else:
            findings.append(Finding(Level.OK, self.state))
        self._diagnostics.publish(findings, {'state': self.state, **self.values()})
