# SPDX-License-Identifier: Apache-2.0
"""Times of repeated calls, on a clock that only the test moves."""

import time

import numpy as np
import pytest

from benchmarks.timing import Spread
from benchmarks.timing import time_calls
from benchmarks.timing import time_in_turns


def test_calls_that_warm_up_do_not_count(clock):
    times = time_calls(lambda number: clock.advance(1.0 if number < 3 else 0.1), 1.0, warm_up=3, clock=clock)
    assert times == pytest.approx([0.1] * len(times)) and len(times) in (10, 11)


def test_one_call_counts_however_short_the_time(clock):
    assert time_calls(lambda number: clock.advance(5.0), 0.1, clock=clock) == [5.0]


def test_turns_run_one_call_after_the_other(clock):
    order = []

    def call(name, seconds):
        def run(number):
            order.append(name)
            clock.advance(seconds)

        return run

    times = time_in_turns({'slow': call('slow', 0.2), 'fast': call('fast', 0.1)}, 2.0, turns=2, clock=clock)
    assert times['slow'] == pytest.approx([0.2] * len(times['slow']))
    assert times['fast'] == pytest.approx([0.1] * len(times['fast']))
    changes = [name for name, before in zip(order, [None, *order]) if name != before]
    assert changes == ['slow', 'fast', 'slow', 'fast']


def test_the_real_clock_measures_a_real_sleep():
    times = time_calls(lambda number: time.sleep(0.02), 0.06, warm_up=1)
    assert min(times) >= 0.02


def test_a_spread_is_in_milliseconds():
    spread = Spread.of(np.arange(101) / 1e3)
    assert (spread.calls, spread.p50_ms, spread.p99_ms) == (101, pytest.approx(50), pytest.approx(99))
    with pytest.raises(ValueError, match='no time'):
        Spread.of([])
