# SPDX-License-Identifier: Apache-2.0
"""Contact in colours, on open hands and on hands that hold something."""

import dataclasses

import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.drawing.contact_colours import contact_colours
from hoi_ros.drawing.hands import draw_hands
from hoi_ros.drawing.open_hand import OpenHand
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import ContactEstimate
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.simulation.held_solid import Ball

OWN = (200, 190, 160)


def test_a_surface_keeps_its_colour_where_nothing_touches_and_is_red_where_it_is_pressed():
    none, faint, touching, full = contact_colours(np.array([0, 0.15, 0.4, 1.0]), OWN)
    np.testing.assert_array_equal([none, faint], [OWN, OWN])
    assert touching[1] > 180 > touching[2] and full[0] > 180 and full[1:].max() < 60


def is_red(picture):
    return (picture[..., 0] > 80) & (picture[..., 1:].max(-1) < 60)


@pytest.mark.parametrize(('side', 'across'), [('right', 1), ('left', -1)])
def test_an_open_hand_shows_the_thumb_beside_the_palm(side, across):
    model = HandModel.load() if side == 'right' else HandModel.load().mirrored()
    draw = OpenHand(model, 300, 400)
    posed = model.forward(np.zeros(48, np.float32), np.zeros(10, np.float32), np.zeros(3, np.float32))
    thumb = np.linalg.norm(posed.vertices - posed.keypoints[4], axis=1) < 0.02
    red = is_red(draw(thumb.astype(np.float32)))
    assert red.sum() > 100 and not is_red(draw(np.zeros(len(thumb), np.float32))).any()
    # Seen from the palm with the fingers up, the thumb of a right hand is to the right.
    assert across * (np.flatnonzero(red.any(0)).mean() - 150) > 40
    assert (draw(None) == draw(None)[0, 0]).all()


def test_a_hand_with_contact_and_its_object_are_drawn_by_contact():
    motion = HandMotion(HandModel.load(), 'right', 0, 8.0, 0.0, Ball())
    hand = motion(0.0)
    camera = Pinhole(320, 240, 240.0, 240.0, 160.0, 120.0)
    faces = {'right': motion.model.faces}

    def drawn(amount):
        nowhere = np.zeros((0, 3))
        vertices = [np.full(len(each), amount, np.float32) for each in (hand.vertices, hand.held.vertices)]
        contact = ContactEstimate(*vertices, nowhere, nowhere, np.zeros(0, int), 0.0, 0.0)
        blank = np.zeros((240, 320, 3), np.uint8)
        return draw_hands(blank, [dataclasses.replace(hand, contact=contact)], camera, faces, motion.object_faces)

    shown = (drawn(0.0) != 0).any(-1)
    assert is_red(drawn(1.0)).sum() > 0.5 * shown.sum() and not is_red(drawn(0.0)).any()
