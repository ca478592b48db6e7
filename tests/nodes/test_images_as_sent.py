# SPDX-License-Identifier: Apache-2.0
"""Images, stamps and topics as cameras send them: each fault is named on /diagnostics and in the log, over DDS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from std_msgs.msg import String

from hoi_ros.nodes.messages.images import image_message

from .bench import Bench
from .bench import good_depth
from .bench import good_info
from .bench import HEIGHT
from .bench import NodeProcess
from .bench import stamp_of
from .bench import STAND_IN
from .bench import WIDTH

pytestmark = [pytest.mark.slow, pytest.mark.ros]

SIZE = (HEIGHT, WIDTH)
METRES = np.minimum(0.5 / np.linspace(0.2, 1, HEIGHT)[:, None] * np.ones(SIZE), 1.6)
"""A table up to a wall."""


@pytest.fixture(scope='module')
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    process = NodeProcess(STAND_IN, tmp_path_factory.mktemp('node') / 'log.txt')
    yield process
    assert process.end() == 0, process.log
    assert 'Traceback' not in process.log


@pytest.fixture(scope='module')
def shared_bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def bench(shared_bench: Bench, node: NodeProcess) -> Iterator[Bench]:
    """The node is well before each test and after it."""
    shared_bench.until_state('active')
    shared_bench.until_hands()
    yield shared_bench
    shared_bench.until_well()


def answered(bench: Bench) -> set[int]:
    return {stamp_of(hands.header) for hands in bench.hands}


WRONG_UNITS = {
    'metres in 16UC1': (METRES.round().astype(np.uint16), 'not in millimetres but look like metres'),
    'millimetres in 32FC1': ((METRES * 1000).astype(np.float32), 'not in metres but look like millimetres'),
    'disparities in 16UC1': ((320 / METRES).astype(np.uint16), 'not depth in millimetres but look like disparities'),
    'saturated': (np.full(SIZE, 65535, np.uint16), 'the depth is saturated'),
}


def test_depth_that_cannot_be_in_its_unit_is_refused_with_the_likely_unit(bench: Bench, node: NodeProcess) -> None:
    for pixels, reason in WRONG_UNITS.values():
        stamps: set[int] = set()

        def send(pixels: np.ndarray = pixels, stamps: set[int] = stamps) -> None:
            header = bench.next_header()
            bench.send(image_message(pixels, header), good_info(header))
            stamps.add(stamp_of(header))

        bench.until_says(reason, send)
        assert bench.diagnosis.level == DiagnosticStatus.ERROR
        bench.until_logged(node, reason)
        assert not stamps & answered(bench)


def test_depth_out_of_reach_is_doubted_and_goes_on(bench: Bench, node: NodeProcess) -> None:
    tenths = (METRES * 10000).astype(np.uint16)
    stamps: set[int] = set()

    def send() -> None:
        header = bench.next_header()
        bench.send(image_message(tenths, header), good_info(header))
        stamps.add(stamp_of(header))

    bench.until_says('depth on /camera/depth: nothing is nearer than 5 m', send)
    assert bench.diagnosis.level == DiagnosticStatus.WARN
    assert 'look like units of 0.1 to 0.25 mm' in bench.diagnosis.message
    bench.until_logged(node, 'look like units of 0.1 to 0.25 mm')
    assert stamps & answered(bench)


def stamped(bench: Bench, offset: float | None) -> Header:
    """A header that many seconds from now; None for a stamp of 0."""
    header = bench.next_header()
    stamp = 0 if offset is None else stamp_of(header) + round(offset * 1e9)
    header.stamp.sec, header.stamp.nanosec = divmod(stamp, 10**9)
    return header


@pytest.mark.parametrize(
    ('offset', 'reason'),
    [
        (None, 'depth on /camera/depth has stamps of 0: latency is unknown'),
        (40.0, 'ahead of the clock of this node'),
        (-86400.0 * 20, 'depth on /camera/depth is stamped 20 days behind the clock'),
    ],
)
def test_stamps_of_another_clock_are_said_and_give_no_latency(
    bench: Bench, node: NodeProcess, offset: float | None, reason: str
) -> None:
    assert bench.change_state('deactivate')
    assert bench.change_state('activate')

    def send() -> None:
        header = stamped(bench, offset)
        bench.send(good_depth(header), good_info(header))

    bench.until_says(reason, send)
    assert bench.diagnosis.level == DiagnosticStatus.WARN
    bench.until_logged(node, reason)
    bench.until(lambda: int(bench.value('frames_processed')) > 3, send)
    assert bench.value('pipeline_latency_ms_p50') == bench.value('pipeline_latency_ms_p99') == 'nan'
    # The stamps of the next test must not be a step back.
    assert bench.change_state('deactivate')
    assert bench.change_state('activate')


def test_late_frames_are_dropped_and_counted_and_tracking_goes_on(bench: Bench, node: NodeProcess) -> None:
    before = int(bench.value('frames_late'))
    restarts = node.log.count('went backwards')
    late: set[int] = set()

    def send() -> None:
        bench.send_good()
        time.sleep(0.05)  # the node keeps the newest message only
        header = stamped(bench, -0.4)
        bench.send(good_depth(header), good_info(header))
        late.add(stamp_of(header))

    bench.until(lambda: int(bench.value('frames_late')) >= before + 5, send, 'late frames')
    bench.until_logged(node, 'depth on /camera/depth is out of order')
    assert not late & answered(bench)
    assert node.log.count('went backwards') == restarts


def test_the_input_rate_is_right_soon_after_the_start(bench: Bench) -> None:
    assert bench.change_state('deactivate')
    assert bench.change_state('activate')
    rates: list[float] = []

    def send() -> None:
        bench.send_good()
        if int(bench.value('frames_received')) > 5:
            rates.append(float(bench.value('input_rate_hz')))

    bench.until(lambda: len(rates) > 20, send, 'rates')
    # `until` sends at most ten times a second. A rate that counts the time before the first frame climbs slowly.
    assert min(rates) > 0.6 * max(rates)


PNG = cv2.imencode('.png', np.random.default_rng(0).integers(500, 700, SIZE).astype(np.uint16))[1].tobytes()


def test_damaged_compressed_depth_is_refused_in_one_short_line_a_few_seconds_and_a_missing_clock_is_said(
    tmp_path: Path, shared_bench: Bench
) -> None:
    parameters = {'depth_transport': 'compressedDepth', 'use_sim_time': True}
    node = NodeProcess(STAND_IN, tmp_path / 'log.txt', parameters)
    bench = shared_bench
    try:
        bench.until_state('active')
        bench.hands.clear()
        publish = bench.create_publisher(CompressedImage, '/camera/depth/compressedDepth')
        sent = 0

        def send(data: bytes) -> None:
            nonlocal sent
            sent += 1
            header = bench.next_header()
            bench.send(info=good_info(header))
            publish(CompressedImage(header=header, format='16UC1; compressedDepth png', data=bytes(12) + data))

        bench.until_says('use_sim_time is true, but nobody publishes /clock', lambda: send(PNG))
        bench.until_logged(node, 'use_sim_time is true, but nobody publishes /clock')
        bench.until(lambda: bench.hands, lambda: send(PNG), 'hands')
        assert bench.value('pipeline_latency_ms_p50') == 'nan'
        bench.until_says('the PNG image of', lambda: send(PNG[: 1000 + 100 * sent]))
        begun = sent
        bench.until(
            lambda: sent > begun + 20 and bench.diagnosis.level == DiagnosticStatus.ERROR,
            lambda: send(PNG[: 1000 + 100 * sent]),
            'an error',
        )
        assert len(bench.diagnosis.message) < 600
        assert node.log.count('frame refused: the PNG image') <= 3
    finally:
        assert node.end() == 0, node.log


def test_inputs_that_are_not_remapped_are_told_the_topics_there_are_and_wrong_types_are_named(
    tmp_path: Path, shared_bench: Bench
) -> None:
    node = NodeProcess(STAND_IN, tmp_path / 'log.txt', topics={})
    bench = shared_bench
    try:
        bench.until_state('active')
        bench.until_says('no depth on /depth')
        assert 'nobody publishes there' in bench.diagnosis.message
        assert '--ros-args -r depth:=/camera/depth' in bench.diagnosis.message
        assert 'topics of type sensor_msgs/msg/CameraInfo are /camera/camera_info' in bench.diagnosis.message
        assert '--ros-args -r camera_info:=/camera/camera_info' in bench.diagnosis.message
        bench.until_logged(node, '--ros-args -r depth:=/camera/depth')
        publish = bench.create_publisher(CompressedImage, '/depth')
        wrong = 'its type is sensor_msgs/msg/CompressedImage, expected sensor_msgs/msg/Image'
        bench.until_says(wrong, lambda: publish(CompressedImage()))
        assert 'QoS' not in bench.diagnosis.message
        bench.until_logged(node, wrong)
        bench.create_publisher(String, '/region')
        wrong = '/region is not read: its type is std_msgs/msg/String, expected sensor_msgs/msg/RegionOfInterest'
        bench.until_says(wrong)
    finally:
        assert node.end() == 0, node.log
