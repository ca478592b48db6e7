# SPDX-License-Identifier: Apache-2.0
"""The trigger of nodes that read topics: joins messages to frames by their stamps and reports what is missing."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image

from hoi_ros.nodes.runtime.diagnostics import Finding
from hoi_ros.nodes.runtime.diagnostics import Level
from hoi_ros.nodes.runtime.input_watch import InputWatch
from hoi_ros.nodes.runtime.input_watch import Order
from hoi_ros.nodes.runtime.missing_topics import mend_of_losses
from hoi_ros.nodes.runtime.missing_topics import other_types
from hoi_ros.nodes.runtime.missing_topics import reason_of_silence
from hoi_ros.nodes.runtime.pairing import Frame
from hoi_ros.nodes.runtime.pairing import Pairing
from hoi_ros.nodes.runtime.pairing import PATIENCE
from hoi_ros.nodes.runtime.part import Part
from hoi_ros.nodes.runtime.qos import is_latched
from hoi_ros.nodes.runtime.qos import LATCHED
from hoi_ros.nodes.runtime.qos import qos_profile
from hoi_ros.nodes.runtime.qos import qos_settings
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.stamp_watch import duration
from hoi_ros.nodes.runtime.stamp_watch import StampWatch
from hoi_ros.nodes.runtime.worker_node import AnyWorkerNode

INPUT_SETTINGS = (
    Setting(
        'input_timeout', 1.0, 'An input that is silent for longer is reported as missing, s.', 0.1, 60.0, live=True
    ),
    *qos_settings('input_qos', 'the inputs', 'best_effort'),
)
_FOLLOW_PERIOD = 0.25  # seconds
_SLOW = 3
"""Intervals of an optional input after which it is silent."""
_UNMATCHED = 3
"""Frames in a row without their optional input before that is reported: a starting driver may miss one."""
_RARE = 0.8
"""Messages of an input for each of another one with which it makes frames, below which that is reported."""
_UNPAIRED = 5
"""Messages of the leader in a row without a frame before that is reported."""


class Role(enum.Enum):
    """What an input is to a frame."""

    LEADER = 'leader'
    """Its messages make the frames."""
    PARTNER = 'partner'
    """Every frame needs its message of the leader's stamp."""
    OPTIONAL = 'optional'
    """Paired by stamp where it arrives; frames are processed without it otherwise."""
    LATEST = 'latest'
    """Every frame takes its newest message, whatever the stamp: a calibration, a topology. Read from the time that the
    node is configured, whether latched or repeated, and kept from one activation to the next."""
    HINT = 'hint'
    """Not read: named in the report about a missing input when somebody publishes it."""


@dataclasses.dataclass(frozen=True)
class Input:
    """One topic that a node reads; its messages have a header."""

    name: str
    message_type: type
    topic: str
    role: Role
    qos: QoSProfile | None = None
    """None for that of the parameters `input_qos`."""
    tolerance: float = 0.0
    """Largest difference from the leader's stamp, s; of a partner or an optional input."""
    without: str = ''
    """Of an optional input: the consequence for a frame without it, as the end of a sentence."""
    mend: str = ''
    """Of an optional input: what to do where its stamps do not match."""
    spare: str = ''
    """Of an optional input: what to do where there is none."""


class FrameInputs(Part[AnyWorkerNode]):
    """Subscribes while the node is active and offers each complete frame.

    Args:
        inputs: the topics to read, one of them the leader; called when the node is configured.
    """

    def __init__(self, inputs: Callable[[], Sequence[Input]]) -> None:
        self._list = inputs
        self._inputs: dict[str, Input] = {}
        self._readers: list[Subscription] = []
        self._repeated: dict[str, Subscription] = {}
        self._latched: dict[str, Subscription] = {}
        self._follower: Timer | None = None
        self._latest: dict[str, Any] = {}
        self._heard: dict[str, collections.deque[int]] = {}
        self._watch, self._stamps = InputWatch(()), StampWatch()
        self._unmatched: dict[str, int] = {}
        self._unpaired = 0
        self._arrived: set[str] = set()
        self._said_missing: set[str] = set()
        self.leader = ''

    def where(self, name: str) -> str:
        """An input and its topic as log lines name it."""
        return f'{name} on {self.topic(name)}'

    def topic(self, name: str) -> str:
        """The resolved topic of an input."""
        return self.node.resolve_topic_name(self._inputs[name].topic)

    def load(self) -> None:
        self._inputs = {each.name: each for each in self._list()}
        (self.leader,) = self._named(Role.LEADER)
        self.node.on_executor(self._listen_to_latest)

    def unload(self) -> None:
        follower, self._follower = self._follower, None
        if follower:
            self.node.destroy_timer(follower)
        for readers in (self._repeated, self._latched):
            while readers:
                self.node.destroy_subscription(readers.popitem()[1])
        self._latest = {}

    def start(self) -> None:
        optional = {name: self._inputs[name] for name in self._named(Role.OPTIONAL)}
        tolerance = max((self._inputs[name].tolerance for name in self._named(Role.PARTNER)), default=0.0)
        self._pairing = Pairing(
            self.leader,
            self._named(Role.PARTNER),
            self._named(Role.LATEST),
            round(tolerance * 1e9),
            optional={name: round(each.tolerance * 1e9) for name, each in optional.items()},
            alive=self._is_alive,
        )
        self._unmatched, self._arrived, self._said_missing = dict.fromkeys(optional, 0), set(), set()
        self._unpaired = 0
        self._watch, self._stamps = InputWatch(tuple(self._inputs)), StampWatch()
        default = qos_profile(self.node.settings, 'input_qos')
        for name, message in self._latest.items():
            self._pairing.put(name, 0, message)
        for each in self._inputs.values():
            if each.role not in (Role.HINT, Role.LATEST):
                take = functools.partial(self._take, each)
                self._readers.append(
                    self.node.create_subscription(each.message_type, each.topic, take, each.qos or default)
                )

    def stop(self) -> None:
        readers, self._readers = self._readers, []
        for reader in readers:
            self.node.destroy_subscription(reader)

    def findings(self) -> list[Finding]:
        found = []
        for name in self._inputs:
            if self._is_missing(name):
                found.append(Finding(Level.ERROR, self._describe_missing(name)))
                self.node.report('warning', found[-1].text, ('missing', name))
                self._said_missing.add(name)
        alive = [name for name in self._inputs if self._is_alive(name)]
        for text in dict.fromkeys(self._stamps.describe(name, self.where(name)) for name in alive):
            if text:
                found.append(Finding(Level.WARN, text))
                self.node.report('warning', text)
        if self._unpaired > _UNPAIRED and not found:
            found += [finding for name in self._named(Role.PARTNER) if (finding := self._unpaired_partner(name))]
        beside = [(self.leader, name) for role in (Role.PARTNER, Role.LATEST) for name in self._named(role)]
        beside += [(name, self.leader) for role in (Role.PARTNER, Role.OPTIONAL) for name in self._named(role)]
        found += [finding for name, other in beside if (finding := self._rare(name, other))]
        return found + [finding for name in self._unmatched if (finding := self._silent_optional(name))]

    def values(self) -> dict[str, object]:
        values: dict[str, object] = {
            'missing_inputs': ', '.join(name for name in self._inputs if self._is_missing(name))
        }
        for name, each in self._inputs.items():
            if each.role in (Role.PARTNER, Role.OPTIONAL, Role.LATEST) and self._readers:
                skew = self._watch.skew(self.leader, name)
                values[f'{name}_skew_ms'] = math.nan if skew is None else skew * 1e3
        return values

    def _named(self, role: Role) -> list[str]:
        return [each.name for each in self._inputs.values() if each.role is role]

    def _listen_to_latest(self) -> None:
        for name in self._named(Role.LATEST):
            each = self._inputs[name]
            given = each.qos or qos_profile(self.node.settings, 'input_qos')
            qos = QoSProfile(
                history=given.history,
                depth=given.depth,
                reliability=given.reliability,
                durability=DurabilityPolicy.VOLATILE,
            )
            self._heard[name] = collections.deque(maxlen=8)
            take = functools.partial(self._take_latest, name)
            self._repeated[name] = self.node.create_subscription(each.message_type, each.topic, take, qos)
        if self._repeated:
            self._follow_latched()
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._follower = self.node.create_timer(_FOLLOW_PERIOD, self._follow_latched, clock=steady)

    def _follow_latched(self) -> None:
        """Adds a latched subscription where there is a latched publisher: a volatile one misses what was sent before.

        A volatile publisher would warn in its own log that a latched subscription is incompatible with it.
        """
        for name, repeated in self._repeated.items():
            publishers = self.node.get_publishers_info_by_topic(self.topic(name))
            if not any(is_latched(publisher.qos_profile) for publisher in publishers):
                if name in self._latched:
                    self.node.destroy_subscription(self._latched.pop(name))
            elif name not in self._latched:
                each, silent = self._inputs[name], SubscriptionEventCallbacks(use_default_callbacks=False)
                self._latched[name] = self.node.create_subscription(
                    each.message_type, each.topic, repeated.callback, LATCHED, event_callbacks=silent
                )

    def _take_latest(self, name: str, message: Any, info: Mapping[str, int]) -> None:
        # A latched publisher is heard by both subscriptions.
        source, heard = info['source_timestamp'], self._heard[name]
        if source and source in heard:
            return
        heard.append(source)
        self._latest[name] = message
        if self._readers:
            stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            self._watch.arrived(name, stamp)
            self._pairing.put(name, stamp, message)

    def _take(self, origin: Input, message: Any) -> None:
        node = self.node
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        late = self._watch.order(origin.name, stamp) is Order.LATE
        pause = self._watch.arrived(origin.name, None if late else stamp)
        self._stamps.arrived(origin.name, stamp, node.get_clock().now().nanoseconds)
        if origin.name in self._said_missing and pause > node.settings['input_timeout']:
            node.get_logger().info(f'{self.where(origin.name)} is back after {pause:.1f} s')
        self._said_missing.discard(origin.name)
        if origin.role is Role.LEADER:
            node.statistics.received()
            self._unpaired += 1
        elif origin.role is Role.OPTIONAL:
            self._arrived.add(origin.name)
        if late:
            self._drop_late(origin)
            return
        frame = self._pairing.put(origin.name, stamp, message)
        if frame is None:
            return
        self._unpaired = 0
        self._note_unmatched(frame)
        if frame.restarted:
            node.report(
                'warning', f'the stamps of {self.where(self.leader)} went backwards: tracking restarts', 'backwards'
            )
            node.reset_before_next()
        node.offer(frame)

    def _drop_late(self, origin: Input) -> None:
        if origin.role is Role.LEADER:
            self.node.statistics.late()
        self.node.report(
            'info', f'{self.where(origin.name)} is out of order: messages older than the newest are dropped'
        )

    def _is_missing(self, name: str) -> bool:
        role = self._inputs[name].role
        if role in (Role.HINT, Role.OPTIONAL) or self.node.state != 'active':
            return False
        silent = self._watch.silence(name) > self.node.settings['input_timeout']
        # Some drivers publish a calibration once.
        return silent and name not in self._latest

    def _is_alive(self, name: str) -> bool:
        longest = self.node.settings['input_timeout']
        if self._inputs[name].role is Role.OPTIONAL:
            # A slow camera is silent between two images.
            longest = max(longest, _SLOW * self._pairing.interval(name) / 1e9)
        return self._watch.seen(name) and self._watch.silence(name) <= longest

    def _is_there(self, name: str) -> bool:
        match self._inputs[name].role:
            case Role.HINT:
                return bool(self.node.count_publishers(self.topic(name)))
            case Role.OPTIONAL:
                return self._is_alive(name)
            case _:
                # A calibration that is repeated stops with its camera.
                return self._is_alive(name) or (not self._watch.repeated(name) and not self._is_missing(name))

    def _describe_missing(self, name: str) -> str:
        others = [self.where(other) for other in self._inputs if other != name and self._is_there(other)]
        beside = f'; there is {" and ".join(others)}' if others else ''
        if not others and self._watch.seen(name):
            beside = '; it arrived before, and nothing else arrives any more: the camera has stopped'
        return self._describe_silence(name) + beside

    def _describe_silence(self, name: str) -> str:
        topic = self.topic(name)
        each = self._inputs[name]
        qos = each.qos if each.qos and each.role is not Role.LATEST else qos_profile(self.node.settings, 'input_qos')
        others = [self.topic(other) for other in self._inputs if other != name]
        cause = reason_of_silence(self.node, name, each.message_type, topic, qos, others, each.topic)
        if each.role is Role.LATEST and cause.startswith('nothing arrives'):
            cause += ', or it was sent before this node listened: latch or repeat it'
        return f'no {name} on {topic} for {self._watch.silence(name):.1f} s: {cause}'

    def _note_unmatched(self, frame: Frame) -> None:
        """Counts frames in a row that lack an optional input although its messages arrive."""
        for name in self._unmatched:
            if name in frame.messages:
                self._unmatched[name] = 0
            elif name in frame.unmatched and name in self._arrived:
                self._unmatched[name] += 1
                if self._unmatched[name] >= _UNMATCHED:
                    text = self._describe_unmatched(name, frame.unmatched[name] / 1e6)
                    self.node.caution(text, ('unmatched', name))
        self._arrived.clear()

    def _describe_unmatched(self, name: str, offset_ms: float) -> str:
        given, leader = self._inputs[name], self.where(self.leader)
        skew, lag = self._watch.skew(self.leader, name), self._pairing.lag(name)
        if skew is not None and abs(skew) <= given.tolerance and lag > PATIENCE:
            return (
                f'{self.where(name)} arrives {lag / 1e6:.0f} ms or more after {leader}, expected within '
                f'{PATIENCE / 1e6:.0f} ms; {given.without}: have it arrive sooner, with a lower resolution or rate, or '
                'another transport'
            )
        offset = f'{abs(offset_ms):.0f} ms' if abs(offset_ms) < 1e5 else duration(abs(offset_ms) / 1e3)
        return (
            f'{self.where(name)} does not match {leader}: its nearest stamp is '
            f'{offset} {"later" if offset_ms > 0 else "earlier"}, expected within '
            f'{given.tolerance * 1e3:.0f} ms; {given.without}: {given.mend}'
        )

    def _unpaired_partner(self, name: str) -> Finding | None:
        """Reports that a partner arrives with other stamps than the leader's."""
        skew, tolerance = self._watch.skew(self.leader, name), self._inputs[name].tolerance
        if skew is None or abs(skew) <= tolerance:
            return None
        text = (
            f'{self.where(name)} does not match {self.where(self.leader)}: its nearest stamp is {abs(skew) * 1e3:g} ms '
            f'{"later" if skew > 0 else "earlier"}, expected within {tolerance * 1e3:g} ms; no frame is complete: both '
            'must carry the stamp of one image'
        )
        self.node.report('warning', text, ('unpaired', name))
        return Finding(Level.WARN, text)

    def _rare(self, name: str, of: str) -> Finding | None:
        """Reports that an input arrives less often than another one with which it makes frames."""
        share = self._watch.share(name, of)
        if share is None or share >= _RARE or not (self._is_alive(name) and self._is_alive(of)):
            return None
        topic, given = self.topic(name), self._inputs[name]
        text = (
            f'{self.where(name)} arrives {share:.0%} as often as {self.where(of)}, in irregular intervals: messages '
            'get lost on their way'
        )
        if given.role is Role.OPTIONAL:
            text += f', and without them {given.without}'
        if given.message_type in (CompressedImage, Image) and given.qos is None:
            text += f'; {mend_of_losses(self.node, topic, qos_profile(self.node.settings, "input_qos"))}'
        self.node.report('warning', text, ('rare', name))
        return Finding(Level.WARN, text)

    def _silent_optional(self, name: str) -> Finding | None:
        """Reports that an optional input is silent while the leader is not."""
        timeout = self.node.settings['input_timeout']
        if self.node.state != 'active' or self._watch.silence(name) <= timeout or self._is_alive(name):
            return None
        if self._watch.silence(self.leader) > timeout:
            return None
        given = self._inputs[name]
        text = f'{self._describe_silence(name)}; {given.without}'
        if not (self._watch.seen(name) or other_types(self.node, self.topic(name), given.message_type)):
            text += f': {given.spare}'
        self.node.report('warning', text, ('silent', name))
        self._said_missing.add(name)
        return Finding(Level.WARN, text)
