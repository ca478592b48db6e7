# SPDX-License-Identifier: Apache-2.0
"""A node around a stage: triggers offer items, one worker runs the stage on the newest, results go out."""

from __future__ import annotations

import abc
import dataclasses
import functools
import math
import threading
import time
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Generic
from typing import Protocol
from typing import TypeVar

from rclpy.impl.implementation_singleton import rclpy_implementation

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.nodes.runtime.diagnostics import Finding
from hoi_ros.nodes.runtime.diagnostics import Level
from hoi_ros.nodes.runtime.enabling import DISABLED
from hoi_ros.nodes.runtime.enabling import Enabling
from hoi_ros.nodes.runtime.frame_statistics import FrameStatistics
from hoi_ros.nodes.runtime.managed_node import ManagedNode
from hoi_ros.nodes.runtime.part import Part
from hoi_ros.nodes.runtime.qos import qos_settings
from hoi_ros.nodes.runtime.settings import Setting
from hoi_ros.nodes.runtime.stamp_watch import latency_of
from hoi_ros.nodes.runtime.throttle import kind_of
from hoi_ros.nodes.runtime.worker import NewestFirstWorker

OUTPUT_QOS_SETTINGS = qos_settings('output_qos', 'the outputs that every frame has', 'reliable')
_OVERLOADED = 'lower the rate of the camera, give the node more threads or a GPU, or end what else uses the CPU'
_HUNG = 5.0
"""Seconds after which an item that is still being processed is reported."""
_RECENT = 2.5
"""Seconds that /diagnostics reports a refused frame, a failure or a caution."""


class Item(Protocol):
    """What a trigger offers: a frame, a tick of a timer."""

    @property
    def stamp(self) -> int:
        """Nanoseconds; 0 where unknown."""


class Stage(Protocol):
    """What a node runs."""

    timings: dict[str, float]
    """Seconds that the parts of the last call took."""

    def reset(self) -> None:
        """Forgets earlier frames."""


AnyStage = TypeVar('AnyStage', bound=Stage)
AnyItem = TypeVar('AnyItem', bound=Item)
Result = TypeVar('Result')


@dataclasses.dataclass(frozen=True)
class _Work(Generic[AnyStage]):
    """An item or a request, and the activation in which it arrived."""

    session: int
    run: Callable[[AnyStage, int], None]
    awaited: bool = False
    """Of a request: whoever asked waits for an answer, whatever fails before."""


class WorkerNode(ManagedNode, abc.ABC, Generic[AnyStage, AnyItem, Result]):
    """Runs a stage on the newest item. Callbacks only store, so services and transitions always answer.

    Args:
        name: name of the node.
        table: its parameters by group.
        parts: what it is assembled from, its triggers among them.
    """

    def __init__(self, name: str, table: Mapping[str, Sequence[Setting]], parts: Sequence[Part]) -> None:
        self._gate = threading.Lock()
        self._worker: NewestFirstWorker[_Work[AnyStage]] | None = None
        self._stage: AnyStage | None = None
        self._cautions: dict[Hashable, tuple[str, float]] = {}
        self._session = self._requested = 0
        self._reset_wanted = self._tune_wanted = False
        self.statistics = FrameStatistics()
        self._enabling = Enabling(self._enabled_changed)
        super().__init__(name, table, (*parts, self._enabling))

    # A system brings these:

    @abc.abstractmethod
    def load_stage(self) -> AnyStage:
        """Loads the stage, warms it up and creates the node's outputs; raises what prevents that."""

    @abc.abstractmethod
    def process(self, stage: AnyStage, item: AnyItem) -> Result:
        """Runs the stage on an item; on the worker's thread.

        Raises:
            FrameRefused: the item cannot be used; the text is reported, and the node goes on.
        """

    @abc.abstractmethod
    def publish(self, item: AnyItem, result: Result, session: int) -> None:
        """Publishes a result; on the worker's thread.

        Args:
            item: what was processed.
            result: of `process`.
            session: the activation, for `publish_within` where something is published later.
        """

    def tune(self, stage: AnyStage) -> None:
        """Hands the live parameters to the stage; on the worker's thread."""

    # Triggers and parts use these:

    def offer(self, item: AnyItem) -> None:
        """Leaves an item for the worker; it replaces one that waits. A disabled node ignores it."""
        worker = self._worker  # a transition on its own thread may be taking it away
        if (
            worker
            and self._enabling.enabled
            and worker.offer(_Work(self._session, functools.partial(self._process, item)))
        ):
            self.statistics.dropped()

    def request(self, run: Callable[[AnyStage], None]) -> bool:
        """Leaves a request for the worker, which no item replaces; False where the node does not work."""
        worker = self._worker
        if worker is None or self.idle_reason:
            return False
        worker.request(_Work(self._session, functools.partial(self._answer, run), awaited=True))
        return True

    def give_way(self) -> bool:
        """Processes the item that waits, in the middle of a request; on the worker's thread.

        A request that takes longer than an item may wait calls it between its steps.

        Returns:
            Whether the node has been active and enabled since the request arrived; otherwise nobody awaits its result.
        """
        worker = self._worker
        if worker and self._requested == self._session:
            worker.give_way()
        return self._requested == self._session

    @property
    def requested_session(self) -> int:
        """The activation in which the request arrived that is being answered; on the worker's thread."""
        return self._requested

    @property
    def idle_reason(self) -> str:
        """Why the node does not work, with the remedy; an empty text where it does."""
        if self.state != 'active':
            return f'{self.state}: activate it'
        return '' if self._enabling.enabled else f'{DISABLED}: call it with data: true'

    def reset_before_next(self) -> None:
        """The stage forgets earlier frames before the next item."""
        self._reset_wanted = True

    def caution(self, text: str, subject: Hashable = None) -> None:
        """Reports in the log and on /diagnostics what is wrong with an item that is used all the same.

        Args:
            text: the whole sentence.
            subject: what it is about; the text without its numbers by default.
        """
        subject = kind_of(text) if subject is None else subject
        now = time.monotonic()
        recent = {other: said for other, said in self._cautions.items() if now - said[1] < _RECENT}
        self._cautions = {**recent, subject: (text, now)}
        self.report('warning', text, subject)

    def publish_within(self, session: int, publish: Callable[[], None]) -> bool:
        """Publishes unless the node was deactivated or disabled since that activation; whether it did."""
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
        super().load()
        stage = self.load_stage()
        self._stage = stage
        self._worker = NewestFirstWorker(functools.partial(self._work, stage), name='inference')

    def unload(self) -> None:
        worker, self._worker, self._stage = self._worker, None, None
        if worker:
            worker.stop()
        super().unload()

    def start(self) -> None:
        self._cautions = {}
        self.statistics = FrameStatistics()
        self._reset_wanted = self._tune_wanted = True
        super().start()

    def stop(self) -> None:
        self._end_session()
        if self._worker:
            self._worker.clear()
        super().stop()

    def settings_changed(self) -> None:
        self._tune_wanted = True
        super().settings_changed()

    def findings(self) -> list[Finding]:
        if not self._enabling.enabled:
            return [Finding(Level.OK, DISABLED)]
        found = super().findings()
        now = time.monotonic()
        found += [Finding(Level.WARN, text) for text, at in self._cautions.values() if now - at < _RECENT]
        worker = self._worker
        if worker and (busy := worker.busy()) > _HUNG:
            text = (
                f'the stage has not answered for {busy:.0f} s, and nothing is published: its device may hang; restart '
                'the node, with another backend or device if that recurs'
            )
            found.append(Finding(Level.ERROR, text))
            self.report('error', text, 'hung')
        if behind := self.statistics.overload():
            text = f'{behind}: {_OVERLOADED}'
            found.append(Finding(Level.WARN, text))
            self.report('warning', text)
        if failure := self.statistics.recent_failure(_RECENT):
            found.append(Finding(Level.ERROR, f'failed: {failure}'))
        if rejection := self.statistics.recent_rejection(_RECENT):
            found.append(Finding(Level.ERROR, f'refused: {rejection}'))
        return found

    def values(self) -> dict[str, object]:
        idle = bool(self.idle_reason)
        if idle:
            self.statistics.forget_results()
        values = {**self.statistics.values(), **super().values()}
        if stage := self._stage:
            timings = dict(stage.timings).items()  # a copy: the worker changes them meanwhile
            values.update({f'stage_{part}_ms': math.nan if idle else seconds * 1e3 for part, seconds in timings})
        return values

    def _enabled_changed(self) -> None:
        if self._enabling.enabled:
            self._cautions = {}
            self.reset_before_next()
        else:
            self._end_session()

    def _end_session(self) -> None:
        with self._gate:
            # What is still being computed belongs to the session before, and is not published.
            self._session += 1

    # On the worker's thread:

    def _work(self, stage: AnyStage, work: _Work[AnyStage]) -> None:
        try:
            if self._tune_wanted:
                self._tune_wanted = False
                self.tune(stage)
            if self._reset_wanted:
                self._reset_wanted = False
                stage.reset()
        except Exception as error:  # a failing device must not end the worker
            self._failed(error)
            if not work.awaited:
                return
        work.run(stage, work.session)

    def _process(self, item: AnyItem, stage: AnyStage, session: int) -> None:
        if session != self._session:
            return  # it waited while the node was disabled
        begun = time.perf_counter()
        try:
            result = self.process(stage, item)
            if not self.publish_within(session, lambda: self.publish(item, result, session)):
                return
        except FrameRefused as error:
            self.statistics.rejected(str(error))
            self.report('warning', f'frame refused: {error}')
        except Exception as error:  # one bad frame or a failing device must not end the node
            self._failed(error)
        else:
            self.statistics.processed(time.perf_counter() - begun, self._age(item.stamp))

    def _answer(self, run: Callable[[AnyStage], None], stage: AnyStage, session: int) -> None:
        self._requested = session
        try:
            self.give_way()
            run(stage)
        except Exception as error:  # reported; whoever asked is told by the service
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        if self.context.ok():
            self.statistics.failed(f'{type(error).__name__}: {error}')
            self.report('error', f'frame failed: {type(error).__name__}: {error}')

    def _age(self, stamp: int) -> float:
        return latency_of(stamp, self.get_clock().now().nanoseconds)


AnyWorkerNode = WorkerNode[Any, Any, Any]
