# SPDX-License-Identifier: Apache-2.0
"""Counts and times of the frames that a node receives and processes. Knows no ROS."""

from __future__ import annotations

import collections
import dataclasses
import math
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np

_OVERLOAD, _LATE, _OBSERVED = 3.0, 0.5, 3.0
"""A node is overloaded if the ratio of received to processed frames and the latency (s) reach these values for this
many seconds. A node that is somewhat slower than its camera only skips frames."""


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why the last frame was refused, and when, in monotonic seconds."""

    reason: str
    at: float


class FrameStatistics:
    """Counters and windowed times. Thread-safe.

    Args:
        window: seconds over which rates and times are computed.
        clock: monotonic seconds.
    """

    def __init__(self, window: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(('received', 'processed', 'dropped', 'late', 'rejected', 'failed'), 0)
        self._arrivals: collections.deque[float] = collections.deque()
        self._results: collections.deque[tuple[float, float, float]] = collections.deque()
        self._rejection: Refusal | None = None
        self._failure: Refusal | None = None

    def received(self) -> None:
        """Counts a received frame."""
        with self._lock:
            self._counts['received'] += 1
            self._arrivals.append(self._clock())

    def dropped(self) -> None:
        """Counts a frame that a newer one replaced before it was processed."""
        with self._lock:
            self._counts['dropped'] += 1

    def late(self) -> None:
        """Counts a frame that is dropped because a newer one arrived before it."""
        with self._lock:
            self._counts['late'] += 1

    def processed(self, processing: float, latency: float) -> None:
        """Counts a published result: processing time and latency since the image's stamp, s (NaN where unknown)."""
        with self._lock:
            self._counts['processed'] += 1
            self._results.append((self._clock(), processing, latency))

    def rejected(self, reason: str) -> None:
        """Counts a frame that cannot be used."""
        with self._lock:
            self._counts['rejected'] += 1
            self._rejection = Refusal(reason, self._clock())

    def failed(self, reason: str) -> None:
        """Counts a frame whose processing failed."""
        with self._lock:
            self._counts['failed'] += 1
            self._failure = Refusal(reason, self._clock())

    def forget_results(self) -> None:
        """Takes the results out of the window: the node works no more."""
        with self._lock:
            self._results.clear()

    def overload(self) -> str:
        """How far the results fall behind the frames, as a sentence; an empty text where they keep up."""
        values = self.values()
        with self._lock:
            observed = self._results[-1][0] - self._results[0][0] if self._results else 0.0
        arriving, done = float(values['input_rate_hz']), float(values['output_rate_hz'])
        late = float(values['pipeline_latency_ms_p50'])
        if math.isnan(late):
            late = float(values['processing_time_ms_p50'])
        if observed < _OBSERVED or done * _OVERLOAD > arriving or late < _LATE * 1e3:
            return ''
        return f'processes {done:.1f} of {arriving:.1f} frames a second, each {late / 1e3:.1f} s late'

    def recent_rejection(self, within: float) -> str:
        """The reason of the last rejection within that many seconds, or an empty text."""
        with self._lock:
            return self._recent(self._rejection, within)

    def recent_failure(self, within: float) -> str:
        """The reason of the last failure within that many seconds, or an empty text."""
        with self._lock:
            return self._recent(self._failure, within)

    def values(self) -> dict[str, Any]:
        """The figures by name, times in milliseconds."""
        with self._lock:
            now = self._clock()
            self._forget(now)
            values: dict[str, Any] = {f'frames_{name}': count for name, count in self._counts.items()}
            values['input_rate_hz'] = _rate(self._arrivals, now)
            values['output_rate_hz'] = _rate([result[0] for result in self._results], now)
            columns = np.array([result[1:] for result in self._results]).reshape(-1, 2).T * 1e3
            values.update(_percentiles('processing_time_ms', columns[0]))
            values.update(_percentiles('pipeline_latency_ms', columns[1]))
            values['last_rejection'] = self._rejection.reason if self._rejection else ''
            values['last_failure'] = self._failure.reason if self._failure else ''
        return values

    def _recent(self, refusal: Refusal | None, within: float) -> str:
        return refusal.reason if refusal and self._clock() - refusal.at <= within else ''

    def _forget(self, now: float) -> None:
        while self._arrivals and now - self._arrivals[0] > self._window:
            self._arrivals.popleft()
        while self._results and now - self._results[0][0] > self._window:
            self._results.popleft()


def _rate(times: Sequence[float], now: float) -> float:
    """Events a second since the first of them, without the time before it; falls when no more come."""
    if len(times) < 2:
        return 0.0
    interval = (times[-1] - times[0]) / (len(times) - 1)
    return 1 / max(interval, (now - times[0] - interval) / (len(times) - 1), 1e-6)


def _percentiles(name: str, values: np.ndarray) -> dict[str, float]:
    known = values[np.isfinite(values)]
    p50, p99 = np.percentile(known, [50, 99]) if known.size else (np.nan, np.nan)
    return {f'{name}_p50': float(p50), f'{name}_p99': float(p99)}
