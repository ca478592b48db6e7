# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.msg import Hand
from hoi_ros.nodes.messages.markers import object_markers
from hoi_ros.nodes.messages.objects import held_objects
from hoi_ros.nodes.messages.objects import object_boxes
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


def test_the_surest_object_of_a_side_has_the_frame():
    unsure = dataclasses.replace(THING, score=0.5, position=np.zeros(3))
    transforms = object_transforms(HEADER, [hand(), hand(track=4, held=unsure), hand('left', 5)], 'robot/')
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
