# SPDX-License-Identifier: Apache-2.0
"""The harness measures what it says: a clock that only the stand-ins move."""

import time

import numpy as np
import pytest

from benchmarks.stage_speed import stage_speed
from benchmarks.timing import Spread
from benchmarks.timing import time_calls
from benchmarks.timing import time_in_turns

FRAMES = [np.full((480, 640), metres, np.float32) for metres in (0.4, 0.5, 0.6)]


class ManualClock:
    """Seconds that pass only where somebody lets them."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def let_pass(self, seconds):
        self.now += seconds


class StandIn:
    """A stage that takes 40 ms for a first frame, 10 ms for a hand it follows and 3 ms to fit."""

    def __init__(self, clock):
        self.clock = clock
        self.following = False
        self.seen = []
        self.timings = {}

    def __call__(self, depth, camera, stamp):
        assert depth.shape == (camera.height, camera.width)
        self.seen.append((stamp, float(depth[0, 0])))
        parts = {'track': 0.010 if self.following else 0.0, 'find': 0.0 if self.following else 0.040, 'fit': 0.003}
        for seconds in parts.values():
            self.clock.let_pass(seconds)
        self.following, self.timings = True, parts
        return ['hand']

    def reset(self):
        self.clock.let_pass(0.5)  # no part of what is measured
        self.following = False


def test_a_followed_hand():
    clock = ManualClock()
    speed = stage_speed(StandIn(clock), FRAMES, 1.0, tracking=True, clock=clock)
    assert speed.total.p50_ms == pytest.approx(13) and speed.total.p99_ms == pytest.approx(13)
    assert speed.parts_p50_ms == pytest.approx({'track': 10, 'find': 0, 'fit': 3})
    assert speed.hands_a_frame == 1
    assert speed.total.calls == pytest.approx(1.0 / 0.013, abs=1)


def test_a_first_frame():
    clock = ManualClock()
    speed = stage_speed(StandIn(clock), FRAMES, 1.0, tracking=False, clock=clock)
    assert speed.total.p50_ms == pytest.approx(43) and speed.parts_p50_ms['find'] == pytest.approx(40)


def test_frames_go_to_and_fro_at_30_hz():
    clock = ManualClock()
    stage = StandIn(clock)
    stage_speed(stage, FRAMES, 0.2, tracking=True, clock=clock)
    stamps, depths = np.array(stage.seen[:8]).T
    np.testing.assert_allclose(depths, [0.4, 0.5, 0.6, 0.6, 0.5, 0.4, 0.4, 0.5], rtol=1e-6)
    np.testing.assert_allclose(np.diff(stamps), 1 / 30)


def test_the_first_calls_do_not_count():
    clock = ManualClock()
    times = time_calls(lambda number: clock.let_pass(1.0 if number < 3 else 0.1), 1.0, warm_up=3, clock=clock)
    assert times == pytest.approx([0.1] * len(times)) and len(times) in (10, 11)


def test_one_call_counts_however_short_the_time():
    clock = ManualClock()
    assert time_calls(lambda number: clock.let_pass(5.0), 0.1, clock=clock) == [5.0]


def test_turns_take_the_calls_one_after_the_other():
    clock = ManualClock()
    order = []

    def call(name, seconds):
        def run(number):
            order.append(name)
            clock.let_pass(seconds)

        return run

    times = time_in_turns({'slow': call('slow', 0.2), 'quick': call('quick', 0.1)}, 2.0, turns=2, clock=clock)
    assert times['slow'] == pytest.approx([0.2] * len(times['slow']))
    assert times['quick'] == pytest.approx([0.1] * len(times['quick']))
    changes = [name for name, before in zip(order, [None, *order]) if name != before]
    assert changes == ['slow', 'quick', 'slow', 'quick']


def test_the_real_clock_sees_a_real_sleep():
    times = time_calls(lambda number: time.sleep(0.02), 0.06, warm_up=1)
    assert min(times) >= 0.02


def test_a_spread_is_in_milliseconds():
    spread = Spread.of(np.arange(101) / 1e3)
    assert (spread.calls, spread.p50_ms, spread.p99_ms) == (101, pytest.approx(50), pytest.approx(99))
    with pytest.raises(ValueError, match='no time'):
        Spread.of([])
