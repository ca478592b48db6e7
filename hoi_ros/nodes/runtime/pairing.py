# SPDX-License-Identifier: Apache-2.0
"""Joins the messages of several topics into frames by their stamps. Knows no ROS."""

from __future__ import annotations

import bisect
import collections
import dataclasses
import statistics
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

PATIENCE = 250_000_000
"""Longest time that a frame waits for an optional input, nanoseconds of stamps."""
_RECENT = 8
"""Messages of an optional input from which its interval and its lag are read."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """Messages that belong together.

    Attributes:
        stamp: stamp of the leader's message, nanoseconds.
        messages: messages by input.
        restarted: the stamps went backwards before this frame: a recording restarted, or the clock changed.
        unmatched: optional inputs without a message for this frame: nanoseconds from the frame's stamp to that of
            their nearest message.
    """

    stamp: int
    messages: Mapping[str, Any]
    restarted: bool = False
    unmatched: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Time of the frame for tracking and filters: its stamp, or that of a steady clock where the stamp is 0."""
        return self.stamp / 1e9 if self.stamp else time.monotonic()


class Pairing:
    """Completes each message of the leader with the messages of its partners that are nearest in time.

    A frame is returned as soon as it is complete. A message older than a completed frame is discarded. A frame waits
    for an optional input while a message of it is to be expected that fits better than those received: until one of a
    later stamp arrives, or the leader is further ahead of the frame than it was of the input's recent messages when
    they arrived, or `PATIENCE` has passed. Not thread-safe.

    Args:
        leader: input whose messages make the frames.
        partners: inputs that every frame needs.
        latest: inputs of which every frame takes the newest message, whatever its stamp.
        tolerance: largest difference of stamps within a frame, nanoseconds; 0 for equal stamps.
        depth: messages stored for each input.
        optional: inputs that a frame can lack, each with its own tolerance, nanoseconds.
        alive: whether a frame waits for an optional input.
    """

    def __init__(
        self,
        leader: str,
        partners: Sequence[str] = (),
        latest: Sequence[str] = (),
        tolerance: int = 0,
        depth: int = 8,
        optional: Mapping[str, int] | None = None,
        alive: Callable[[str], bool] = lambda name: True,
    ) -> None:
        self._leader = leader
        self._latest: dict[str, Any] = dict.fromkeys(latest)
        self._optional = dict(optional or {})
        self._kept: dict[str, dict[int, Any]] = {name: {} for name in (leader, *partners, *self._optional)}
        self._needed = (leader, *partners)
        self._last: dict[str, int] = {}
        self._intervals = {name: collections.deque[int](maxlen=_RECENT) for name in self._optional}
        self._lags = {name: collections.deque[int](maxlen=_RECENT) for name in self._optional}
        self._tolerance = tolerance
        self._depth = depth
        self._alive = alive
        self._restarted = False

    def put(self, topic: str, stamp: int, message: Any) -> Frame | None:
        """Takes one message; returns the frame that it completes, or None."""
        if topic in self._latest:
            self._latest[topic] = message
            return None
        if stamp < self._last.get(topic, stamp):
            self._start_over(topic, stamp)
        elif topic in self._optional:
            self._observe(topic, stamp)
        self._last[topic] = stamp
        kept = self._kept[topic]
        kept[stamp] = message
        while len(kept) > self._depth:
            del kept[min(kept)]
        return self._complete()

    def lag(self, name: str) -> int:
        """How far the leader was ahead of the recent messages of an optional input when they arrived, at least,
        nanoseconds."""
        return min(self._lags[name], default=0)

    def interval(self, name: str) -> int:
        """The usual time between messages of an optional input, nanoseconds of stamps; 0 where it is not known."""
        return round(statistics.median(self._intervals[name] or [0]))

    def clear(self) -> None:
        """Discards the messages of leader, partners and optional inputs."""
        for messages in self._kept.values():
            messages.clear()

    def _observe(self, topic: str, stamp: int) -> None:
        if stamp > self._last.get(topic, stamp):
            self._intervals[topic].append(stamp - self._last[topic])
        if self._leader in self._last:
            self._lags[topic].append(max(self._last[self._leader] - stamp, 0))

    def _start_over(self, topic: str, stamp: int) -> None:
        for name in (topic,) if topic in self._optional else self._optional:
            self._intervals[name].clear()
            self._lags[name].clear()
        if topic in self._optional:
            self._kept[topic].clear()
            return
        # Messages of the old time would pair with nothing, or wrongly.
        begun = {
            name: {other: message for other, message in self._kept[name].items() if abs(other - stamp) <= tolerance}
            for name, tolerance in self._optional.items()
        }
        self.clear()
        self._kept |= begun
        self._last = {name: max(kept) for name, kept in begun.items() if kept}
        self._restarted = True

    def _complete(self) -> Frame | None:
        if any(message is None for message in self._latest.values()):
            return None
        if not all(self._kept[topic] for topic in self._needed):
            return None
        leaders = sorted(self._kept[self._leader], reverse=True)
        for stamp in leaders:
            stamps = {topic: nearest(sorted(self._kept[topic]), stamp) for topic in self._needed}
            if any(abs(other - stamp) > self._tolerance for other in stamps.values()):
                continue
            # The store of a leader that waits must not run over.
            full = stamp == leaders[-1] and len(leaders) >= self._depth
            if not full and any(self._may_come_nearer(name, stamp, leaders[0]) for name in self._optional):
                continue
            break
        else:
            return None
        unmatched = {}
        for name, tolerance in self._optional.items():
            if not self._kept[name]:
                continue
            other = nearest(sorted(self._kept[name]), stamp)
            if abs(other - stamp) <= tolerance:
                stamps[name] = other
            else:
                unmatched[name] = other - stamp
        messages = {topic: self._kept[topic][other] for topic, other in stamps.items()}
        for topic, other in stamps.items():
            self._kept[topic] = {left: message for left, message in self._kept[topic].items() if left > other}
        frame = Frame(stamp, {**messages, **self._latest}, self._restarted, unmatched)
        self._restarted = False
        return frame

    def _may_come_nearer(self, name: str, stamp: int, newest: int) -> bool:
        """Whether a later message of an optional input may fit a frame better than those received.

        Args:
            name: of the input.
            stamp: of the frame.
            newest: stamp of the leader's newest message.
        """
        last = self._last.get(name)
        if last is None or last >= stamp or not self._alive(name) or self.lag(name) > PATIENCE:
            return False
        if newest - stamp > min(max(self._lags[name], default=0), PATIENCE):
            return False
        if not self._intervals[name]:
            return True
        # The shortest interval is that of an input that lost nothing.
        interval = min(self._intervals[name])
        offset = abs(last + max(round((stamp - last) / interval), 1) * interval - stamp)
        gap = min((abs(other - stamp) for other in self._kept[name]), default=offset + 1)
        return offset < gap and offset <= self._optional[name]


def nearest(stamps: Sequence[int], stamp: int) -> int:
    """The nearest of sorted stamps (at least one) to a stamp."""
    place = bisect.bisect_left(stamps, stamp)
    return min(stamps[max(place - 1, 0) : place + 1], key=lambda other: abs(other - stamp))
