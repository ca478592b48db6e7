# SPDX-License-Identifier: Apache-2.0
"""The simulated camera over DDS, alone and before the depth_pose node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObject
from hoi_ros.msg import HeldObjectArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.images import colour_of
from hoi_ros.nodes.messages.images import depth_of
from hoi_ros.nodes.runtime.camera_topics import COLOUR
from hoi_ros.nodes.runtime.camera_topics import DEPTH
from hoi_ros.nodes.runtime.camera_topics import FRAME
from hoi_ros.nodes.runtime.camera_topics import INFO
from hoi_ros.nodes.runtime.qos import LATCHED

from .bench import Bench
from .bench import DEPTH_POSE
from .bench import NodeProcess
from .bench import REAL
from .bench import stamp_of

pytestmark = [pytest.mark.slow, pytest.mark.ros]

TRUTH, OBJECTS = '/sim_camera/ground_truth', '/sim_camera/ground_truth_objects'


@pytest.fixture(scope='module')
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    process = NodeProcess(
        ('-m', 'hoi_ros.nodes.sim_camera'),
        tmp_path_factory.mktemp('camera') / 'log.txt',
        {'loop': 1.0, 'rate': 10.0, 'width': 320, 'height': 240, 'side': 'left'},
    )
    yield process
    assert process.end() == 0, process.log
    assert 'Traceback' not in process.log


@pytest.fixture(scope='module')
def bench(camera: NodeProcess) -> Iterator[Bench]:
    bench = Bench('/sim_camera')
    for kind, topic in ((Image, DEPTH), (Image, COLOUR), (CameraInfo, INFO), (HandArray, TRUTH)):
        bench.listen(kind, topic)
    bench.until_state('active')
    yield bench
    bench.close()


def test_everything_of_a_frame_has_one_stamp(bench: Bench) -> None:
    def together() -> set[int]:
        stamps = [
            {stamp_of(message.header) for message in bench.received[topic]} for topic in (DEPTH, COLOUR, INFO, TRUTH)
        ]
        return set.intersection(*stamps)

    bench.until(lambda: len(together()) > 3, what='four frames')
    assert {message.header.frame_id for message in bench.received[DEPTH]} == {FRAME}


def test_the_truth_lies_on_the_depth_and_in_the_colours(bench: Bench) -> None:
    def together() -> list[tuple[HandArray, Image]]:
        depths = {stamp_of(message.header): message for message in bench.received[DEPTH]}
        return [
            (message, depths[stamp_of(message.header)])
            for message in bench.received[TRUTH]
            if stamp_of(message.header) in depths
        ]

    bench.until(lambda: len(together()) >= 10 and bench.received[INFO] and bench.received[COLOUR], what='a whole loop')
    info, shares = bench.received[INFO][-1], []
    for truth, message in together()[:10]:
        (hand,) = truth.hands
        assert (hand.side, hand.score) == (Hand.LEFT, 1.0)
        points = np.reshape(hand.vertices, (-1, 3))
        columns, rows = np.rint((points @ np.reshape(info.k, (3, 3)).T)[:, :2] / points[:, 2:]).astype(int).T
        inside = (columns >= 0) & (columns < info.width) & (rows >= 0) & (rows < info.height)
        depth = depth_of(message)
        assert depth.shape == (240, 320)
        shares.append((np.abs(depth[rows[inside], columns[inside]] - points[inside, 2]) < 0.05).mean())
    # Fingers before fingers hide more of one picture than of another: of the whole loop.
    assert np.mean(shares) > 0.6
    assert colour_of(bench.received[COLOUR][-1]).std() > 10


def test_without_an_object_nothing_is_held(bench: Bench) -> None:
    bench.listen(HeldObjectArray, OBJECTS)
    bench.until(lambda: bench.received[OBJECTS], what='the objects')
    assert not bench.received[OBJECTS][-1].objects


def test_a_held_object_moves_with_its_hand(bench: Bench, tmp_path: Path) -> None:
    names = {topic: f'/holding{topic}' for topic in (DEPTH, COLOUR, INFO)}
    node = NodeProcess(
        ('-m', 'hoi_ros.nodes.sim_camera'),
        tmp_path / 'log.txt',
        {'loop': 1.0, 'rate': 10.0, 'width': 320, 'height': 240, 'object': 'can'},
        topics={**names, '__node': 'holding'},
    )
    hands, objects = '/holding/ground_truth', '/holding/ground_truth_objects'
    topology = '/holding/mesh_topology'
    bench.listen(HandArray, hands)
    bench.listen(HeldObjectArray, objects)
    bench.listen(MeshTopology, topology, LATCHED)

    def truths() -> list[tuple[Hand, HeldObject]]:
        held = {stamp_of(message.header): message.objects for message in bench.received[objects]}
        return [
            (hand, held[stamp_of(message.header)][0])
            for message in bench.received[hands]
            if stamp_of(message.header) in held
            for hand in message.hands
        ]

    bench.until(lambda: len(truths()) > 5 and bench.received[topology], what='true hands, objects and triangles')
    distances = set()
    for hand, thing in truths():
        assert (thing.hand_id, thing.hand_side, thing.touching) == (hand.id, Hand.RIGHT, True)
        assert -0.005 < thing.gap < 0.005
        place = thing.pose.position
        distances.add(round(float(np.linalg.norm([place.x, place.y, place.z] - np.array(hand.joints[:3]))), 3))
        assert len(thing.vertices) == 3 * bench.received[topology][0].object_vertex_count
    assert len(distances) == 1
    assert node.end() == 0 and 'Traceback' not in node.log


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


def test_the_depth_pose_node_sees_its_hand(bench: Bench, tmp_path: Path) -> None:
    hands, markers, transforms = '/depth_pose/hands', '/depth_pose/markers', '/tf'
    for kind, topic in ((HandArray, hands), (MarkerArray, markers), (TFMessage, transforms)):
        bench.listen(kind, topic)
    node = NodeProcess(DEPTH_POSE, tmp_path / 'log.txt', topics={'depth': DEPTH, 'image': COLOUR, 'camera_info': INFO})
    bench.until(lambda: sum(bool(message.hands) for message in bench.received[hands]) >= 10, what='ten hands')
    bench.until(lambda: bench.received[markers] and bench.received[markers][-1].markers, what='markers')
    bench.until(lambda: bench.received[transforms], what='transforms')
    seen = [message for message in bench.received[hands] if message.hands]
    hand = seen[-1].hands[0]
    assert len(hand.vertices) % 3 == 0 and len(hand.vertices) > 0
    side = bench.received[transforms][-1].transforms[0].child_frame_id.split('_')[0]
    assert {transform.child_frame_id for transform in bench.received[transforms][-1].transforms} >= {
        f'{side}_wrist',
        f'{side}_thumb_tip',
        f'{side}_little_tip',
    }
    parts = {marker.ns.split('_')[1] for marker in bench.received[markers][-1].markers}
    assert parts == {'mesh', 'joints', 'bones'}
    if DEPTH_POSE == REAL:
        truth = {stamp_of(message.header): message.hands[0].joints for message in bench.received[TRUTH]}
        errors = [
            np.linalg.norm(np.reshape(message.hands[0].joints - truth[stamp], (21, 3)), axis=1).mean()
            for message in seen
            if (stamp := stamp_of(message.header)) in truth
        ]
        assert np.median(errors) < 0.05
    assert node.end() == 0
    assert 'Traceback' not in node.log
