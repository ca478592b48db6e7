# SPDX-License-Identifier: Apache-2.0
"""Which inputs of a node arrive, and how far apart in time two of them are. Knows no ROS."""

from __future__ import annotations

import collections
import statistics
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence

from hoi_ros.nodes.runtime.pairing import nearest


class InputWatch:
    """Remembers when each input came last and with which stamps. Safe for several threads.

    Args:
        inputs: their names.
        clock: monotonic seconds.
    """

    def __init__(self, inputs: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._arrivals: dict[str, float] = {}
        self._stamps = {name: collections.deque[int](maxlen=16) for name in inputs}

    def arrived(self, name: str, stamp: int) -> float:
        """Takes note of a message and its stamp in nanoseconds; the seconds since the one before it."""
        with self._lock:
            now = self._clock()
            pause = now - self._arrivals.get(name, now)
            self._arrivals[name] = now
            stamps = self._stamps[name]
            if stamps and stamp < stamps[-1]:
                stamps.clear()
            stamps.append(stamp)
        return pause

    def silence(self, name: str) -> float:
        """Seconds since the last message, or since the watch began."""
        with self._lock:
            return self._clock() - self._arrivals.get(name, self._since)

    def seen(self, name: str) -> bool:
        """Whether a message ever came."""
        with self._lock:
            return name in self._arrivals

    def skew(self, first: str, second: str) -> float | None:
        """How much later the second input's stamps are than the nearest of the first's: median, seconds."""
        with self._lock:
            reference = sorted(self._stamps[first])
            # The newest one's partner may still be under way.
            others = list(self._stamps[second])[:-1]
        if not reference or not others:
            return None
        return statistics.median(other - nearest(reference, other) for other in others) / 1e9
