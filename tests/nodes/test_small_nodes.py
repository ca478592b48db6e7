# SPDX-License-Identifier: Apache-2.0
"""Nodes of kinds that no shipped system is yet are assembled from the package's parts, as processes over DDS."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Float32MultiArray
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from std_srvs.srv import Trigger

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import HandInImage
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.hand.estimates import Region
from hoi_ros.msg import HandArray
from hoi_ros.msg import HeldObjectArray
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.hands import hand_array
from hoi_ros.nodes.messages.hands import hand_estimates
from hoi_ros.nodes.messages.hands import mesh_topology
from hoi_ros.nodes.messages.objects import held_objects
from hoi_ros.nodes.runtime.qos import LATCHED

from .bench import Bench
from .bench import NodeProcess
from .bench import stamp_of

pytestmark = [pytest.mark.slow, pytest.mark.ros]

SCRIPT = str(Path(__file__).with_name('small_nodes.py'))
FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
CORNERS = np.array([[0, 0, 0.5], [0.04, 0, 0.5], [0, 0.06, 0.5], [0, 0, 0.58]], np.float32)


def start(kind, name, tmp_path):
    node = NodeProcess((SCRIPT, kind), tmp_path / 'log.txt', topics={})
    bench = Bench(f'/{name}')
    bench.until_state('active')
    return node, bench


@pytest.fixture
def message_node(tmp_path):
    node, bench = start('contact', 'message_node', tmp_path)
    yield node, bench
    bench.close()
    assert node.end() == 0 and 'Traceback' not in node.log


@pytest.fixture
def sampling_node(tmp_path):
    node, bench = start('prior', 'sampling_node', tmp_path)
    yield node, bench
    bench.close()
    assert node.end() == 0 and 'Traceback' not in node.log


def holding_hand(generator):
    """A hand that holds a tetrahedron, every number of it its own."""
    held = ObjectEstimate(
        0.75,
        CORNERS,
        generator.normal(size=3),
        np.array([0, 0.6, 0, 0.8]),
        generator.uniform(size=3),
        -0.002,
        True,
        ClaimConfidence(0.875, 0.5, 0.25),
    )
    return HandEstimate(
        side='left',
        track_id=5,
        score=0.875,
        joints=generator.normal(size=(21, 3)).astype(np.float32),
        joint_scores=generator.uniform(size=21).astype(np.float32),
        pose=generator.normal(size=48).astype(np.float32),
        shape=generator.normal(size=10).astype(np.float32),
        translation=generator.normal(size=3).astype(np.float32),
        vertices=generator.normal(size=(7, 3)).astype(np.float32),
        located_by='hand_size',
        held=held,
        side_score=0.625,
        in_image=HandInImage(
            generator.normal(size=(21, 2)).astype(np.float32), Region(10.25, 20.5, 30.125, 40.75, 'left')
        ),
    )


def assert_same(first, second):
    """Every field of two estimates, to the precision of float32."""
    for name, value in vars(first).items():
        other = getattr(second, name)
        if value is None or other is None:
            assert value is other, name
        elif name in ('held', 'in_image', 'box', 'confidence') and not isinstance(value, float):
            assert_same(value, other)
        elif isinstance(value, str | bool):
            assert value == other
        else:
            np.testing.assert_allclose(other, value, rtol=1e-6, err_msg=name)


def test_nothing_of_an_estimate_is_lost_on_the_way_through_messages():
    generator = np.random.default_rng(0)
    hand = holding_hand(generator)
    bare = HandEstimate(
        **{**vars(hand), 'side': 'right', 'track_id': 6, 'held': None, 'in_image': None, 'located_by': 'depth'}
    )
    header = Header(frame_id='camera')
    back = hand_estimates(hand_array(header, [hand, bare], True), held_objects(header, [hand, bare], True))
    for sent, received in zip((hand, bare), back, strict=True):
        assert_same(sent, received)
    (without,) = hand_estimates(hand_array(header, [hand], False), held_objects(header, [hand], False))
    assert without.vertices.shape == without.held.vertices.shape == (0, 3)


def test_a_node_reads_the_messages_of_another(message_node):
    _, bench = message_node
    right = HandModel.load()
    topology = mesh_topology(Header(), right, right.mirrored(), FACES)
    bench.create_publisher(MeshTopology, '/other/mesh_topology', LATCHED)(topology)
    send_hands = bench.create_publisher(HandArray, '/other/hands')
    send_objects = bench.create_publisher(HeldObjectArray, '/other/objects')
    hand = holding_hand(np.random.default_rng(1))

    def send(late=0):
        header = bench.next_header()
        send_hands(hand_array(header, [hand], True))
        other = Header(frame_id='camera')
        other.stamp.sec, other.stamp.nanosec = header.stamp.sec, header.stamp.nanosec + late
        send_objects(held_objects(other, [hand], True))
        return stamp_of(header)

    sent = set()
    bench.until(lambda: bench.hands, lambda: sent.add(send()), 'hands')
    assert stamp_of(bench.hands[0].header) in sent and bench.hands[0].header.frame_id == 'camera_color_optical_frame'
    (received,) = hand_estimates(bench.hands[0])
    assert_same(HandEstimate(**{**vars(hand), 'held': None}), received)
    # Objects of another stamp do not belong to the hands.
    time.sleep(1.0)
    bench.hands.clear()
    for _ in range(5):
        send(late=1000)
        time.sleep(0.1)
    assert not bench.hands
    bench.until_says('no objects on /other/objects', lambda: send_hands(hand_array(bench.next_header(), [hand], True)))
    assert bench.value('missing_inputs') == 'objects'


def test_a_node_names_the_rule_that_maps_its_topic(message_node):
    _, bench = message_node
    bench.create_publisher(HandArray, '/elsewhere/hands')
    bench.until_says('--ros-args -r /other/hands:=/elsewhere/hands')


def test_a_topology_is_kept_from_one_activation_to_the_next(message_node):
    _, bench = message_node
    right = HandModel.load()
    publish = bench.create_publisher(MeshTopology, '/other/mesh_topology')
    send_hands = bench.create_publisher(HandArray, '/other/hands')
    send_objects = bench.create_publisher(HeldObjectArray, '/other/objects')
    hand = holding_hand(np.random.default_rng(1))

    def send():
        header = bench.next_header()
        send_hands(hand_array(header, [hand], True))
        send_objects(held_objects(header, [hand], True))

    def send_all():
        publish(mesh_topology(Header(), right, right.mirrored(), FACES))
        send()

    # Without a latch the topology is lost while the node has not matched the publisher yet.
    bench.until(lambda: bench.hands, send_all, 'hands')
    for _ in range(2):
        assert bench.change_state('deactivate')
        bench.hands.clear()
        assert bench.change_state('activate')
        bench.until(lambda: bench.hands, send, 'hands')


def test_what_such_a_node_refuses_is_reported(message_node):
    _, bench = message_node
    right = HandModel.load()
    bench.create_publisher(MeshTopology, '/other/mesh_topology', LATCHED)(mesh_topology(Header(), right, right))
    send_hands = bench.create_publisher(HandArray, '/other/hands')
    send_objects = bench.create_publisher(HeldObjectArray, '/other/objects')
    hand = holding_hand(np.random.default_rng(1))

    def send():
        header = bench.next_header()
        send_hands(hand_array(header, [hand], True))
        send_objects(held_objects(header, [hand], True))

    bench.until_says('refused: the objects do not fit the topology', send)
    assert not bench.hands


def test_a_node_without_frames_works_at_its_own_rate(sampling_node):
    _, bench = sampling_node
    bench.listen(Float32MultiArray, '/sampling_node/samples')
    samples = bench.received['/sampling_node/samples']
    bench.until(lambda: len(samples) > 3, what='samples')
    assert bench.set_parameter('rate', 0.0).successful
    time.sleep(0.5)
    count = len(samples)
    time.sleep(1.0)
    assert len(samples) == count
    assert bench.set_parameter('rate', 50.0).successful
    bench.until(lambda: len(samples) > count + 20, what='samples at the new rate')


def test_a_service_replies_when_its_work_is_done(sampling_node):
    _, bench = sampling_node
    assert bench.state == 'active' and bench.get_parameter('rate') == 5.0
    answers = []
    asked = threading.Thread(target=lambda: answers.append(bench.call(Trigger, 'sample', Trigger.Request())))
    begun = time.monotonic()
    asked.start()
    time.sleep(0.2)
    # The worker is busy with the request; parameters and states are still answered.
    assert bench.state == 'active' and bench.get_parameter('rate') == 5.0
    assert not answers
    asked.join(30)
    assert time.monotonic() - begun >= 1.0
    assert answers[0].success and answers[0].message.startswith('sampled after 1')
    assert bench.set_parameter('rate', 0.0).successful
    refused = bench.call(Trigger, 'sample', Trigger.Request())
    assert not refused.success and refused.message == 'the rate is 0: set it'


def test_a_request_is_answered_where_the_stage_cannot_be_tuned(sampling_node):
    _, bench = sampling_node
    assert bench.set_parameter('work', 0.0).successful
    assert bench.set_parameter('rate', 1e-3).successful
    assert bench.set_parameter('tunable', False).successful
    assert bench.call(Trigger, 'sample', Trigger.Request()).success
    bench.until_says('failed: ValueError: the stage cannot be tuned')


def test_a_stage_that_does_not_answer_is_an_error(sampling_node):
    process, bench = sampling_node
    bench.until_says('running')
    assert bench.set_parameter('work', 7.5).successful
    answers = []
    asked = threading.Thread(target=lambda: answers.append(bench.call(Trigger, 'sample', Trigger.Request())))
    asked.start()
    bench.until_says('the stage has not answered for')
    assert bench.diagnosis.level == DiagnosticStatus.ERROR and not answers
    asked.join(30)
    assert answers[0].success
    bench.until_says('running')
    assert bench.diagnosis.level == DiagnosticStatus.OK and 'has not answered' in process.log


def test_a_request_of_an_inactive_node_is_refused_and_none_is_forgotten(sampling_node):
    _, bench = sampling_node
    assert bench.call(Trigger, 'sample', Trigger.Request()).success
    answers = []
    asked = [
        threading.Thread(target=lambda: answers.append(bench.call(Trigger, 'sample', Trigger.Request())))
        for _ in range(2)
    ]
    for thread in asked:
        thread.start()
    time.sleep(0.5)
    assert bench.change_state('deactivate')
    for thread in asked:
        thread.join(30)
    assert len(answers) == 2 and not any(answer.success for answer in answers)
    assert {answer.message for answer in answers} == {'sampling_node was deactivated'}
    refused = bench.call(Trigger, 'sample', Trigger.Request())
    assert not refused.success and 'sampling_node is inactive' in refused.message
    assert bench.change_state('activate')
    bench.until_state('active')


def set_enabled(bench, on):
    answer = bench.call(SetBool, 'set_enabled', SetBool.Request(data=on))
    assert answer.success
    return answer.message


def test_a_disabled_node_stays_active_and_does_nothing_until_it_is_enabled(sampling_node):
    _, bench = sampling_node
    bench.listen(Float32MultiArray, '/sampling_node/samples')
    samples = bench.received['/sampling_node/samples']
    bench.until(lambda: samples, what='samples')

    def silent():
        time.sleep(0.3)
        count = len(samples)
        time.sleep(1.0)
        return len(samples) == count

    def resets():
        return int(bench.call(Trigger, 'sample', Trigger.Request()).message.split()[2])

    before = resets()
    assert set_enabled(bench, True) == 'enabled; the node is active'
    assert resets() == before
    assert set_enabled(bench, False) == 'disabled; the node is active'
    assert silent()
    bench.until_says('disabled by ~/set_enabled')
    assert bench.diagnosis.level == DiagnosticStatus.OK and bench.value('enabled') == 'False'
    assert (bench.value('output_rate_hz'), bench.value('processing_time_ms_p50')) == ('0.00', 'nan')
    assert bench.value('stage_total_ms') == 'nan'
    refused = bench.call(Trigger, 'sample', Trigger.Request())
    assert not refused.success and 'sampling_node is disabled by ~/set_enabled' in refused.message

    # What was tracked before is forgotten.
    assert set_enabled(bench, True) == 'enabled; the node is active'
    assert resets() == before + 1

    # It stays disabled from one activation to the next.
    set_enabled(bench, False)
    assert bench.change_state('deactivate') and bench.change_state('activate')
    assert silent() and bench.state == 'active'
    count = len(samples)
    set_enabled(bench, True)
    bench.until(lambda: len(samples) > count, what='samples')
    bench.until_says('running')

    # A node that is configured is enabled.
    set_enabled(bench, False)
    for transition in ('deactivate', 'cleanup', 'configure', 'activate'):
        assert bench.change_state(transition)
    count = len(samples)
    bench.until(lambda: len(samples) > count, what='samples')
