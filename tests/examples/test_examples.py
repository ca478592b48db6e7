# SPDX-License-Identifier: Apache-2.0
"""Every example as a process of its own, on messages that a node would publish, over DDS."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Float64
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObject
from hoi_ros.msg import HeldObjectArray
from hoi_ros.msg import MeshTopology

pytestmark = [pytest.mark.slow, pytest.mark.ros]

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / 'examples').glob('*.py'))
STAND_IN = str(Path(__file__).with_name('stand_in')) if importlib.util.find_spec('tf2_ros') is None else ''
TIMEOUT = 60.0
LAUNCH_PATIENCE = 5.0  # seconds after which ros2 launch signals a process again


@pytest.fixture
def node(ros: None) -> Iterator[Any]:
    node = rclpy.create_node('publisher_of_hands')
    yield node
    node.destroy_node()


@contextlib.contextmanager
def running(example: str, log: Path, *arguments: str, end: signal.Signals = signal.SIGTERM) -> Iterator[None]:
    """The example as a process, which ends well on that signal; its output goes into the log."""
    path = os.pathsep.join(filter(None, (os.environ.get('PYTHONPATH'), STAND_IN)))
    with log.open('w') as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / 'examples' / example), *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'PYTHONPATH': path, 'PYTHONFAULTHANDLER': '1'},
        )
    try:
        yield
        # rclpy makes a RuntimeError of an interrupt that comes while it converts a message: the last ones pass first.
        time.sleep(0.3)
        process.send_signal(end)
        try:
            process.wait(LAUNCH_PATIENCE)
        except subprocess.TimeoutExpired:
            # rclpy wakes its executor just before it shuts ROS down; the executor may wait again in between.
            process.send_signal(end)
        try:
            process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # it prints where each of its threads is
            process.wait()
        assert process.returncode == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    assert 'Traceback' not in log.read_text(), log.read_text()


def until(node: Any, holds: Callable[[], object], meanwhile: Callable[[], object], what: str) -> None:
    end = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < end, f'waited {TIMEOUT} s for {what}'
        meanwhile()
        rclpy.spin_once(node, timeout_sec=0.1)


def header_of(number: int) -> Header:
    header = Header(frame_id='camera')
    header.stamp.sec, header.stamp.nanosec = 100 + number // 30, number % 30 * 33_000_000
    return header


def test_hands_and_objects_of_one_stamp_are_paired(node: Any, tmp_path: Path) -> None:
    """The objects come one image late, every seventh is lost, and each image has its own numbers."""
    hands = node.create_publisher(HandArray, 'hands', 1)
    objects = node.create_publisher(HeldObjectArray, 'objects', 1)
    log, count = tmp_path / 'log.txt', 0

    def send() -> None:
        nonlocal count
        count += 1
        hands.publish(HandArray(header=header_of(count), hands=[Hand(id=2 * count), Hand(id=2 * count + 1)]))
        late = count - 1
        if late % 7:
            held = HeldObject(hand_id=2 * late, score=late % 100 / 100)
            objects.publish(HeldObjectArray(header=header_of(late), objects=[held]))

    with running('pair_hands_and_objects.py', log, end=signal.SIGINT):
        until(node, lambda: log.read_text().count('\n') >= 20, send, 'pairs')
    lines = [line.split(': ') for line in log.read_text().splitlines()]
    for hand, said in lines:
        number = int(hand.removeprefix('hand '))
        assert (number // 2) % 7
        assert said == ('empty' if number % 2 else f'holds, {number // 2 % 100 / 100:.2f}')


def test_the_pinch_distance_is_that_of_the_fingertips_of_each_side(node: Any, tmp_path: Path) -> None:
    hands = node.create_publisher(HandArray, 'hands', 1)
    distances: dict[str, list[float]] = {'left': [], 'right': []}
    for side, found in distances.items():
        node.create_subscription(
            Float64, f'{side}_pinch_distance', lambda message, found=found: found.append(message.data), 10
        )

    def hand(score: float, apart: float, tip_score: float = 0.9, side: int = Hand.RIGHT) -> Hand:
        joints, scores = np.zeros((21, 3), np.float32), np.full(21, 0.9, np.float32)
        joints[Hand.INDEX_TIP] = 0.0, 0.6 * apart, 0.8 * apart
        scores[Hand.THUMB_TIP] = tip_score
        return Hand(side=side, score=score, joints=joints.ravel(), joint_scores=scores)

    images = itertools.cycle(
        (
            [hand(0.6, 0.5), hand(0.9, 0.02), hand(1.0, 0.07, side=Hand.LEFT)],
            [hand(0.9, 0.3, tip_score=0.1)],
            [],
        )
    )
    log = tmp_path / 'log.txt'
    with running('pinch_distance.py', log):
        until(
            node,
            lambda: min(map(len, distances.values())) >= 3 and 'right_pinch_distance: ' in log.read_text(),
            lambda: hands.publish(HandArray(hands=next(images))),
            'distances',
        )
    assert distances['left'] == pytest.approx([0.07] * len(distances['left']))
    assert distances['right'] == pytest.approx([0.02] * len(distances['right']))


def test_look_prints_topics_rates_hands_and_diagnostics(node: Any, tmp_path: Path) -> None:
    hands = node.create_publisher(HandArray, '/look/hands', 1)
    statuses = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
    named = node.create_publisher(CameraInfo, '/look/named', 1)
    read = node.create_publisher(CameraInfo, '/look/read', 1)
    alone = node.create_publisher(Float64, '/look/alone', 1)
    node.create_publisher(MeshTopology, '/look/once', QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    node.create_subscription(CameraInfo, '/look/read', lambda _: None, 1)
    node.create_subscription(Float64, '/look/missing', lambda _: None, 1)
    hand = Hand(side=Hand.LEFT, id=7, score=0.875)
    hand.wrist.position.z = 0.5
    warning = DiagnosticStatus(level=DiagnosticStatus.WARN, name='camera: status', message='is slow')
    warning.values = [KeyValue(key='enabled', value='True')]

    def send() -> None:
        hands.publish(HandArray(hands=[hand]))
        statuses.publish(DiagnosticArray(status=[warning]))
        for publisher in (named, read):
            publisher.publish(CameraInfo())

    def row(topic: str, kind: str, state: str) -> str:
        return rf'^{topic} +{kind} +{state}$'

    expected = (
        row('/look/hands', 'hoi_ros/msg/HandArray', r'[\d.]+ Hz'),
        row('/look/named', 'sensor_msgs/msg/CameraInfo', r'[\d.]+ Hz'),
        row('/look/read', 'sensor_msgs/msg/CameraInfo', r'[\d.]+ Hz'),
        row('/look/alone', 'std_msgs/msg/Float64', 'nobody subscribes'),
        row('/look/missing', 'std_msgs/msg/Float64', 'nobody publishes'),
        row('/look/once', 'hoi_ros/msg/MeshTopology', 'latched'),
        r'^/look/hands: left hand 7, score 0\.8[78], wrist at 0\.000 0\.000 0\.500 m$',
        r'^/diagnostics: camera: status: WARN: is slow\n +enabled True$',
    )
    log = tmp_path / 'log.txt'
    with running('look.py', log, '/look/named', end=signal.SIGINT):
        until(
            node,
            lambda: all(re.search(line, log.read_text(), re.MULTILINE) for line in expected),
            send,
            f'{expected}, have {log}',
        )
    assert alone.get_subscription_count() == 0, 'a topic that nobody reads is left alone'


def test_the_gripper_is_as_wide_as_the_object_and_the_gap(node: Any, tmp_path: Path) -> None:
    objects = node.create_publisher(HeldObjectArray, 'objects', 1)
    widths: list[float] = []
    node.create_subscription(Float64, 'gripper_width', lambda message: widths.append(message.data), 10)

    def thing(thickness: float, gap: float, score: float = 0.9) -> HeldObject:
        held = HeldObject(gap=gap, score=score)
        held.size.x, held.size.y, held.size.z = thickness, 2 * thickness, 3 * thickness
        return held

    images = itertools.cycle(
        (
            [thing(0.04, 0.01), thing(0.02, 0.01, score=0.6)],
            [thing(0.05, -0.003)],
            [thing(0.08, 0.02)],
            [thing(0.03, np.nan)],
            [thing(np.nan, 0.01)],
            [],
        )
    )
    with running('gripper_width.py', tmp_path / 'log.txt'):
        until(
            node,
            lambda: len(set(widths)) >= 3 and len(widths) >= 6,
            lambda: objects.publish(HeldObjectArray(objects=next(images))),
            'widths',
        )
    assert sorted(set(widths)) == pytest.approx([0.05, 0.06, 0.085], abs=1e-6)


def test_the_wrist_is_moved_by_the_transform_of_its_stamp(node: Any, tmp_path: Path) -> None:
    """The camera moves 1 m an image: the transform of any other stamp gives another wrist. It comes after the hands."""
    hands = node.create_publisher(HandArray, 'hands', 1)
    transforms = node.create_publisher(TFMessage, '/tf', 100)
    wrists: dict[str, list[PoseStamped]] = {'left': [], 'right': []}
    for side, received in wrists.items():
        node.create_subscription(PoseStamped, f'{side}_wrist', received.append, 10)
    count = 0

    def send() -> None:
        nonlocal count
        count += 1
        hand = Hand(side=Hand.RIGHT)
        hand.wrist.position.x, hand.wrist.orientation.w = 0.25, 1.0
        hands.publish(HandArray(header=header_of(count), hands=[hand]))
        rclpy.spin_once(node, timeout_sec=0.05)
        transform = TransformStamped(child_frame_id='camera')
        transform.header.frame_id, transform.header.stamp = 'base_link', header_of(count).stamp
        transform.transform.translation.y = float(count)
        transform.transform.rotation.z = transform.transform.rotation.w = float(np.sqrt(0.5))
        transforms.publish(TFMessage(transforms=[transform]))

    with running('wrist_in_base.py', tmp_path / 'log.txt'):
        until(node, lambda: len(wrists['right']) >= 3, send, 'wrists')
    assert not wrists['left']
    for wrist in wrists['right']:
        assert wrist.header.frame_id == 'base_link'
        number = (wrist.header.stamp.sec - 100) * 30 + wrist.header.stamp.nanosec // 33_000_000
        assert wrist.pose.position.x == pytest.approx(0, abs=1e-9)
        assert wrist.pose.position.y == pytest.approx(number + 0.25)
        assert wrist.pose.orientation.z == pytest.approx(np.sqrt(0.5))


@pytest.mark.parametrize('path', EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_executable_and_shown_in_the_documents(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0] == '#!/usr/bin/env python3' and os.access(path, os.X_OK)
    if path.name == 'look.py':  # a program to run, not code to copy
        assert sum(map(bool, lines)) <= 80
        for document in ('README.md', 'docs/cameras.md', 'docs/topics.md', 'docs/troubleshooting.md'):
            assert 'examples/look.py' in (ROOT / document).read_text(), document
        return
    assert sum(map(bool, lines)) <= 40
    shown = (ROOT / 'docs' / 'topics.md').read_text()
    code = '\n'.join(lines[lines.index(next(line for line in lines if line.startswith('import '))) :])
    assert f'```python\n{code}\n```' in shown
