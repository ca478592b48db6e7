# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import numpy as np
import pytest
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.msg import Hand
from hoi_ros.nodes.messages.markers import object_markers
from hoi_ros.nodes.messages.objects import held_objects
from hoi_ros.nodes.messages.objects import object_boxes
from hoi_ros.nodes.messages.objects import object_estimate
from hoi_ros.nodes.messages.objects import object_transforms

HEADER = Header(frame_id='camera')
VERTICES = np.array([[0, 0, 0.5], [0.04, 0, 0.5], [0, 0.06, 0.5], [0, 0, 0.58]], np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
THING = ObjectEstimate(
    0.75,
    VERTICES,
    np.array([0.02, 0.03, 0.54]),
    np.array([0.0, 0.6, 0.0, 0.8]),
    np.array([0.04, 0.06, 0.08]),
    -0.002,
    True,
    ClaimConfidence(touching=0.9, gap=0.8, box=0.7),
)


def hand(side='right', track=3, held=THING):
    return HandEstimate(
        side,
        track,
        0.9,
        np.zeros((21, 3)),
        np.ones(21),
        np.zeros(48),
        np.zeros(10),
        np.zeros(3),
        np.zeros((5, 3)),
        'depth',
        held,
    )


def numbers(message, names='xyz'):
    return [getattr(message, name) for name in names]


def test_an_object_goes_into_its_message_whole():
    message = held_objects(HEADER, [hand(held=None), hand('left', 5)], with_mesh=True)
    assert message.header == HEADER
    (sent,) = message.objects
    assert (sent.hand_id, sent.hand_side, sent.touching) == (5, Hand.LEFT, True)
    assert sent.score == pytest.approx(0.75) and sent.gap == pytest.approx(-0.002)
    np.testing.assert_allclose(numbers(sent.pose.position), THING.position)
    np.testing.assert_allclose(numbers(sent.pose.orientation, 'xyzw'), THING.orientation)
    np.testing.assert_allclose(numbers(sent.size), THING.size)
    np.testing.assert_allclose(np.reshape(sent.vertices, (-1, 3)), VERTICES)
    sent_confidence = sent.touching_confidence, sent.gap_confidence, sent.box_confidence
    assert sent_confidence == pytest.approx((0.9, 0.8, 0.7))
    assert object_estimate(sent).confidence == ClaimConfidence(*sent_confidence)


def test_a_withheld_claim_says_nothing_in_any_message():
    silent = hand(held=THING.withheld_below(0.95))
    (sent,) = held_objects(HEADER, [silent], with_mesh=True).objects
    assert (sent.touching, sent.touching_confidence, sent.gap_confidence, sent.box_confidence) == (False, 0, 0, 0)
    box = numbers(sent.pose.position) + numbers(sent.pose.orientation, 'xyzw') + numbers(sent.size)
    assert np.isnan([sent.gap, *box]).all()
    assert sent.score == pytest.approx(0.75) and len(sent.vertices) == VERTICES.size
    assert not object_boxes(HEADER, [silent]).detections and not object_transforms(HEADER, [silent], '')
    # The mesh stays, paler than one whose box is known.
    (pale,), (full,) = (object_markers(HEADER, [one], FACES, 1.0) for one in (silent, hand()))
    assert pale.points == full.points and pale.color.a < full.color.a
    back = object_estimate(sent)
    assert not back.has_box and math.isnan(back.gap) and back.confidence == ClaimConfidence(0, 0, 0)


def test_each_claim_is_withheld_below_its_own_confidence():
    kept = THING.withheld_below(0.85)
    assert kept.touching and math.isnan(kept.gap) and not kept.has_box
    assert kept.confidence == ClaimConfidence(0.9, 0, 0)
    kept = THING.withheld_below(0.75)
    assert kept.touching and kept.gap == THING.gap and not kept.has_box
    assert THING.withheld_below(0.7) is THING


def test_without_a_mesh_there_are_no_vertices():
    assert not held_objects(HEADER, [hand()], with_mesh=False).objects[0].vertices


@pytest.mark.parametrize('hands', [[], [hand(held=None)]])
def test_empty_hands_give_empty_messages(hands):
    assert not held_objects(HEADER, hands, True).objects and not object_boxes(HEADER, hands).detections
    assert not object_transforms(HEADER, hands, '') and not object_markers(HEADER, hands, FACES, 1.0)


def test_a_box_is_a_detection_of_its_hands_track():
    message = object_boxes(HEADER, [hand()])
    (box,) = message.detections
    assert message.header == box.header == HEADER and box.id == '3'
    (result,) = box.results
    assert result.hypothesis.class_id == 'held_object' and result.hypothesis.score == pytest.approx(0.75)
    np.testing.assert_allclose(numbers(box.bbox.center.position), THING.position)
    np.testing.assert_allclose(numbers(box.bbox.size), THING.size)
    assert result.pose.pose == box.bbox.center


def test_the_object_of_the_surest_hand_of_a_side_has_the_frame():
    other = dataclasses.replace(THING, score=0.99, position=np.zeros(3))
    unsure = dataclasses.replace(hand(track=4, held=other), score=0.1)
    transforms = object_transforms(HEADER, [hand(), unsure, hand('left', 5)], 'robot/')
    assert {each.child_frame_id for each in transforms} == {'robot/right_held_object', 'robot/left_held_object'}
    right = next(each for each in transforms if 'right' in each.child_frame_id)
    assert right.header == HEADER
    np.testing.assert_allclose(numbers(right.transform.translation), THING.position)
    np.testing.assert_allclose(numbers(right.transform.rotation, 'xyzw'), THING.orientation)


def test_a_marker_shows_the_mesh():
    (marker,) = object_markers(HEADER, [hand()], FACES, lifetime=0.4)
    assert (marker.type, marker.ns, marker.id) == (Marker.TRIANGLE_LIST, 'right_held_object', 3)
    assert marker.lifetime.nanosec == 400_000_000
    np.testing.assert_allclose([numbers(point) for point in marker.points], VERTICES[FACES].reshape(-1, 3))
