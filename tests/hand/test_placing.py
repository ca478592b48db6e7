# SPDX-License-Identifier: Apache-2.0
"""Hands moved as rigid bodies."""

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.placing import before_camera
from hoi_ros.hand.placing import moved_hand

RIGHT = HandModel.load()
MODELS = {'right': RIGHT, 'left': RIGHT.mirrored()}


def hand(side):
    generator = np.random.default_rng(3)
    pose, shape, place = (scale * generator.normal(size=size) for scale, size in ((0.3, 48), (1.0, 10), (0.1, 3)))
    pose, shape, place = (each.astype(np.float32) for each in (pose, shape, place))
    posed = MODELS[side].forward(pose, shape, place)
    return HandEstimate(side, 1, 1.0, posed.keypoints, np.ones(21), pose, shape, place, posed.vertices)


def test_the_parameters_of_a_moved_hand_give_its_joints_and_vertices():
    turn, shift = Rotation.from_rotvec([0.4, -1.1, 2.0]).as_matrix(), np.array([0.1, -0.2, 0.7])
    for side, model in MODELS.items():
        before = hand(side)
        moved = moved_hand(before, model, turn, shift)
        np.testing.assert_allclose(moved.joints, before.joints @ turn.T + shift, atol=1e-6)
        posed = model.forward(moved.pose, moved.shape, moved.translation)
        np.testing.assert_allclose(posed.keypoints, moved.joints, atol=1e-5)
        np.testing.assert_allclose(posed.vertices, moved.vertices, atol=1e-5)


def test_a_sample_is_put_before_the_camera():
    hands = before_camera([hand('left'), hand('right')], MODELS, 0.5)
    np.testing.assert_allclose(np.mean([each.joints for each in hands], (0, 1)), [0, 0, 0.5], atol=1e-6)
    (alone,) = before_camera([moved_hand(hand('left'), MODELS['left'], np.eye(3), np.zeros(3))], MODELS, 0.5)
    assert abs(alone.joints[:, 2].mean() - 0.5) < 1e-6
