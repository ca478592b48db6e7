# SPDX-License-Identifier: Apache-2.0
"""Every example as a process of its own, on messages that a node would publish, over DDS."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
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
from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Float64
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObject
from hoi_ros.msg import HeldObjectArray

pytestmark = [pytest.mark.slow, pytest.mark.ros]

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / 'examples').glob('*.py'))
STAND_IN = str(Path(__file__).with_name('stand_in')) if importlib.util.find_spec('tf2_ros') is None else ''
TIMEOUT = 60.0


@pytest.fixture
def node(ros: None) -> Iterator[Any]:
    node = rclpy.create_node('publisher_of_hands')
    yield node
    node.destroy_node()


@contextlib.contextmanager
def running(example: str, log: Path) -> Iterator[None]:
    """The example as a process, which ends well on Ctrl-C; its output goes into the log."""
    path = os.pathsep.join(filter(None, (os.environ.get('PYTHONPATH'), STAND_IN)))
    with log.open('w') as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / 'examples' / example)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'PYTHONPATH': path},
        )
    try:
        yield
        process.send_signal(signal.SIGINT)
        process.wait(TIMEOUT)
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

    with running('pair_hands_and_objects.py', log):
        until(node, lambda: log.read_text().count('\n') >= 20, send, 'pairs')
    lines = [line.split(': ') for line in log.read_text().splitlines()]
    for hand, said in lines:
        number = int(hand.removeprefix('hand '))
        assert (number // 2) % 7
        assert said == ('empty' if number % 2 else f'holds, {number // 2 % 100 / 100:.2f}')


def test_the_pinch_distance_is_that_of_the_fingertips(node: Any, tmp_path: Path) -> None:
    hands = node.create_publisher(HandArray, 'hands', 1)
    distances: list[float] = []
    node.create_subscription(Float64, 'pinch_distance', lambda message: distances.append(message.data), 10)

    def hand(score: float, apart: float, tip_score: float = 0.9, side: int = Hand.RIGHT) -> Hand:
        joints, scores = np.zeros((21, 3), np.float32), np.full(21, 0.9, np.float32)
        joints[Hand.INDEX_TIP] = 0.0, 0.6 * apart, 0.8 * apart
        scores[Hand.THUMB_TIP] = tip_score
        return Hand(side=side, score=score, joints=joints.ravel(), joint_scores=scores)

    images = itertools.cycle(
        (
            [hand(0.6, 0.5), hand(0.9, 0.02), hand(1.0, 0.7, side=Hand.LEFT)],
            [hand(0.9, 0.3, tip_score=0.1)],
            [],
        )
    )
    with running('pinch_distance.py', tmp_path / 'log.txt'):
        until(
            node,
            lambda: len(distances) >= 3,
            lambda: hands.publish(HandArray(hands=next(images))),
            'distances',
        )
    assert distances == pytest.approx([0.02] * len(distances))


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
    assert sum(bool(line) for line in lines) <= (36 if 'tf2' in path.read_text() else 30)
    assert lines[0] == '#!/usr/bin/env python3' and os.access(path, os.X_OK)
    shown = (ROOT / 'docs' / 'topics.md').read_text()
    code = '\n'.join(lines[lines.index(next(line for line in lines if line.startswith('import '))) :])
    assert f'```python\n{code}\n```' in shown
