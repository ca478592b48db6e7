# SPDX-License-Identifier: Apache-2.0
"""When the inputs of a node arrive, and how far apart the stamps of two inputs are. Knows no ROS."""

from __future__ import annotations

import collections
import enum
import itertools
import statistics
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence

from hoi_ros.nodes.runtime.pairing import nearest

_RESTART = 1.0
"""A step back of the stamps by more seconds is a restart (a recording begins again, a clock was set). So are smaller
steps if no newer message follows for as many seconds."""


_KEPT, _FEWEST, _RECENT = 64, 32, 16
"""Stamps of an input that are kept; that a comparison of rates needs; and that the comparison of stamps looks at."""
_LONG, _IRREGULAR = 1.5, 0.1
"""An interval longer than a usual one by the first factor misses messages; an input with a smaller share of such
intervals has a rate of its own."""


class Order(enum.Enum):
    """How a message follows the one before."""

    NEXT = 'next'
    LATE = 'late'
    """Older than one that arrived before: drop it."""
    RESTART = 'restart'
    """The stamps start over."""


class InputWatch:
    """Records arrival times and stamps of inputs. Thread-safe.

    Args:
        inputs: names.
        clock: monotonic seconds.
    """

    def __init__(self, inputs: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._arrivals: dict[str, float] = {}
        self._stamps = {name: collections.deque[int](maxlen=_KEPT) for name in inputs}
        self._newest: dict[str, int] = {}
        self._late_since: dict[str, float] = {}

    def order(self, name: str, stamp: int) -> Order:
        """How the stamps of an input continue with this one, in nanoseconds."""
        with self._lock:
            newest = self._newest.get(name, stamp)
            if stamp < newest:
                begun = self._late_since.setdefault(name, self._clock())
                if newest - stamp <= _RESTART * 1e9 and self._clock() - begun <= _RESTART:
                    return Order.LATE
            self._newest[name] = stamp
            self._late_since.pop(name, None)
        return Order.NEXT if stamp >= newest else Order.RESTART

    def arrived(self, name: str, stamp: int | None) -> float:
        """Records a message with its stamp in nanoseconds; returns the seconds since the previous one.

        Args:
            name: of the input.
            stamp: None for a late message, which does not count for the skew.
        """
        with self._lock:
            now = self._clock()
            pause = now - self._arrivals.get(name, now)
            self._arrivals[name] = now
            stamps = self._stamps[name]
            if stamp is not None:
                if stamps and stamp < stamps[-1]:
                    stamps.clear()
                stamps.append(stamp)
        return pause

    def silence(self, name: str) -> float:
        """Seconds since the last message, or since the start."""
        with self._lock:
            return self._clock() - self._arrivals.get(name, self._since)

    def seen(self, name: str) -> bool:
        """Whether a message has arrived."""
        with self._lock:
            return name in self._arrivals

    def repeated(self, name: str) -> bool:
        """Whether messages have arrived more than once."""
        with self._lock:
            return len(self._stamps[name]) > 1

    def skew(self, first: str, second: str) -> float | None:
        """Median offset of the second input's stamps from the nearest stamps of the first, s; positive where later."""
        with self._lock:
            reference = sorted(self._stamps[first])
            # The counterpart of the newest one may not have arrived, that of the oldest may be forgotten.
            others = [other for other in list(self._stamps[second])[-_RECENT:-1] if reference and other >= reference[0]]
        if not reference or not others:
            return None
        return statistics.median(other - nearest(reference, other) for other in others) / 1e9

    def share(self, name: str, of: str) -> float | None:
        """Messages of an input for each message of another one, by their stamps; None after few messages, where the
        stamps are of different times, and where the input misses none: its intervals are alike."""
        with self._lock:
            stamps, others = list(self._stamps[name]), list(self._stamps[of])
        # The newest ones' counterparts may not have arrived, those of the oldest may be forgotten.
        others = [other for other in others if stamps and stamps[0] <= other <= stamps[-1]]
        intervals = [later - earlier for earlier, later in itertools.pairwise(stamps)]
        if len(others) < _FEWEST or len(intervals) < 4:
            return None
        usual = statistics.quantiles(intervals, n=4)[0]
        if sum(interval > _LONG * usual for interval in intervals) < _IRREGULAR * len(intervals):
            return None
        half = (others[-1] - others[0]) / (len(others) - 1) / 2
        beside = sum(others[0] - half <= stamp <= others[-1] + half for stamp in stamps)
        return beside / len(others) if half and beside else None
