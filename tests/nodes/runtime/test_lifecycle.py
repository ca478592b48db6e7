# SPDX-License-Identifier: Apache-2.0
"""Configuring, activating and ending a node whose stage takes long, fails to load, or is damaged."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CompressedImage

from hoi_ros.resources import models_dir

from ..bench import Bench
from ..bench import DEPTH_POSE
from ..bench import good_info
from ..bench import HEIGHT
from ..bench import NodeProcess
from ..bench import REAL
from ..bench import stamp_of
from ..bench import STAND_IN
from ..bench import WIDTH

pytestmark = [pytest.mark.slow, pytest.mark.ros]

BUSY = 12.0
"""Seconds that a call of the slow stage takes."""
SOON = BUSY / 2
"""An answer within this did not wait for the stage: that is what is proven, not a speed."""

Start = Callable[..., NodeProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts nodes, and ends those that a test leaves."""
    started: list[NodeProcess] = []

    def run(arguments: tuple[str, ...], parameters: dict[str, object] | None = None, busy: float = 0) -> NodeProcess:
        process = NodeProcess(arguments, tmp_path / f'log{len(started)}.txt', parameters, {'STAND_IN_BUSY': str(busy)})
        started.append(process)
        return process

    yield run
    for process in started:
        if process.alive:
            process.end(signal.SIGKILL)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of the test's own that holds some models."""
    folder = tmp_path / 'models'
    if DEPTH_POSE == REAL:
        for name in ('depth_pose', 'hand_model'):
            shutil.copytree(models_dir() / name, folder / name)
    else:
        (folder / 'depth_pose').mkdir(parents=True)
        (folder / 'depth_pose' / 'card.yaml').touch()
    return folder


def test_services_answer_while_the_stage_is_busy(start: Start, bench: Bench) -> None:
    process = start(STAND_IN, busy=BUSY)
    bench.until_state('active')
    begun = time.monotonic()
    bench.until(lambda: bench.has_received() and time.monotonic() - begun > 0.5, bench.send_good)
    for ask in (
        lambda: bench.get_parameter('min_score'),
        lambda: bench.set_parameter('min_score', 0.4),
        lambda: bench.state,
        lambda: bench.change_state('deactivate'),
    ):
        asked = time.monotonic()
        assert ask() is not None
        assert time.monotonic() - asked < SOON
    assert bench.state == 'inactive'
    # What was being computed is not published by an inactive node, nor after it is active again.
    assert bench.change_state('activate')
    time.sleep(max(begun + BUSY + 1 - time.monotonic(), 0))
    assert not bench.hands
    bench.send_good()
    asked = time.monotonic()
    assert bench.change_state('deactivate')
    assert bench.change_state('cleanup')
    assert bench.change_state('configure')
    assert time.monotonic() - asked < SOON
    assert process.end(signal.SIGTERM) == 0
    assert 'Traceback' not in process.log


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_the_process_ends_in_the_middle_of_a_call(start: Start, bench: Bench, number: signal.Signals) -> None:
    process = start(STAND_IN, busy=10 * BUSY)
    bench.until_state('active')
    bench.until(bench.has_received, bench.send_good)
    begun = time.monotonic()
    assert process.end(number) == 0
    assert time.monotonic() - begun < BUSY
    assert 'Traceback' not in process.log


def test_compressed_depth_is_read_where_it_is_asked_for(start: Start, bench: Bench) -> None:
    process = start(DEPTH_POSE, {'depth_transport': 'compressedDepth'})
    send = bench.create_publisher(CompressedImage, '/camera/depth/compressedDepth')
    png = cv2.imencode('.png', np.full((HEIGHT, WIDTH), 600, np.uint16))[1].tobytes()
    bench.until_state('active')

    def send_frame() -> None:
        header = bench.next_header()
        bench.send(info=good_info(header))
        send(CompressedImage(header=header, format='16UC1; compressedDepth png', data=bytes(12) + png))

    bench.until(lambda: bench.hands, send_frame, 'hands')
    header = bench.next_header()
    truncated = CompressedImage(header=header, format='16UC1; compressedDepth png', data=bytes(12) + png[:60])
    bench.until_says('truncated or damaged', lambda: send(truncated))
    assert stamp_of(header) not in {stamp_of(hands.header) for hands in bench.hands}
    bench.hands.clear()
    bench.until(lambda: bench.hands, send_frame, 'hands')
    assert process.end() == 0


def test_a_second_node_of_the_name_is_told(start: Start, bench: Bench) -> None:
    start(STAND_IN)
    bench.until_state('active')
    assert 'nodes are called' not in bench.says
    other = start(STAND_IN)
    bench.until_says('2 nodes are called /depth_pose: their topics and parameters mix')
    other.end()
    bench.until_well()


def test_cycles_leave_nothing_behind(start: Start, bench: Bench) -> None:
    process = start(DEPTH_POSE)

    def cycle() -> None:
        bench.until_hands()
        for transition in ('deactivate', 'activate', 'deactivate', 'cleanup', 'configure', 'activate'):
            assert bench.change_state(transition), (transition, process.log)

    bench.until_state('active')
    for _ in range(3):
        cycle()
    threads, memory = process.status('Threads'), process.status('VmRSS')
    for _ in range(6):
        cycle()
    bench.until_hands()
    assert process.status('Threads') <= threads
    assert process.status('VmRSS') - memory < 30_000
    for topic in ('/depth_pose/hands', '/depth_pose/markers', '/depth_pose/mesh_topology', '/tf'):
        assert bench.count_publishers(topic) == 1
    assert bench.count_subscribers('/camera/depth') == 1
    assert process.end(signal.SIGTERM) == 0


def test_a_missing_model_is_said_and_recovered_from(start: Start, bench: Bench, models: Path, tmp_path: Path) -> None:
    away = tmp_path / 'away'
    models.rename(away)
    given = {'models': models, 'min_score': 7.5, 'max_hands': 'two', 'backend': 'abacus', 'input_timeout': 1}
    process = start(DEPTH_POSE, {**given, 'min_scor': 0.7, 'robot_radius': 0.3})

    bench.until_says('min_score')
    assert bench.diagnosis.level == DiagnosticStatus.ERROR
    assert 'out of range' in bench.says
    assert "'max_hands' to 'two' of type 'STRING', expecting type 'INTEGER'" in bench.says
    assert "backend is 'abacus', expected one of auto" in bench.says
    assert 'input_timeout; mend it (write 1.0 for 1) in the parameter file or after -p' in bench.says
    bench.until_says('unknown parameter min_scor, it has no effect: did you mean min_score?')
    # The log repeats what keeps the node from starting.
    bench.until(lambda: process.log.count("'max_hands' to 'two'") > 1, what='the repeated refusal')
    assert process.log.count('unknown parameter min_scor,') == 1
    # Files with /** and launch files give the robot's parameters to every node.
    assert process.log.count('unknown parameter robot_radius, it has no effect') == 1
    assert 'robot_radius' not in bench.says
    assert bench.state == 'unconfigured'
    for name, value in (('max_hands', 1), ('backend', 'auto'), ('min_score', 0.5), ('input_timeout', 1.0)):
        assert bench.set_parameter(name, value).successful

    bench.until_says(str(models))
    assert bench.diagnosis.level == DiagnosticStatus.ERROR
    assert 'cannot be configured' in bench.diagnosis.message
    assert str(models) in process.log
    assert not bench.hands

    away.rename(models)
    bench.until_state('active')
    bench.until_hands()
    assert process.end() == 0
    if DEPTH_POSE == REAL:
        assert f'{models} holds no hand_finder: the model of hoi_ros is used' in process.log
    assert 'Traceback' not in process.log


def test_a_damaged_model_is_said_and_the_node_can_be_configured_again(start: Start, bench: Bench, models: Path) -> None:
    process = start(DEPTH_POSE, {'models': models, 'autostart': False})
    bench.until_state('unconfigured')
    card = models / 'depth_pose' / 'card.yaml'
    text = card.read_text()
    card.unlink()
    assert not bench.change_state('configure')
    bench.until_says('card.yaml')
    assert bench.state == 'unconfigured'
    if DEPTH_POSE == REAL:
        card.write_text(text[: text.index('licence')])
        assert not bench.change_state('configure')
        model = next((models / 'depth_pose').glob('*.onnx'))
        whole = model.read_bytes()
        card.write_text(text)
        model.write_bytes(whole[: len(whole) // 2])
        assert not bench.change_state('configure')
        bench.until_says(model.name)
        model.write_bytes(whole)
    card.write_text(text)
    assert bench.change_state('configure')
    assert bench.state == 'inactive'
    assert bench.change_state('activate')
    bench.until_hands()
    assert process.end() == 0
    if DEPTH_POSE == REAL:
        assert f'{models} holds no hand_finder: the model of hoi_ros is used' in process.log
    assert 'Traceback' not in process.log
