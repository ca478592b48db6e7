# SPDX-License-Identifier: Apache-2.0
"""The simulated camera and the hands in front of it."""

import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.hand.model import mirror_pose
from hoi_ros.simulation.camera import SimulatedCamera
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.simulation.held_solid import SOLIDS
from hoi_ros.simulation.sensor import SensorModel

CAMERA = Pinhole(320, 240, 305.0, 305.0, 159.5, 119.5)
TIMES = np.arange(0, 8, 0.5)


@pytest.fixture(scope='module')
def model():
    return HandModel.load()


def picture(camera, view):
    depth = np.empty((CAMERA.height, CAMERA.width), np.uint16)
    colour = np.empty((CAMERA.height, CAMERA.width, 3), np.uint8)
    camera.paint(view, depth, colour)
    return depth, colour


@pytest.mark.parametrize('seed', range(4))
def test_the_hand_stays_in_view_and_within_its_limits(model, seed):
    motion = HandMotion(model, 'right', seed)
    for time in TIMES:
        hand = motion(time)
        assert 0.3 < hand.joints[:, 2].mean() < 0.85
        pixels = CAMERA.project(hand.joints)
        assert ((pixels > 0) & (pixels < [CAMERA.width, CAMERA.height])).all(1).mean() > 0.85
        angles, limits = model.anatomical(hand.pose)[1:], model.limits[1:]
        assert (angles >= limits[..., 0] - 1e-4).all()
        assert (angles <= limits[..., 1] + 1e-4).all()


def test_the_hand_opens_closes_turns_and_comes_and_goes(model):
    motion = HandMotion(model, 'right')
    hands = [motion(time) for time in np.arange(0, 8, 0.1)]
    reach = [np.linalg.norm(hand.joints[12] - hand.joints[0]) for hand in hands]
    assert max(reach) > 1.8 * min(reach)
    assert np.ptp([hand.joints[:, 2].mean() for hand in hands]) > 0.4
    bones = [hand.joints[[5, 17]] - hand.joints[0] for hand in hands]
    palms = np.array([np.cross(*pair) for pair in bones])
    palms /= np.linalg.norm(palms, axis=1, keepdims=True)
    assert (palms @ palms.T).min() < 0


def test_the_motion_repeats_without_a_jump(model):
    motion = HandMotion(model, 'left', seed=3, period=5)
    np.testing.assert_allclose(motion(5.0).joints, motion(0.0).joints, atol=1e-5)
    np.testing.assert_allclose(motion(4.9999).joints, motion(0.0).joints, atol=1e-3)


def test_the_joints_are_those_of_the_pose(model):
    for side, hand_model in (('right', model), ('left', model.mirrored())):
        hand = HandMotion(model, side, 1)(2.2)
        posed = hand_model.forward(hand.pose, hand.shape, hand.translation)
        np.testing.assert_allclose(posed.keypoints, hand.joints, atol=1e-5)
        np.testing.assert_allclose(posed.vertices, hand.vertices, atol=1e-5)


def test_a_left_hand_is_a_left_hand(model):
    hand = HandMotion(model, 'left', 1)(2.2)
    mirrored = hand.translation * np.array([-1, 1, 1], np.float32)
    as_right = model.forward(mirror_pose(hand.pose), hand.shape, mirrored)
    np.testing.assert_allclose(as_right.keypoints * [-1, 1, 1], hand.joints, atol=1e-5)


def test_an_unknown_side_is_refused(model):
    with pytest.raises(ValueError, match="side is 'both', expected right or left"):
        HandMotion(model, 'both')


def test_the_same_time_gives_the_same_picture_and_another_seed_another(model):
    def take(seed, time):
        camera = SimulatedCamera(CAMERA, [HandMotion(model, 'right', seed)], SensorModel(), seed)
        return picture(camera, camera.look(time))

    first, again = take(0, 1.5), take(0, 1.5)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (take(0, 1.6)[0] != first[0]).any()
    assert (take(1, 1.5)[0] != first[0]).any()


def test_perfect_depth_shows_the_nearest_surface(model):
    camera = SimulatedCamera(CAMERA, [HandMotion(model, 'right')])
    for time in TIMES[:6]:
        view = camera.look(time)
        depth, colour = picture(camera, view)
        points = view.hands[0].vertices
        columns, rows = np.rint(CAMERA.project(points)).astype(int).T
        inside = (columns >= 0) & (columns < CAMERA.width) & (rows >= 0) & (rows < CAMERA.height)
        seen = depth[rows[inside], columns[inside]] / 1000
        # Some vertices of the rim fall on the pixel beside it.
        assert (seen <= points[inside, 2] + 0.02).mean() > 0.85
        assert (np.abs(seen - points[inside, 2]) < 0.01).mean() > 0.25
        assert (depth > 0).all()
        assert colour[view.top : view.top + 2].size


def test_two_hands_are_seen_together(model):
    motions = [HandMotion(model, 'right', 2, aside=-0.2), HandMotion(model, 'left', 2, aside=0.2)]
    view = SimulatedCamera(CAMERA, motions).look(1.0)
    right, left = (hand.joints[:, 0].mean() for hand in view.hands)
    assert right < 0 < left


def test_the_sensor_leaves_holes_and_shadows(model):
    motion = HandMotion(model, 'right')
    clean, noisy = SimulatedCamera(CAMERA, [motion]), SimulatedCamera(CAMERA, [motion], SensorModel())
    perfect, observed = picture(clean, clean.look(0))[0], picture(noisy, noisy.look(0))[0]
    assert (perfect > 0).all()
    assert 0.005 < (observed == 0).mean() < 0.35
    both = observed > 0
    assert np.median(np.abs(observed[both].astype(int) - perfect[both])) < 15


def test_a_held_object_is_seen_in_depth_and_colour(model):
    motion = HandMotion(model, 'right', solid=SOLIDS['ball']())
    camera = SimulatedCamera(CAMERA, [motion])
    view = camera.look(1.0)
    depth, colour = picture(camera, view)
    thing = view.hands[0].held
    column, row = np.rint(CAMERA.project(thing.position)).astype(int)
    # The hand may be before it, nothing else.
    assert depth[row, column] / 1000 < thing.position[2]
    reds = (colour[..., 0].astype(int) - colour[..., 1] > 90).sum()
    radius = thing.size[0] / 2 * CAMERA.fx / thing.position[2]
    assert 0.2 * np.pi * radius**2 < reds < 1.2 * np.pi * radius**2
