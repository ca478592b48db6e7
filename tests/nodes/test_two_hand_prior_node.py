# SPDX-License-Identifier: Apache-2.0
"""The two_hand_prior node around a stand-in for its stage, as a process over DDS, fed with another node's hands."""

import dataclasses
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.msg import Hand
from hoi_ros.msg import HandArray
from hoi_ros.msg import HandInteraction
from hoi_ros.msg import MeshTopology
from hoi_ros.nodes.messages.hands import hand_array
from hoi_ros.nodes.messages.hands import hand_estimates
from hoi_ros.nodes.messages.hands import mesh_topology
from hoi_ros.nodes.runtime.qos import LATCHED
from hoi_ros.srv import SampleTwoHands

from .bench import Bench
from .bench import FRAME
from .bench import NodeProcess
from .bench import stamp_of
from .messages.grasping import FACES
from .two_hand_stand_in import MOVED

pytestmark = [pytest.mark.slow, pytest.mark.ros]

NODE, SOURCE = '/two_hand_prior', '/depth_pose'
STAND_IN = (str(Path(__file__).with_name('two_hand_stand_in.py')),)
RIGHT = HandModel.load()
MODELS = {'right': RIGHT, 'left': RIGHT.mirrored()}
Request = SampleTwoHands.Request
CORNERS = np.array([[0, 0, 0], [0.04, 0, 0], [0, 0.06, 0], [0, 0, 0.08], [0.01, 0.01, 0.01]], np.float32)
"""Of a solid with FACES, half a metre in front of the camera."""


def flat_hand(side, track, place=0.0, score=0.9):
    """Half a metre in front of the camera, and `place` metres beside its axis."""
    pose, shape = np.zeros(48, np.float32), np.zeros(10, np.float32)
    translation = np.array([place, 0, 0.5], np.float32)
    posed = MODELS[side].forward(pose, shape, translation)
    joints, scores = posed.keypoints.astype(np.float32), np.ones(21, np.float32)
    return HandEstimate(side, track, score, joints, scores, pose, shape, translation, np.asarray(posed.vertices))


def message_of(hand):
    (message,) = hand_array(Header(), [hand], False).hands
    return message


NEAR = flat_hand('left', 7), flat_hand('right', 3, 0.01)
"""Two hands that interact."""


class PairBench(Bench):
    """Good frames are two hands that interact."""

    def __init__(self):
        super().__init__(NODE)
        self.listen(HandInteraction, f'{NODE}/interaction')
        self._send_hands = self.create_publisher(HandArray, f'{SOURCE}/hands')
        self.send_topology = self.create_publisher(MeshTopology, f'{SOURCE}/mesh_topology', LATCHED)

    def send_hands(self, *hands):
        header = self.next_header()
        self._send_hands(hand_array(header, hands, True))
        return stamp_of(header)

    def send_good(self):
        return self.send_hands(*NEAR)

    def until_answer(self, *hands):
        """Sends hands until they are answered: the hands and the interaction of that stamp."""
        sent = set()

        def answered():
            topics = [self.hands, self.received[f'{NODE}/interaction']]
            found = [{stamp_of(message.header): message for message in topic} for topic in topics]
            stamps = sent & found[0].keys() & found[1].keys()
            return [topic[max(stamps)] for topic in found] if stamps else None

        self.until(answered, lambda: sent.add(self.send_hands(*hands)), 'an answer')
        return answered()

    def sample(self, **request):
        return self.call(SampleTwoHands, 'sample', Request(header=Header(frame_id='table'), **request))

    def sample_beside(self, answers, **request):
        """Calls on a thread of its own."""
        thread = threading.Thread(target=lambda: answers.append(self.sample(**request)))
        thread.start()
        return thread


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    process = NodeProcess(STAND_IN, tmp_path_factory.mktemp('node') / 'log.txt', {'nearness': 0.1}, topics={})
    yield process
    assert process.end() == 0, process.log
    assert 'Traceback' not in process.log


@pytest.fixture(scope='module')
def shared_bench():
    bench = PairBench()
    yield bench
    bench.close()


@pytest.fixture
def bench(shared_bench, node):
    """The node is active and knows the topology; it is alive after each test, and answers."""
    shared_bench.until_state('active')
    shared_bench.send_topology(mesh_topology(Header(), MODELS['right'], MODELS['left']))
    yield shared_bench
    assert node.alive, node.log
    hands, interaction = shared_bench.until_answer(*NEAR)
    assert interaction.regularised and len(hands.hands) == 2


def test_hands_that_interact_are_regularised_and_others_pass_through_untouched(bench):
    answer, interaction = bench.until_answer(*NEAR)
    left, right = hand_estimates(answer)
    assert (interaction.left_id, interaction.right_id) == (left.track_id, right.track_id) == (7, 3)
    assert answer.header == interaction.header and answer.header.frame_id == FRAME
    np.testing.assert_allclose(right.joints, NEAR[1].joints + MOVED, atol=1e-6)
    assert interaction.regularised and interaction.intersection_after < interaction.intersection_before
    for hands, reason in (
        ((NEAR[0], flat_hand('right', 3, 0.4)), 'apart'),
        ((NEAR[0],), '1 hands'),
        ((NEAR[0], flat_hand('left', 8)), "sides ['left', 'left']"),
        ((*NEAR, flat_hand('right', 9, 0.3)), '3 hands'),
        ((), '0 hands'),
    ):
        answer, interaction = bench.until_answer(*hands)
        assert not interaction.regularised and reason in interaction.reason
        assert answer == deserialize_message(serialize_message(hand_array(answer.header, hands, True)), HandArray)


def test_hands_that_cannot_be_used_are_refused_and_old_ones_dropped(bench):
    broken = dataclasses.replace(NEAR[0], pose=np.full(48, np.nan, np.float32))
    bench.until_says('refused: the pose of hand 7 are not all finite', lambda: bench.send_hands(broken, NEAR[1]))
    bench.until_says('refused: hands of /depth_pose share an id', lambda: bench.send_hands(NEAR[0], NEAR[0]))
    bench.until_answer(*NEAR)
    old = Header(frame_id=FRAME)
    old.stamp.sec, old.stamp.nanosec = divmod(bench.send_good() - 5 * 10**8, 10**9)
    time.sleep(0.1)
    bench._send_hands(hand_array(old, NEAR, True))
    bench.until_answer(*NEAR)
    assert stamp_of(old) not in {stamp_of(message.header) for message in bench.hands}


def test_the_service_samples_pairs_and_hands_beside_an_anchor(bench):
    answer = bench.sample(count=3, seed=5, side=Request.BOTH)
    assert answer.success and len(answer.samples) == len(answer.scores) == 3
    assert list(answer.intersections) == pytest.approx([3e-9] * 3)
    assert [[hand.id for hand in sample.hands] for sample in answer.samples] == [[0, 1], [2, 3], [4, 5]]
    assert {sample.header.frame_id for sample in answer.samples} == {'table'}
    assert bench.sample(count=3, seed=5, side=Request.BOTH) == answer
    assert bench.sample(count=3, seed=6, side=Request.BOTH).samples != answer.samples
    anchor = message_of(NEAR[0])
    (sample,) = bench.sample(count=1, side=Request.RIGHT, anchor=[anchor]).samples
    assert [hand.side for hand in sample.hands] == [Hand.RIGHT]
    (sample,) = bench.sample(count=1, side=Request.BOTH, anchor=[anchor]).samples
    np.testing.assert_allclose(sample.hands[0].joints, NEAR[0].joints.ravel(), atol=1e-5)
    held = {'object_vertices': CORNERS.ravel().tolist(), 'object_faces': FACES.ravel().tolist()}
    assert bench.sample(count=1, side=Request.BOTH, **held).success
    boxed = Request()
    boxed.object_box.size.x = boxed.object_box.size.y = boxed.object_box.size.z = 0.1
    assert bench.sample(count=1, object_box=boxed.object_box).success
    boxed.object_box.size.y = -0.1
    assert 'expected three lengths above 0 m' in bench.sample(count=1, object_box=boxed.object_box).message


def refused_requests():
    """Requests that cannot be carried out, and what each is told."""
    anchor = message_of(NEAR[0])
    broken, strange, bent, far = (message_of(NEAR[0]) for _ in range(4))
    broken.translation[1], strange.shape[0] = np.nan, 40
    bent.pose[3], far.translation[2] = 2.9, 500
    vertices, faces = CORNERS.ravel().tolist(), FACES.ravel().tolist()
    both = {'count': 1, 'side': Request.BOTH}
    return (
        ({'count': 0}, 'count is 0, expected 1 to 256'),
        ({'count': 2**32 - 1}, 'count is 4294967295'),
        ({'count': 1, 'side': 9}, 'side is 9, expected 0'),
        ({'count': 1, 'side': Request.LEFT, 'anchor': [anchor]}, 'the anchor is a left hand and so are the samples'),
        ({**both, 'anchor': [anchor, anchor]}, '2 anchors'),
        ({**both, 'anchor': [broken]}, 'the translation of the anchor is not 3 finite numbers'),
        ({**both, 'anchor': [strange]}, 'the anchor is no hand: a coefficient of its shape is 40'),
        ({**both, 'anchor': [bent]}, 'the anchor is no hand: a joint is bent'),
        ({**both, 'anchor': [far]}, 'it seems to be in millimetres'),
        ({**both, 'guidance': float('nan')}, 'guidance is nan'),
        ({**both, 'object_vertices': vertices}, '0 triangles, expected a closed mesh'),
        ({**both, 'object_faces': faces}, '0 vertices'),
        ({**both, 'object_vertices': vertices, 'object_faces': [*faces[:-1], 9]}, 'names vertex 9'),
        ({**both, 'object_vertices': vertices, 'object_faces': [*faces[:9], 0, 3, 4]}, 'not closed'),
        ({**both, 'object_vertices': vertices, 'object_faces': faces[::-1]}, 'face inwards'),
        ({**both, 'object_vertices': (CORNERS * 1e3).ravel().tolist(), 'object_faces': faces}, 'in millimetres'),
        ({**both, 'object_vertices': [np.nan] * 15, 'object_faces': faces}, 'not finite'),
        ({**both, 'object_vertices': [0.0] * 3 * 50_001, 'object_faces': faces}, 'simplify its mesh'),
    )


def test_hands_go_on_and_calls_are_refused_at_once_while_the_node_samples(bench):
    def refused(request, reason):
        begun = time.monotonic()
        answer = bench.sample(**request)
        assert not answer.success and reason in answer.message and not answer.samples, answer.message
        return time.monotonic() - begun

    requests, answers = refused_requests(), []
    idle = [refused(*request) for request in requests[:5]]
    assert bench.set_parameter('steps', 256).successful  # a call takes 5 s a portion
    calls = [bench.sample_beside(answers, count=256)]
    busy, sent = [], set()
    for request in requests:
        busy.append(refused(*request))
        sent.add(bench.send_good())
        time.sleep(0.03)
    assert np.median(busy) < max(0.1, 3 * np.median(idle))
    bench.until(lambda: sent & {stamp_of(message.header) for message in bench.hands}, what='hands beside the sampling')
    calls += [bench.sample_beside(answers, count=256) for _ in range(5)]
    bench.until(lambda: len(answers) == 2, what='the refusal of two calls of six')
    assert {answer.message for answer in answers} == {'4 calls of ~/sample wait already: call again later'}
    assert bench.change_state('deactivate')
    for call in calls:
        call.join(60)
    inactive = bench.sample(count=1)
    assert bench.set_parameter('steps', 0).successful and bench.change_state('activate')
    assert len(answers) == 6 and not any(answer.success for answer in answers)
    assert {answer.message for answer in answers[2:]} == {'two_hand_prior was deactivated'}
    assert not inactive.success and 'two_hand_prior is inactive' in inactive.message
    assert bench.sample(count=1).success, 'the sampling that nobody awaits has ended'


def test_a_caller_that_goes_away_and_one_that_waits_too_long_do_no_harm(bench):
    client = bench._node.create_client(SampleTwoHands, f'{NODE}/sample')
    assert client.wait_for_service(10)
    client.remove_pending_request(client.call_async(Request(count=32)))
    assert bench.set_parameter('time_limit', 0.1).successful
    late = bench.sample(count=256)
    assert not late.success and '256 samples took longer than time_limit, 0.1 s' in late.message
    assert bench.set_parameter('time_limit', 30.0).successful
    assert bench.sample(count=1).success
    bench._node.destroy_client(client)


def test_samples_are_published_at_a_rate_beside_the_newest_hand_or_free(bench):
    bench.listen(HandArray, f'{NODE}/samples')
    bench.listen(MarkerArray, f'{NODE}/markers')
    samples, markers = bench.received[f'{NODE}/samples'], bench.received[f'{NODE}/markers']
    assert bench.set_parameter('sample_count', 2).successful and bench.set_parameter('sample_rate', 10.0).successful
    sent = {}
    hands = flat_hand('left', 7, score=0.95), flat_hand('right', 3, 0.4)

    def drawn():
        return {marker.ns for message in markers for marker in message.markers}

    bench.until(
        lambda: samples and {'sampled_right_mesh', 'left_mesh'} <= drawn(),
        lambda: sent.update({bench.send_hands(*hands): None}),
        'samples beside the hand with the highest score, and markers',
    )
    assert stamp_of(samples[-1].header) in sent and [hand.side for hand in samples[-1].hands] == [Hand.RIGHT] * 2
    assert [hand.id for hand in samples[-1].hands] == [1, 3]
    transparent = next(each for message in markers for each in message.markers if each.ns.startswith('sampled'))
    assert transparent.color.a < 0.5

    def silent():
        count = len(samples)
        time.sleep(0.5)
        return len(samples) == count

    bench.until(silent, what='silence without a live hand')
    assert bench.set_parameter('condition', 'free').successful
    bench.until(lambda: len(samples) > 1 and len(samples[-1].hands) == 4, what='free samples')
    first, second = hand_estimates(samples[-2]), hand_estimates(samples[-1])
    assert not np.allclose(first[1].pose, second[1].pose) and samples[-1].header.frame_id == FRAME
    assert abs(np.mean([hand.joints[:, 2] for hand in second[:2]]) - 0.5) < 0.01
    assert bench.set_parameter('sample_rate', 0.0).successful
    assert bench.set_parameter('condition', 'observed').successful
    assert not bench.set_parameter('sample_count', 0).successful
