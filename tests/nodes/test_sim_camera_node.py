# SPDX-License-Identifier: Apache-2.0
"""The simulated camera over DDS, alone and before the depth_pose node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray
from hoi_ros.nodes.images import colour_of
from hoi_ros.nodes.images import depth_of
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image

from .bench import FRAME
from .bench import Bench
from .bench import NodeProcess
from .bench import stamp_of

DEPTH = '/camera/camera/aligned_depth_to_color/image_raw'
IMAGE = '/camera/camera/color/image_raw'
INFO = '/camera/camera/color/camera_info'
TRUTH = '/sim_camera/ground_truth'


@pytest.fixture(scope='module')
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    process = NodeProcess(('-m', 'hoi_ros.nodes.sim_camera'), tmp_path_factory.mktemp('camera') / 'log.txt',
                          {'loop': 1.0, 'rate': 10.0, 'width': 320, 'height': 240, 'side': 'left'})
    yield process
    assert process.end() == 0, process.log
    assert 'Traceback' not in process.log


@pytest.fixture(scope='module')
def bench(camera: NodeProcess) -> Iterator[Bench]:
    bench = Bench('/sim_camera')
    for kind, topic in ((Image, DEPTH), (Image, IMAGE), (CameraInfo, INFO), (HandArray, TRUTH)):
        bench.listen(kind, topic)
    bench.until_state('active')
    yield bench
    bench.close()


def test_everything_of_a_frame_has_one_stamp(bench: Bench) -> None:
    def together() -> set[int]:
        stamps = [{stamp_of(message.header) for message in bench.received[topic]}
                  for topic in (DEPTH, IMAGE, INFO, TRUTH)]
        return set.intersection(*stamps)

    bench.until(lambda: len(together()) > 3, what='four frames')
    assert {message.header.frame_id for message in bench.received[DEPTH]} == {FRAME}


def test_the_truth_lies_on_the_depth_and_in_the_colours(bench: Bench) -> None:
    bench.until(lambda: bench.received[TRUTH] and bench.received[DEPTH] and bench.received[INFO], what='a frame')
    info = bench.received[INFO][-1]
    depths = {stamp_of(message.header): message for message in bench.received[DEPTH]}
    truth = next(message for message in bench.received[TRUTH] if stamp_of(message.header) in depths)
    hand, = truth.hands
    assert (hand.side, hand.score) == (Hand.LEFT, 1.0)
    points = np.reshape(hand.vertices, (-1, 3))
    k = np.reshape(info.k, (3, 3))
    columns, rows = np.rint((points @ k.T)[:, :2] / points[:, 2:]).astype(int).T
    inside = (columns >= 0) & (columns < info.width) & (rows >= 0) & (rows < info.height)
    depth = depth_of(depths[stamp_of(truth.header)])
    assert depth.shape == (240, 320)
    seen = depth[rows[inside], columns[inside]]
    near = np.abs(seen - points[inside, 2]) < 0.05
    assert near.mean() > 0.6
    assert colour_of(bench.received[IMAGE][-1]).std() > 10


def test_its_rate_changes_while_it_runs_and_not_beyond_its_range(bench: Bench) -> None:
    assert bench.set_parameter('rate', 20.0).successful
    assert not bench.set_parameter('rate', 1000.0).successful
    assert not bench.set_parameter('side', 'both').successful
    before = len(bench.received[INFO])
    bench.until(lambda: len(bench.received[INFO]) > before + 10, what='ten frames')


def test_it_falls_silent_when_deactivated_and_starts_again(bench: Bench) -> None:
    assert bench.change_state('deactivate')
    bench.until_state('inactive')
    before = len(bench.received[INFO])
    assert bench.change_state('activate')
    bench.until(lambda: len(bench.received[INFO]) > before, what='a frame')
