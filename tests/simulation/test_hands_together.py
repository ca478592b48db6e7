# SPDX-License-Identifier: Apache-2.0
"""Two simulated hands that come together, touch and part."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from hoi_ros.camera import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.mesh.contact import winding
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.simulation.camera import SimulatedCamera
from hoi_ros.simulation.hands_together import HandsTogether


@pytest.fixture(scope='module')
def pair():
    return HandsTogether(HandModel.load(), seed=1)


def passes(hand, other, faces):
    """Whether a vertex of a hand is deeper than 2 mm in another hand."""
    core = other.vertices - 0.002 * vertex_normals(other.vertices, faces)
    return bool(winding(hand.vertices, core, faces).any())


def test_the_hands_touch_in_every_meeting_without_passing_into_each_other(pair):
    gaps = []
    for time in np.arange(0, 8, 0.16):
        right, left = (hand(time) for hand in pair.hands)
        assert (right.side, left.side) == ('right', 'left') and right.track_id != left.track_id
        gaps.append(cKDTree(right.vertices).query(left.vertices)[0].min())
        if gaps[-1] < 0.02:
            assert not passes(left, right, pair.hands[0].model.faces)
            assert not passes(right, left, pair.hands[1].model.faces)
    # 10 frames a meeting; vertices of touching surfaces are millimetres apart.
    gaps = np.reshape(gaps, (5, 10))
    assert (gaps.min(1) < 0.004).all() and (gaps.max(1) > 0.08).all()


def test_fingers_clasp_the_other_hand(pair):
    progress = max(pair._progress, key=np.sum)
    fingers = progress[:, 1:13]  # not the thumbs
    assert (fingers.mean(1) > 0.3).all() and (fingers.min(1) < 0.9).all()


def test_the_motion_repeats_without_a_jump_and_stays_within_the_limits(pair):
    for hand in pair.hands:
        np.testing.assert_allclose(hand(8.0).joints, hand(0.0).joints, atol=1e-5)
        for time in np.arange(0.05, 8, 0.8):
            estimate = hand(time)
            assert np.abs(hand(time + 1e-3).joints - estimate.joints).max() < 0.003
            angles, limits = hand.model.anatomical(estimate.pose)[1:], hand.model.limits[1:]
            assert (angles >= limits[..., 0] - 1e-4).all() and (angles <= limits[..., 1] + 1e-4).all()


def test_both_hands_are_in_view_on_their_forearms(pair):
    camera = Pinhole(320, 240, 305.0, 305.0, 159.5, 119.5)
    for time in (0.8, 3.0, 6.4):
        view = SimulatedCamera(camera, pair.hands).look(time)
        for hand, motion in zip(view.hands, pair.hands):
            pixels = camera.project(hand.joints)
            assert ((pixels > 0) & (pixels < [320, 240])).all()
            arm, _ = motion.forearm(time)
            assert np.linalg.norm(arm - hand.joints[0], axis=1).min() < 0.03
            assert (arm - hand.joints[0]).mean(0) @ (hand.joints[9] - hand.joints[0]) < 0
