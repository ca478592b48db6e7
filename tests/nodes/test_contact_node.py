# SPDX-License-Identifier: Apache-2.0
"""The contact node around a stand-in for its stage, as a process over DDS, fed with another node's messages."""

import dataclasses
import itertools
import time
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseArray
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.msg import ContactArray
from hoi_ros.msg import GraspArray
from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObjectArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.hands import hand_array
from hoi_ros.nodes.messages.hands import hand_estimates
from hoi_ros.nodes.messages.hands import mesh_topology
from hoi_ros.nodes.messages.objects import held_objects
from hoi_ros.nodes.runtime.qos import LATCHED

from .bench import Bench
from .bench import good_depth
from .bench import good_info
from .bench import NodeProcess
from .bench import stamp_of
from .bench import TOPICS as TOPICS_OF_CAMERA
from .contact_stand_in import SLOW
from .messages.grasping import FACES
from .reconstruction.colour_bench import colours
from .reconstruction.colour_bench import STAND_IN as RECONSTRUCTION

pytestmark = [pytest.mark.slow, pytest.mark.ros]

NODE, SOURCE = '/contact', '/reconstruction'
STAND_IN = (str(Path(__file__).with_name('contact_stand_in.py')),)
RIGHT = HandModel.load()
MODELS = {'right': RIGHT, 'left': RIGHT.mirrored()}
FRAME = 'camera_color_optical_frame'
TOPICS = {'hands': HandArray, 'objects': HeldObjectArray, 'contacts': ContactArray, 'grasps': GraspArray}


def holding_hand(side='right', track=3, distance=0.0, faces=FACES):
    """A flat hand half a metre away, and a solid beside its wrist or that much farther away."""
    pose, place = np.zeros(48, np.float32), np.array([0, 0, 0.5], np.float32)
    posed = MODELS[side].forward(pose, np.zeros(10), place)
    corners = np.array([[0, 0, 0], [0.04, 0, 0], [0, 0.06, 0], [0, 0, 0.08], [0.01, 0.01, 0.01]], np.float32)
    vertices = corners[: faces.max() + 1] + place + np.array([0, 0, distance], np.float32)
    held = ObjectEstimate(
        0.75, vertices, vertices.mean(0), np.array([0, 0, 0, 1.0]), np.array([0.04, 0.06, 0.08]), 0.0, True
    )
    scores, shape = np.ones(21, np.float32), np.zeros(10, np.float32)
    return HandEstimate(
        side, track, 0.9, posed.keypoints, scores, pose, shape, place, np.asarray(posed.vertices), held=held
    )


def empty(hand):
    return dataclasses.replace(hand, held=None)


class ContactBench(Bench):
    """Good frames are a hand and its object, as the other node publishes them."""

    def __init__(self):
        super().__init__(NODE)
        for name, kind in TOPICS.items():
            if name != 'hands':
                self.listen(kind, f'{NODE}/{name}')
        self._send_hands = self.create_publisher(HandArray, f'{SOURCE}/hands')
        self._send_objects = self.create_publisher(HeldObjectArray, f'{SOURCE}/objects')
        self._send_topology = self.create_publisher(MeshTopology, f'{SOURCE}/mesh_topology', LATCHED)

    def send_topology(self, faces=FACES):
        self._send_topology(mesh_topology(Header(), MODELS['right'], MODELS['left'], faces))

    def send_hands(self, *hands, with_mesh=True, late=0, frame=FRAME, lost=False):
        """The stamp in nanoseconds; `late` and `frame` are those of the objects, which may be `lost`."""
        header = self.next_header()
        other = Header(frame_id=frame)
        other.stamp.sec, other.stamp.nanosec = header.stamp.sec, header.stamp.nanosec + late
        self._send_hands(hand_array(header, hands, with_mesh))
        if not lost:
            self._send_objects(held_objects(other, hands, with_mesh))
        return stamp_of(header)

    def send_good(self):
        return self.send_hands(holding_hand())

    def until_answer(self, *hands):
        """Sends hands until they are answered on every topic: the messages of that stamp by name."""
        sent = set()

        def answered():
            for stamp in sorted(sent, reverse=True):
                found = {
                    name: message
                    for name in TOPICS
                    for message in self.received[f'{NODE}/{name}']
                    if stamp_of(message.header) == stamp
                }
                if len(found) == len(TOPICS):
                    return found
            return None

        self.until(answered, lambda: sent.add(self.send_hands(*hands)), 'an answer')
        return answered()


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    process = NodeProcess(STAND_IN, tmp_path_factory.mktemp('node') / 'log.txt', topics={})
    yield process
    assert process.end() == 0, process.log
    assert 'Traceback' not in process.log


@pytest.fixture(scope='module')
def shared_bench():
    bench = ContactBench()
    yield bench
    bench.close()


@pytest.fixture
def bench(shared_bench, node):
    """The node is active and knows the topology; it is alive after each test, and answers."""
    shared_bench.until_state('active')
    shared_bench.send_topology()
    yield shared_bench
    assert node.alive, node.log
    shared_bench.send_topology()
    assert shared_bench.until_answer(holding_hand())['contacts'].contacts


def test_a_node_without_a_topology_says_so_and_works_once_there_is_one(shared_bench, node):
    bench = shared_bench
    bench.until_state('active')
    bench.until_says('no topology on /reconstruction/mesh_topology', bench.send_good)
    assert not bench.hands
    bench.send_topology()
    bench.until_well()
    assert bench.hands and bench.value('contacts') == '1' and bench.value('grasps') == '1'


def test_refined_hands_their_objects_contacts_and_grasps_have_the_stamp_of_the_image(bench):
    left, right = holding_hand('left', 4), empty(holding_hand('right', 5))
    answer = bench.until_answer(left, right)
    assert {message.header.frame_id for message in answer.values()} == {FRAME}
    refined, passed = hand_estimates(*answer.values())
    np.testing.assert_allclose(refined.joints, left.joints + [0, 0, 0.01], atol=1e-6)
    np.testing.assert_allclose(passed.joints, right.joints, atol=1e-6)
    np.testing.assert_allclose(refined.held.vertices, left.held.vertices)
    assert refined.contact.hand.shape == (len(RIGHT.template),) and refined.grasp.type == 'precision'
    assert refined.grasp.aperture == pytest.approx(0.04)
    assert passed.contact is None and passed.grasp is None


def test_boxes_topology_transforms_and_markers(bench):
    bench.listen(MeshTopology, f'{NODE}/mesh_topology', LATCHED)
    topics = [f'{NODE}/{name}' for name in ('mesh_topology', 'object_boxes', 'markers', 'openxr_joints')] + ['/tf']
    for kind, topic in zip((Detection3DArray, MarkerArray, PoseArray, TFMessage), topics[1:]):
        bench.listen(kind, topic)
    bench.until(lambda: all(bench.received[topic] for topic in topics), bench.send_good, topics)
    topology, boxes, markers, joints, frames = (bench.received[topic][-1] for topic in topics)
    assert topology.object_vertex_count == 4 and list(topology.object_faces) == FACES.ravel().tolist()
    assert boxes.detections[0].id == '3'
    assert (len(joints.poses), joints.header.frame_id) == (50, FRAME) and joints.poses[25].position.z > 0.4
    # Wrists and held objects are frames of the other node.
    (frame,) = frames.transforms
    assert (frame.header.frame_id, frame.child_frame_id) == (FRAME, 'right_grasp')
    assert frame.transform.translation.x == pytest.approx(0.02)
    shown = {marker.ns: marker for marker in markers.markers}
    hand, thing = shown['right_mesh'], shown['right_held_object']
    assert len(hand.colors) == len(hand.points) and len(thing.colors) == len(thing.points) == FACES.size
    assert thing.colors[0].r > 0.7 > thing.colors[0].b and len({colour.r for colour in hand.colors}) > 10
    assert len(shown['right_contact_points'].points) == 2 and len(shown['right_contact_normals'].points) == 4
    assert shown['right_approach'].type == Marker.ARROW


def test_hands_without_objects_pass_through_with_empty_contacts(bench):
    answer = bench.until_answer(empty(holding_hand()))
    assert len(answer['hands'].hands) == 1
    assert not answer['objects'].objects and not answer['contacts'].contacts and not answer['grasps'].grasps
    assert bench.until_answer()['hands'].hands == []


def test_an_object_far_away_passes_through_with_the_reason(bench):
    far = holding_hand(track=8, distance=1.0)
    answer = bench.until_answer(far)
    assert len(answer['objects'].objects) == 1 and not answer['contacts'].contacts
    # Without further messages the node says soon that none arrive.
    bench.until_says(
        'right hand 8 is published as it came, without contact: its object is 1.0', lambda: bench.until_answer(far)
    )
    assert bench.diagnosis.level == DiagnosticStatus.WARN


def test_bad_messages_are_refused_and_good_ones_are_answered_again(bench):
    bench.hands.clear()
    bench.until_says(
        'refused: hand 3 comes without its mesh: let /reconstruction publish it (`ros2 param set /reconstruction '
        'publish_mesh true`)',
        lambda: bench.send_hands(holding_hand(), with_mesh=False),
    )
    assert bench.diagnosis.level == DiagnosticStatus.ERROR and not bench.hands
    broken = holding_hand()
    broken.vertices[5] = np.nan
    bench.until_says('refused: the vertices of hand 3 are not all finite', lambda: bench.send_hands(broken))
    bench.until_says(
        'objects on /reconstruction/objects does not match hands on /reconstruction/hands: its nearest stamp is '
        '0.001 ms later, expected within 0 ms',
        lambda: bench.send_hands(holding_hand(), late=1000),
    )
    bench.until_says(
        f"refused: the hands are in the frame '{FRAME}', the objects in 'head'",
        lambda: bench.send_hands(holding_hand(), frame='head'),
    )
    assert not bench.hands
    bench.until_well()


def test_objects_that_get_lost_are_told(bench):
    sent = itertools.count()
    bench.until_says(
        'objects on /reconstruction/objects arrives', lambda: bench.send_hands(lost=next(sent) % 5 in (0, 1, 3))
    )
    assert 'in irregular intervals: messages get lost on their way' in bench.says


def test_two_hands_on_one_object_are_two_pairs(bench):
    left, right = holding_hand('left', 4), holding_hand('right', 5)
    right = dataclasses.replace(right, held=left.held)
    answer = bench.until_answer(left, right)
    assert [(contact.hand_id, contact.hand_side) for contact in answer['contacts'].contacts] == [
        (4, Hand.LEFT),
        (5, Hand.RIGHT),
    ]
    first, second = hand_estimates(*answer.values())
    np.testing.assert_array_equal(first.held.vertices, second.held.vertices)
    assert {grasp.hand_id for grasp in answer['grasps'].grasps} == {4, 5}


def test_the_newest_frame_is_next(bench):
    slow = bench.send_hands(holding_hand(track=SLOW))
    time.sleep(0.5)  # it has been taken
    waiting = [bench.send_hands(holding_hand()) for _ in range(5)]

    def answered():
        return {stamp_of(message.header) for message in bench.hands}

    bench.until(lambda: waiting[-1] in answered(), what='the last frame')
    assert slow in answered() and not answered() & set(waiting[:-1])


def test_a_restarted_source_with_another_mesh_is_followed(bench):
    bench.listen(MeshTopology, f'{NODE}/mesh_topology', LATCHED)
    faces = np.concatenate([FACES, [[0, 1, 4]]])
    other = holding_hand(faces=faces)
    bench.until_says('refused: the object of hand 3 has 5 vertices', lambda: bench.send_hands(other))
    bench.send_topology(faces)
    answer = bench.until_answer(other)
    assert len(answer['contacts'].contacts[0].object_contact) == 5
    bench.until(lambda: bench.received[f'{NODE}/mesh_topology'][-1].object_vertex_count == 5)


def test_live_parameters_reach_the_stage(bench):
    hand = holding_hand()
    assert bench.set_parameter('refine', False).successful and bench.set_parameter('budget', 20.0).successful
    (still,) = hand_estimates(bench.until_answer(hand)['hands'])
    np.testing.assert_allclose(still.joints, hand.joints, atol=1e-6)
    bench.until_says('stage_total_ms: 20', bench.send_good)
    assert bench.set_parameter('refine', True).successful and bench.set_parameter('budget', 60.0).successful
    assert not bench.set_parameter('budget', 0.0).successful


def test_the_node_reads_the_reconstruction_node_of_its_namespace(bench, tmp_path):
    space = {'__ns': '/two'}
    nodes = [NodeProcess(RECONSTRUCTION, tmp_path / 'first', topics={**TOPICS_OF_CAMERA, **space})]
    nodes.append(NodeProcess(STAND_IN, tmp_path / 'second', topics=space))
    other = Bench('/two/contact')
    for name, kind in TOPICS.items():
        other.listen(kind, f'/two/contact/{name}')

    def send():
        header = other.next_header()
        other.send(good_depth(header), good_info(header), colours(header))

    other.until(lambda: all(other.received[f'/two/contact/{name}'] for name in TOPICS), send, 'contacts')
    contacts, grasps = (other.received[f'/two/contact/{name}'][-1] for name in ('contacts', 'grasps'))
    assert contacts.header.frame_id == FRAME
    (contact,), (grasp,) = contacts.contacts, grasps.grasps
    assert contact.hand_id == grasp.hand_id and len(contact.object_contact) == 4
    other.close()
    assert [each.end() for each in nodes] == [0, 0]
