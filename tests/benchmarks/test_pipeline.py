# SPDX-License-Identifier: Apache-2.0
"""A pipeline against the node that it stands on."""

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from benchmarks import pipeline
from benchmarks.pipeline import NetworkTimes
from benchmarks.pipeline import Turn
from benchmarks.timing import Spread
from hoi_ros.playback.recording import Traffic
from hoi_ros.systems import SYSTEMS

SYSTEM = next(system for system in SYSTEMS.values() if system.below)


def traffic(latency, rate):
    return Traffic(100, 90, 10, 90, 30.0, rate, latency, 2 * latency, latency, latency)


def test_the_figures_are_the_medians_of_the_turns(monkeypatch, tmp_path):
    turns = [
        Turn(traffic(40.0, 20.0), traffic(each, 10.0 + each / 100), traffic(50.0, 15.0), 100 + each, 0.5)
        for each in (100.0, 60.0, 80.0)
    ]
    spread = Spread(10, 4.0, 5.0)
    given = iter(turns)
    monkeypatch.setattr(pipeline, '_turn', lambda *arguments: next(given))
    times = NetworkTimes(spread, spread, spread, 1.0, 1.0)
    monkeypatch.setattr(pipeline, 'network_times', lambda system, seconds: times)
    figures = pipeline.measure(SYSTEM, 30.0, 60.0, tmp_path, lambda text: None)
    assert (figures.seconds, figures.turns, figures.networks) == (10.0, turns, times)
    assert (figures.alone_p50_ms, figures.pipeline_p50_ms, figures.p50_ratio) == (40.0, 80.0, 2.0)
    assert figures.output_hz == pytest.approx(10.8) and figures.memory_mb == 200.0


def test_a_stage_that_does_not_time_its_network_alone_has_no_times() -> None:
    assert pipeline.network_times(SYSTEMS['two_hand_prior'], 0.1) is None
