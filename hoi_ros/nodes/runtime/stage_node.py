# SPDX-License-Identifier: Apache-2.0
"""A node around a stage: topics in, one worker that runs the stage on the newest frame, results out."""

from __future__ import annotations

import abc
import dataclasses
import functools
import math
import threading
import time
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Sequence
from typing import Any
from typing import Generic
from typing import Protocol
from typing import TypeVar

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.subscription import Subscription
from std_msgs.msg import Header

from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.nodes.runtime.diagnostics import Finding
from hoi_ros.nodes.runtime.diagnostics import Level
from hoi_ros.nodes.runtime.frame_statistics import FrameStatistics
from hoi_ros.nodes.runtime.input_watch import InputWatch
from hoi_ros.nodes.runtime.managed_node import ManagedNode
from hoi_ros.nodes.runtime.pairing import Frame
from hoi_ros.nodes.runtime.pairing import Pairing
from hoi_ros.nodes.runtime.qos import qos_profile
from hoi_ros.nodes.runtime.qos import qos_settings
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.worker import NewestFirstWorker

_RECENT = 2.5  # seconds that a refused frame is spoken of on /diagnostics
_UNMATCHED = 3  # frames in a row that find no companion before it is said: one may, where a driver starts

_SETTINGS = (
    Setting(
        'input_timeout',
        1.0,
        'An input that is silent for longer is reported as missing, seconds.',
        0.1,
        60.0,
        live=True,
    ),
    *qos_settings('input_qos', 'the inputs', 'best_effort'),
    *qos_settings('output_qos', 'the outputs that every frame has', 'reliable'),
)


class Stage(Protocol):
    """What a stage has, whatever it reads and returns."""

    timings: dict[str, float]
    """Seconds that the parts of the last call took."""

    def reset(self) -> None:
        """Forgets the frames before."""


AnyStage = TypeVar('AnyStage', bound=Stage)
Result = TypeVar('Result')


@dataclasses.dataclass(frozen=True)
class Input:
    """One topic that a node reads; its messages have a header."""

    name: str
    message_type: type
    topic: str
    role: str
    """'leader' makes the frames; a 'partner' is paired with it by its stamp; so is a 'companion', without which
    frames go on where it is silent or its stamps do not match; of a 'constant' the newest message serves; a
    'neighbour' is not read: it is named where it is there and an input is missing."""
    tolerance: float = 0.0
    """Of a companion: the largest difference of its stamp from the leader's, seconds."""
    without: str = ''
    """Of a companion: what follows for a frame that goes on without it, as a sentence's end."""
    mend: str = ''
    """Of a companion: what to do where its stamps do not match."""


class StageNode(ManagedNode, abc.ABC, Generic[AnyStage, Result]):
    """Runs a stage on the newest frame; its callbacks only store, so that its services always answer.

    Args:
        name: of the node.
        table: parameters beyond those that all stages share.
        tolerance: the largest difference of the stamps of leader and partners, seconds.

    Attributes:
        leader: name of the input that makes the frames.
    """

    def __init__(self, name: str, table: Sequence[Setting], tolerance: float = 0.0) -> None:
        self._tolerance = round(tolerance * 1e9)
        self._gate = threading.Lock()
        self._worker: NewestFirstWorker[tuple[int, Frame]] | None = None
        self._stage: AnyStage | None = None
        self._inputs: dict[str, Input] = {}
        self.leader = ''
        self._readers: list[Subscription] = []
        self._statistics = FrameStatistics()
        self._watch = InputWatch(())
        self._unmatched: dict[str, int] = {}
        self._arrived: set[str] = set()
        self._cautions: dict[Hashable, tuple[str, float]] = {}
        self._session = 0
        self._reset_wanted = self._retune_wanted = False
        super().__init__(name, (*_SETTINGS, *table))

    # What a system brings:

    @abc.abstractmethod
    def inputs(self) -> Sequence[Input]:
        """The topics to read, one of them the leader."""

    @abc.abstractmethod
    def load_stage(self) -> AnyStage:
        """Loads the stage, warms it up and creates the node's outputs. Raises what keeps it from that."""

    @abc.abstractmethod
    def tune(self, stage: AnyStage) -> None:
        """Hands the live parameters to the stage; on the worker's thread."""

    @abc.abstractmethod
    def read(self, stage: AnyStage, frame: Frame) -> Result:
        """Runs the stage on a frame; on the worker's thread.

        Raises:
            ImageFormatError, CalibrationError: the frame cannot be used.
        """

    @abc.abstractmethod
    def publish(self, session: int, header: Header, result: Result) -> None:
        """Publishes what was read, under the header of the leading message; on the worker's thread.

        Args:
            session: number of the activation, for `publish_within` where something is published later.
            header: of the leading message.
            result: of `read`.
        """

    # What it may use:

    def where(self, name: str) -> str:
        """An input and its topic as the log names it."""
        return f'{name} on {self.resolve_topic_name(self._inputs[name].topic)}'

    def caution(self, text: str, subject: Hashable = None) -> None:
        """Says in the log and on /diagnostics what is wrong with a frame that is used all the same.

        Args:
            text: the whole sentence.
            subject: what it is about, where the text changes from frame to frame.
        """
        subject = text if subject is None else subject
        now = time.monotonic()
        self._cautions = {other: said for other, said in self._cautions.items() if now - said[1] < _RECENT}
        self._cautions[subject] = text, now
        self.report('warning', text, subject)

    def publish_within(self, session: int, publish: Callable[[], None]) -> bool:
        """Publishes unless the node was deactivated since that session began; whether it did."""
        with self._gate:
            if session != self._session:
                return False
            try:
                publish()
            except rclpy_implementation.RCLError:
                if self.context.ok():
                    raise
                return False  # the process is told to end
        return True

    # The managed node:

    def load(self) -> None:
        self._inputs = {each.name: each for each in self.inputs()}
        (self.leader,) = (each.name for each in self._inputs.values() if each.role == 'leader')
        stage = self.load_stage()
        self._stage = stage
        self._worker = NewestFirstWorker(functools.partial(self._work, stage), name='inference')

    def unload(self) -> None:
        worker, self._worker, self._stage = self._worker, None, None
        if worker:
            worker.stop()

    def start(self) -> None:
        roles = {
            role: [each.name for each in self._inputs.values() if each.role == role]
            for role in ('partner', 'constant', 'companion')
        }
        companions = {name: round(self._inputs[name].tolerance * 1e9) for name in roles['companion']}
        self._pairing = Pairing(
            self.leader,
            roles['partner'],
            roles['constant'],
            self._tolerance,
            companions=companions,
            alive=self._is_alive,
        )
        self._unmatched, self._arrived, self._cautions = dict.fromkeys(companions, 0), set(), {}
        self._statistics, self._watch = FrameStatistics(), InputWatch(tuple(self._inputs))
        self._reset_wanted = self._retune_wanted = True
        qos = qos_profile(self.settings, 'input_qos')
        for each in self._inputs.values():
            if each.role != 'neighbour':
                take = functools.partial(self._take, each)
                self._readers.append(self.create_subscription(each.message_type, each.topic, take, qos))

    def stop(self) -> None:
        with self._gate:
            # What is still being computed belongs to the session before, and is not published.
            self._session += 1
        if self._worker:
            self._worker.clear()
        readers, self._readers = self._readers, []
        for reader in readers:
            self.destroy_subscription(reader)

    def settings_changed(self) -> None:
        self._retune_wanted = True

    def findings(self) -> list[Finding]:
        found = []
        for name in self._inputs:
            if self._is_missing(name):
                found.append(Finding(Level.STALE, self._describe_missing(name)))
                self.report('warning', found[-1].text, ('missing', name))
        found += [finding for name in self._unmatched if (finding := self._companion_finding(name))]
        found += [Finding(Level.WARN, text) for text, at in self._cautions.values() if time.monotonic() - at < _RECENT]
        if failure := self._statistics.recent_failure(_RECENT):
            found.append(Finding(Level.ERROR, f'failed: {failure}'))
        if rejection := self._statistics.recent_rejection(_RECENT):
            found.append(Finding(Level.ERROR, f'refused: {rejection}'))
        return found

    def values(self) -> dict[str, object]:
        values = self._statistics.values()
        values['missing_inputs'] = ', '.join(name for name in self._inputs if self._is_missing(name))
        for name, each in self._inputs.items():
            if each.role in ('partner', 'companion', 'constant') and self._readers:
                skew = self._watch.skew(self.leader, name)
                values[f'{name}_skew_ms'] = math.nan if skew is None else skew * 1e3
        if stage := self._stage:
            values.update({f'stage_{part}_ms': seconds * 1e3 for part, seconds in stage.timings.items()})
        return values

    # From callback to result:

    def _take(self, origin: Input, message: Any) -> None:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        pause = self._watch.arrived(origin.name, stamp)
        if origin.role == 'leader':
            self._statistics.received()
            if pause > self.settings['input_timeout']:
                self.get_logger().info(f'{self.where(origin.name)} is back after {pause:.1f} s')
                self._reset_wanted = True
        elif origin.role == 'companion':
            self._arrived.add(origin.name)
            if pause > self.settings['input_timeout']:
                self.get_logger().info(f'{self.where(origin.name)} is back after {pause:.1f} s')
        frame = self._pairing.put(origin.name, stamp, message)
        if frame is None:
            return
        self._note_companions(frame)
        if frame.restarted:
            self.report(
                'warning', f'the stamps of {self.where(self.leader)} went backwards: starting over', 'backwards'
            )
            self._reset_wanted = True
        worker = self._worker  # a transition on its own thread may be taking it away
        if worker and worker.offer((self._session, frame)):
            self._statistics.dropped()

    def _work(self, stage: AnyStage, item: tuple[int, Frame]) -> None:
        session, frame = item
        begun = time.perf_counter()
        try:
            if self._retune_wanted:
                self._retune_wanted = False
                self.tune(stage)
            if self._reset_wanted:
                self._reset_wanted = False
                stage.reset()
            result = self.read(stage, frame)
            header = frame.messages[self.leader].header
            if not self.publish_within(session, lambda: self.publish(session, header, result)):
                return
        except (ImageFormatError, CalibrationError) as error:
            self._statistics.rejected(str(error))
            self.report('warning', f'frame refused: {error}')
        except Exception as error:  # one bad frame or a device in trouble must not end the node
            if self.context.ok():
                self._statistics.failed(f'{type(error).__name__}: {error}')
                self.report('error', f'frame failed: {type(error).__name__}: {error}')
        else:
            self._statistics.processed(time.perf_counter() - begun, self._age(frame.stamp))

    def _age(self, stamp: int) -> float:
        return (self.get_clock().now().nanoseconds - stamp) / 1e9 if stamp else math.nan

    def _is_missing(self, name: str) -> bool:
        role = self._inputs[name].role
        if role in ('neighbour', 'companion') or self.state != 'active':
            return False
        if role == 'constant':
            # Some cameras say it only once.
            return not self._watch.seen(name) and self._watch.silence(name) > self.settings['input_timeout']
        return self._watch.silence(name) > self.settings['input_timeout']

    def _is_alive(self, name: str) -> bool:
        return self._watch.seen(name) and self._watch.silence(name) <= self.settings['input_timeout']

    def _describe_missing(self, name: str) -> str:
        others = [
            self.where(other)
            for other, each in self._inputs.items()
            if other != name
            and (
                self.count_publishers(self.resolve_topic_name(each.topic))
                if each.role == 'neighbour'
                else self._is_alive(other)
                if each.role == 'companion'
                else not self._is_missing(other)
            )
        ]
        beside = f'; there is {" and ".join(others)}' if others else ''
        return self._describe_silence(name) + beside

    def _describe_silence(self, name: str) -> str:
        topic = self.resolve_topic_name(self._inputs[name].topic)
        publishers = self.count_publishers(topic)
        cause = (
            f'nothing arrives of {publishers} publisher(s) there: check the camera and its QoS'
            if publishers
            else 'nobody publishes there: start the camera or remap the topic'
        )
        return f'no {name} on {topic} for {self._watch.silence(name):.1f} s: {cause}'

    def _note_companions(self, frame: Frame) -> None:
        """Counts the frames in a row that went on without a companion although it sent something meanwhile."""
        for name in self._unmatched:
            if name in frame.messages:
                self._unmatched[name] = 0
            elif name in frame.unmatched and name in self._arrived:
                self._unmatched[name] += 1
                if self._unmatched[name] >= _UNMATCHED:
                    self.caution(self._describe_unmatched(name, frame.unmatched[name] / 1e6), ('unmatched', name))
        self._arrived.clear()

    def _describe_unmatched(self, name: str, offset_ms: float) -> str:
        given = self._inputs[name]
        return (
            f'{self.where(name)} does not match {self.where(self.leader)}: its nearest stamp is '
            f'{abs(offset_ms):.0f} ms {"later" if offset_ms > 0 else "earlier"}, expected within '
            f'{given.tolerance * 1e3:.0f} ms; {given.without}: {given.mend}'
        )

    def _companion_finding(self, name: str) -> Finding | None:
        """That a companion is silent while the leader is not: the node works on without it."""
        timeout = self.settings['input_timeout']
        if self.state != 'active' or self._watch.silence(name) <= timeout:
            return None
        if self._watch.silence(self.leader) > timeout:
            return None
        text = f'{self._describe_silence(name)}; {self._inputs[name].without}'
        seen = self._watch.seen(name)
        self.report('warning' if seen else 'info', text, ('silent', name))
        return Finding(Level.WARN if seen else Level.OK, text)
