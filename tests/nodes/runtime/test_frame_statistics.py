# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from hoi_ros.nodes.runtime.frame_statistics import FrameStatistics


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_rates_and_percentiles_are_those_of_the_window(clock):
    statistics = FrameStatistics(window=10, clock=clock)
    for index in range(600):
        clock.now += 1 / 30
        statistics.received()
        if index % 2:
            statistics.processed(0.008, 0.012)
        else:
            statistics.dropped()
    values = statistics.values()
    assert values['frames_received'] == 600
    assert values['frames_processed'] == values['frames_dropped'] == 300
    assert values['input_rate_hz'] == pytest.approx(30, rel=0.02)
    assert values['output_rate_hz'] == pytest.approx(15, rel=0.02)
    assert values['processing_time_ms_p50'] == pytest.approx(8)
    assert values['pipeline_latency_ms_p99'] == pytest.approx(12)
    clock.now += 60
    assert statistics.values()['output_rate_hz'] == 0


def test_without_results_the_times_are_unknown(clock):
    values = FrameStatistics(clock=clock).values()
    assert math.isnan(values['processing_time_ms_p50'])
    assert values['last_rejection'] == ''


@pytest.mark.parametrize(
    ('every', 'processing', 'latency', 'told'),
    [
        (15, 0.45, 1.1, 'processes 2.0 of 30.0 frames a second, each 1.1 s late'),
        (15, 0.8, math.nan, 'processes 2.0 of 30.0 frames a second, each 0.8 s late'),
        (15, 0.2, 0.25, ''),  # the newest frame is processed, soon enough
        (2, 0.06, 0.6, ''),
        (1, 0.01, 0.02, ''),
    ],
)
def test_a_node_that_falls_far_behind_says_so(clock, every, processing, latency, told):
    statistics = FrameStatistics(window=10, clock=clock)
    assert statistics.overload() == ''
    for index in range(300):
        clock.now += 1 / 30
        statistics.received()
        if index % every == every - 1:
            statistics.processed(processing, latency)
        if index < 60:
            assert statistics.overload() == ''
    assert statistics.overload() == told
    statistics.forget_results()
    assert statistics.overload() == '' and statistics.values()['output_rate_hz'] == 0
    assert statistics.values()['input_rate_hz'] > 29


def test_an_unknown_latency_is_left_out(clock):
    statistics = FrameStatistics(clock=clock)
    statistics.processed(0.001, math.nan)
    statistics.processed(0.001, 0.02)
    assert statistics.values()['pipeline_latency_ms_p50'] == pytest.approx(20)


def test_reasons_stay_but_grow_old(clock):
    statistics = FrameStatistics(clock=clock)
    statistics.rejected('no pixels')
    statistics.failed('out of memory')
    assert statistics.recent_rejection(2) == 'no pixels'
    assert statistics.recent_failure(2) == 'out of memory'
    clock.now += 3
    assert statistics.recent_rejection(2) == statistics.recent_failure(2) == ''
    assert statistics.values()['last_rejection'] == 'no pixels'
    assert statistics.values()['frames_rejected'] == statistics.values()['frames_failed'] == 1


@pytest.mark.parametrize('pause', [0, 3, 100])
def test_a_rate_is_that_of_the_time_there_was(clock, pause):
    statistics = FrameStatistics(window=10, clock=clock)
    clock.now += 5
    for burst in range(2):
        for index in range(30):
            clock.now += 1 / 30
            statistics.received()
            if index in (2, 10, 29) and (burst == 0 or pause == 100):
                assert statistics.values()['input_rate_hz'] == pytest.approx(30, rel=0.01)
        clock.now += pause
    assert statistics.values()['input_rate_hz'] < 31


def test_a_rate_falls_when_no_more_frames_come(clock):
    statistics = FrameStatistics(window=10, clock=clock)
    for _ in range(60):
        clock.now += 1 / 30
        statistics.received()
    rates = []
    for _ in range(4):
        clock.now += 2
        rates.append(statistics.values()['input_rate_hz'])
    assert rates == sorted(rates, reverse=True) and rates[0] < 16
    clock.now += 10
    assert statistics.values()['input_rate_hz'] == 0
    assert statistics.values()['frames_late'] == 0
