# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import numpy as np
import pytest
from std_msgs.msg import Header

from hoi_ros.msg import Contact
from hoi_ros.msg import Grasp
from hoi_ros.msg import Hand
from hoi_ros.nodes.messages.contacts import contact_array
from hoi_ros.nodes.messages.grasps import grasp_array
from hoi_ros.nodes.messages.grasps import grasp_frame
from hoi_ros.nodes.messages.grasps import grasp_transforms
from hoi_ros.nodes.messages.hands import hand_array
from hoi_ros.nodes.messages.hands import hand_estimates
from hoi_ros.nodes.messages.objects import held_objects

from .grasping import contact_of
from .grasping import grasp_of
from .grasping import grasping_hand

HEADER = Header(frame_id='camera')


def assert_same(first, second):
    """Every field of two estimates, to the precision of float32."""
    for name, value in vars(first).items():
        other = getattr(second, name)
        if isinstance(value, str):
            assert value == other, name
        else:
            assert np.shape(value) == np.shape(other), name
            np.testing.assert_allclose(other, value, rtol=1e-6, err_msg=name)


def test_nothing_of_contact_and_grasp_is_lost_on_the_way_through_messages():
    generator = np.random.default_rng(0)
    left, right = grasping_hand(generator), grasping_hand(generator, 'right', 6)
    right = dataclasses.replace(
        right, contact=contact_of(generator, points=0), grasp=dataclasses.replace(right.grasp, type='lateral')
    )
    bare = dataclasses.replace(right, track_id=7, held=None, contact=None, grasp=None)
    hands = [left, bare, right]
    back = hand_estimates(
        hand_array(HEADER, hands, True),
        held_objects(HEADER, hands, True),
        contact_array(HEADER, hands, 0.005),
        grasp_array(HEADER, hands),
    )
    assert [hand.track_id for hand in back] == [5, 7, 6]
    for sent, received in ((left, back[0]), (right, back[2])):
        assert_same(sent.contact, received.contact)
        assert_same(sent.grasp, received.grasp)
    assert back[1].contact is None and back[1].grasp is None
    assert hand_estimates(hand_array(HEADER, hands, True))[0].contact is None


def test_a_contact_names_its_hand_and_its_grid():
    generator = np.random.default_rng(1)
    hand = grasping_hand(generator)
    open_mesh = dataclasses.replace(hand, contact=dataclasses.replace(hand.contact, intersection=math.nan))
    message = contact_array(HEADER, [hand, open_mesh], 0.005)
    assert message.header == HEADER
    (sent, without_inside) = message.contacts
    assert (sent.hand_id, sent.hand_side) == (5, Hand.LEFT)
    assert list(sent.fingers) == [Contact.THUMB, Contact.INDEX, Contact.PALM]
    assert sent.intersection_voxel == pytest.approx(0.005)
    assert sent.intersection == pytest.approx(1.5e-6) and math.isnan(without_inside.intersection)


@pytest.mark.parametrize(
    ('kind', 'number'), [('power', Grasp.POWER), ('precision', Grasp.PRECISION), ('lateral', Grasp.LATERAL)]
)
def test_the_type_of_a_grasp_is_a_constant(kind, number):
    hand = grasping_hand(np.random.default_rng(2))
    (sent,) = grasp_array(HEADER, [dataclasses.replace(hand, grasp=dataclasses.replace(hand.grasp, type=kind))]).grasps
    assert (sent.type, sent.hand_id, sent.hand_side) == (number, 5, Hand.LEFT)
    assert math.isnan(sent.centroids[9]) and list(sent.touching) == [True, True, True, False, False]


def pinch(approach=(0.2, 0.0, 1.0), thumb=(1.0, 0, 0)):
    """Thumb at the left, index and middle finger at the right of an object half a metre away; the ring finger presses
    as the thumb does."""
    centroids, normals = np.full((2, 5, 3), np.nan)
    centroids[:4] = [[-0.03, 0, 0.5], [0.03, -0.01, 0.5], [0.03, 0.01, 0.5], [-0.03, 0.02, 0.5]]
    normals[:4] = [thumb, [-1, 0, 0], [-1, 0, 0], [1, 0, 0]]
    grasp = grasp_of(np.random.default_rng(3))
    return dataclasses.replace(grasp, approach=np.array(approach), centroids=centroids, normals=normals)


def test_the_frame_of_a_grasp_closes_along_x_and_approaches_along_z():
    frame = grasp_frame(pinch())
    np.testing.assert_allclose(frame[:3, 3], [0, 0, 0.5], atol=1e-9)
    np.testing.assert_allclose(frame[:3, :3], np.eye(3), atol=1e-9)
    assert grasp_frame(pinch(approach=(1.0, 0, 0.01))) is None
    assert grasp_frame(pinch(thumb=(np.nan, np.nan, np.nan))) is None
    assert grasp_frame(pinch(thumb=(-1.0, 0, 0.01))) is not None
    assert grasp_frame(pinch(thumb=(0, 1.0, 0))) is None


def test_the_surest_hand_of_a_side_has_the_frame_of_its_grasp():
    hand = grasping_hand(np.random.default_rng(4))
    sure = dataclasses.replace(hand, score=0.9, grasp=dataclasses.replace(pinch(), confidence=0.2))
    unsure = dataclasses.replace(hand, score=0.5, grasp=dataclasses.replace(pinch((0, 1.0, 0)), confidence=0.9))
    without = dataclasses.replace(hand, side='right', grasp=None)
    (transform,) = grasp_transforms(HEADER, [unsure, sure, without], 'robot/')
    assert transform.child_frame_id == 'robot/left_grasp' and transform.header == HEADER
    turn, place = transform.transform.rotation, transform.transform.translation
    np.testing.assert_allclose([turn.x, turn.y, turn.z, turn.w], [0, 0, 0, 1], atol=1e-9)
    assert place.z == pytest.approx(0.5)
