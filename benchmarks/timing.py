# SPDX-License-Identifier: Apache-2.0
"""Times of repeated calls."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Self

import numpy as np

Clock = Callable[[], float]

WARM_UP = 5
"""Calls before the first that counts."""


@dataclasses.dataclass(frozen=True)
class Spread:
    """Distribution of the time of a call, milliseconds."""

    calls: int
    p50_ms: float
    p99_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        """From the seconds of each call.

        Raises:
            ValueError: there are none.
        """
        if not len(seconds):
            raise ValueError('there is no time to take percentiles of, expected at least one')
        p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
        return cls(len(seconds), float(p50), float(p99))


def time_calls(
    call: Callable[[int], object],
    seconds: float,
    prepare: Callable[[int], object] | None = None,
    warm_up: int = WARM_UP,
    clock: Clock = time.perf_counter,
) -> list[float]:
    """Repeats a call and measures each.

    Args:
        call: is timed; receives its number, from 0.
        seconds: total time of the calls that count.
        prepare: runs before each call and is not timed.
        warm_up: calls before the first that counts.
        clock: seconds.

    Returns:
        The seconds of each call, in order, at least one.
    """
    times: list[float] = []
    number, spent = 0, 0.0
    while not times or spent < seconds:
        if prepare is not None:
            prepare(number)
        begun = clock()
        call(number)
        taken = clock() - begun
        if number >= warm_up:
            times.append(taken)
            spent += taken
        number += 1
    return times


def time_in_turns(
    calls: dict[str, Callable[[int], object]], seconds: float, turns: int = 5, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Times several calls in turns, so that other work on the machine slows all of them alike.

    Args:
        calls: by name.
        seconds: total time of each.
        turns: number of turns of each. Within a turn a call has the machine for itself: threads that spin after one
            call do not slow another.
        clock: seconds.

    Returns:
        The seconds of each call by name.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(turns):
        for name, call in calls.items():
            times[name] += time_calls(call, seconds / turns, clock=clock)
    return times
