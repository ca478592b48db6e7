# SPDX-License-Identifier: Apache-2.0
"""The contact node with its own stage and model, fed with true hands of the simulated camera and with bad meshes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from std_msgs.msg import Header

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.msg import ContactArray
from hoi_ros.msg import GraspArray
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObjectArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.hands import hand_array
from hoi_ros.nodes.messages.hands import hand_estimates
from hoi_ros.nodes.messages.hands import mesh_topology
from hoi_ros.nodes.messages.objects import held_objects
from hoi_ros.nodes.runtime.qos import LATCHED
from hoi_ros.resources import models_dir
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.simulation.held_solid import Can

from .bench import Bench
from .bench import NodeProcess
from .bench import stamp_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ros,
    pytest.mark.skipif(not (models_dir() / 'contact' / 'card.yaml').is_file(), reason='there is no trained model'),
]

NODE = '/contact'
OUTPUTS = {'hands': HandArray, 'objects': HeldObjectArray, 'contacts': ContactArray, 'grasps': GraspArray}
SOURCE = {
    'reconstruction/hands': '/sim_camera/ground_truth',
    'reconstruction/objects': '/sim_camera/ground_truth_objects',
    'reconstruction/mesh_topology': '/sim_camera/mesh_topology',
}


@pytest.fixture(scope='module')
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    process = NodeProcess(('-m', 'hoi_ros.nodes.contact'), tmp_path_factory.mktemp('node') / 'log.txt', topics=SOURCE)
    yield process
    assert process.end() == 0, process.log
    assert 'Traceback' not in process.log


@pytest.fixture(scope='module')
def bench(node: NodeProcess) -> Iterator[Bench]:
    bench = Bench(NODE)
    for name, kind in OUTPUTS.items():
        if name != 'hands':
            bench.listen(kind, f'{NODE}/{name}')
    bench.until_state('active')
    yield bench
    bench.close()


def answers(bench: Bench) -> dict[int, list[HandEstimate]]:
    """What the node has published, by stamp."""
    found = [{stamp_of(each.header): each for each in bench.received[f'{NODE}/{name}']} for name in OUTPUTS]
    return {
        stamp: hand_estimates(*(messages[stamp] for messages in found))
        for stamp in set.intersection(*(set(messages) for messages in found))
    }


def test_true_hands_touch_what_they_hold(bench: Bench, tmp_path) -> None:
    truth = '/sim_camera/ground_truth'
    bench.listen(HandArray, truth)
    settings = {'loop': 1.0, 'rate': 4.0, 'width': 64, 'height': 48, 'object': 'can', 'noise': False}
    camera = NodeProcess(('-m', 'hoi_ros.nodes.sim_camera'), tmp_path / 'log.txt', settings, topics={})

    def known() -> list[tuple[list[HandEstimate], list[HandEstimate]]]:
        """Answers and the truth of their stamps; the first one may have been sent before the bench was heard of."""
        true = {stamp_of(message.header): message for message in bench.received[truth]}
        return [(hands, hand_estimates(true[stamp])) for stamp, hands in answers(bench).items() if stamp in true]

    bench.until(lambda: sum(bool(hands) for hands, _ in known()) >= 3, what='three answers')
    assert camera.end() == 0, camera.log
    for hands, true_hands in known():
        (hand,), (expected,) = hands, true_hands
        assert hand.contact is not None and len(hand.contact.hand) == len(expected.vertices)
        assert len(set(hand.contact.fingers.tolist())) >= 2 and hand.grasp is not None
        assert 0 <= hand.contact.intersection < 10e-6
        assert np.linalg.norm(hand.joints - expected.joints, axis=1).mean() < 0.02


class Sender:
    """Sends a hand that holds a can, in the place of the simulated camera."""

    def __init__(self, bench: Bench) -> None:
        self.model = HandModel.load()
        motion = HandMotion(self.model, 'right', 0, 8.0, 0.0, Can())
        self.hand, self.faces = motion(0.0), motion.object_faces
        self._bench = bench
        self._hands, self._objects, self._topology = (
            bench.create_publisher(kind, topic, qos)
            for kind, topic, qos in zip(
                (HandArray, HeldObjectArray, MeshTopology), SOURCE.values(), (1, 1, LATCHED), strict=True
            )
        )
        self._stamps: set[int] = set()

    def introduce(self, faces: np.ndarray) -> None:
        """Publishes the topology."""
        self._topology(mesh_topology(Header(), self.model, self.model.mirrored(), faces))

    def answer(self, hand: HandEstimate) -> HandEstimate:
        """The answer to a hand."""
        stamps: set[int] = set()

        def send() -> None:
            header = self._bench.next_header()
            stamps.add(stamp_of(header))
            self._hands(hand_array(header, [hand], True))
            self._objects(held_objects(header, [hand], True))

        self._bench.until(lambda: stamps & answers(self._bench).keys(), send, 'an answer')
        (found,) = answers(self._bench)[min(stamps & answers(self._bench).keys())]
        return found

    def holding(self, vertices: np.ndarray) -> HandEstimate:
        held = dataclasses.replace(self.hand.held, vertices=vertices.astype(np.float32))
        return dataclasses.replace(self.hand, held=held)


@pytest.fixture(scope='module')
def sender(bench: Bench) -> Sender:
    return Sender(bench)


def test_meshes_that_cannot_be_held_pass_through_with_the_reason(
    bench: Bench, node: NodeProcess, sender: Sender
) -> None:
    sender.introduce(sender.faces)
    can = sender.hand.held.vertices
    bad = {
        'millimetres': can * 1000,
        'a point': np.repeat(can[:1], len(can), 0),
        'a metre away': can + [0, 0, 1.0],
    }
    for name, vertices in bad.items():
        hand = sender.answer(sender.holding(vertices))
        assert hand.contact is None and hand.grasp is None, name
        np.testing.assert_allclose(hand.joints, sender.hand.joints, atol=1e-6, err_msg=name)
        bench.until_says('is published as it came, without contact', lambda: sender.answer(sender.holding(vertices)))
    assert sender.answer(sender.hand).contact is not None and node.alive


def test_strange_meshes_give_finite_hands(node: NodeProcess, sender: Sender) -> None:
    can, faces = sender.hand.held.vertices, sender.faces
    for name, hand, triangles in (
        ('hand inside', sender.holding((can - can.mean(0)) * 4 + sender.hand.joints.mean(0)), faces),
        ('inverted', sender.hand, faces[:, ::-1]),
        ('open', sender.hand, faces[: len(faces) // 2]),
    ):
        sender.introduce(triangles if triangles.max() + 1 == len(can) else np.concatenate([triangles, faces[-1:]]))
        found = sender.answer(hand)
        for values in (found.joints, found.vertices, found.held.vertices):
            assert np.isfinite(values).all(), name
        if found.contact is not None:
            assert np.isfinite(found.contact.hand).all() and np.isfinite(found.contact.points).all(), name
        assert np.linalg.norm(found.joints - hand.joints, axis=1).max() < 0.15, name
    sender.introduce(faces)
    assert sender.answer(sender.hand).contact is not None and node.alive
