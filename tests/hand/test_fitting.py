# SPDX-License-Identifier: Apache-2.0
"""Fitting: the model's own joints come back, limits hold, noise and holes in the data do no harm."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hoi_ros.hand import HandModel
from hoi_ros.hand import KEYPOINT_NAMES
from hoi_ros.hand.fitting import HandFit
from hoi_ros.hand.fitting import HandFitter
from hoi_ros.hand.model import mirror_pose


@pytest.fixture(scope='module')
def fitter(hand: HandModel) -> HandFitter:
    return HandFitter(hand)


def mean_distance(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.linalg.norm(first - second, axis=1).mean())


def degrees_between(first: np.ndarray, second: np.ndarray) -> float:
    turn = Rotation.from_rotvec(first[:3]).inv() * Rotation.from_rotvec(second[:3])
    return float(np.degrees(turn.magnitude()))


def assert_inside_limits(hand: HandModel, fit: HandFit) -> None:
    angles = hand.anatomical(fit.pose)[1:]
    assert (angles >= hand.limits[1:, :, 0] - 1e-5).all() and (angles <= hand.limits[1:, :, 1] + 1e-5).all()


@pytest.mark.parametrize('side', ['right', 'left'])
def test_joints_of_the_model_itself_come_back_within_a_millimetre(hand: HandModel, draw, side: str) -> None:
    generator = np.random.default_rng(10)
    model = hand if side == 'right' else hand.mirrored()
    fitter = HandFitter(model)
    for _ in range(150):
        pose, shape, translation = draw(generator)
        pose = pose if side == 'right' else mirror_pose(pose)
        keypoints = model.forward(pose, shape, translation, vertices=False).keypoints
        fit = fitter.fit(keypoints)
        assert fit.residual < 1e-3
        assert_inside_limits(model, fit)
        again = model.forward(fit.pose, fit.shape, fit.translation, vertices=False).keypoints
        np.testing.assert_allclose(again, fit.keypoints, atol=2e-6)
        assert fit.residual == pytest.approx(mean_distance(fit.keypoints, keypoints), abs=1e-6)


def test_jacobian_matches_finite_differences(hand: HandModel, fitter: HandFitter) -> None:
    generator = np.random.default_rng(11)
    angles = generator.uniform(-0.6, 0.9, (5, 3, 3))
    turn = Rotation.from_rotvec(generator.normal(size=3)).as_matrix()
    place, shape = generator.normal(size=3), generator.normal(size=10)

    def keypoints(step: np.ndarray) -> np.ndarray:
        turned = Rotation.from_rotvec(step[:3]).as_matrix() @ turn
        return fitter.articulation.posed(
            turned, place + step[3:6], angles + step[6:51].reshape(5, 3, 3), shape + step[51:]
        ).keypoints.ravel()

    jacobian = fitter.articulation.jacobian(fitter.articulation.posed(turn, place, angles, shape))
    steps = 1e-6 * np.eye(61)
    expected = np.stack([(keypoints(step) - keypoints(-step)) / 2e-6 for step in steps], 1)
    np.testing.assert_allclose(jacobian, expected, atol=1e-7)


def test_noise_neither_flips_nor_distorts_the_hand(hand: HandModel, fitter: HandFitter, draw) -> None:
    generator = np.random.default_rng(12)
    given, fitted, turns = [], [], []
    for _ in range(300):
        pose, shape, translation = draw(generator)
        truth = hand.forward(pose, shape, translation, vertices=False).keypoints
        noisy = truth + generator.normal(0, 0.015, (21, 3))
        fit = fitter.fit(noisy)
        assert_inside_limits(hand, fit)
        assert np.abs(fit.shape).max() < 3
        given.append(mean_distance(noisy, truth))
        fitted.append(mean_distance(fit.keypoints, truth))
        turns.append(degrees_between(pose, fit.pose))
    assert np.mean(fitted) < 0.6 * np.mean(given)
    assert np.median(turns) < 15 and max(turns) < 60


def test_keypoints_of_weight_zero_do_not_count(hand: HandModel, fitter: HandFitter, draw) -> None:
    pose, shape, translation = draw(np.random.default_rng(13))
    keypoints = hand.forward(pose, shape, translation, vertices=False).keypoints
    weights = np.ones(21)
    hidden = [KEYPOINT_NAMES.index(name) for name in ('wrist', 'ring_pip', 'ring_dip', 'ring_tip', 'index_tip')]
    weights[hidden] = 0
    keypoints[hidden] = [np.nan, 1e3, -np.inf]
    fit = fitter.fit(keypoints, weights)
    assert fit.residual < 1e-3
    assert_inside_limits(hand, fit)
    seen = weights > 0
    assert mean_distance(fit.keypoints[seen], keypoints[seen]) == pytest.approx(fit.residual, abs=1e-6)


def test_a_heavier_keypoint_is_met_more_closely(hand: HandModel, fitter: HandFitter, draw) -> None:
    generator = np.random.default_rng(14)
    pose, shape, translation = draw(generator)
    keypoints = hand.forward(pose, shape, translation, vertices=False).keypoints
    keypoints = keypoints + generator.normal(0, 0.01, (21, 3))
    weights = np.ones(21)
    weights[KEYPOINT_NAMES.index('index_tip')] = 100
    tip = KEYPOINT_NAMES.index('index_tip')
    even = np.linalg.norm(fitter.fit(keypoints).keypoints[tip] - keypoints[tip])
    uneven = np.linalg.norm(fitter.fit(keypoints, weights).keypoints[tip] - keypoints[tip])
    assert uneven < 0.5 * even


def test_the_last_fit_helps_and_a_wrong_one_does_no_harm(hand: HandModel, fitter: HandFitter, draw) -> None:
    generator = np.random.default_rng(15)
    (first, shape, translation), (second, _, _) = draw(generator), draw(generator)
    unrelated = fitter.fit(hand.forward(*draw(generator), vertices=False).keypoints)
    fit = None
    for share in np.linspace(0, 1, 30):
        pose = (1 - share) * first + share * second
        keypoints = hand.forward(pose, shape, translation + 0.3 * share, vertices=False).keypoints
        fit = fitter.fit(keypoints, initial=fit)
        assert fit.residual < 1e-3
        assert fitter.fit(keypoints, initial=unrelated).residual < 1e-3


def test_a_folded_finger_stays_on_the_side_it_can_bend_to(hand: HandModel, fitter: HandFitter) -> None:
    angles = np.zeros((16, 3))
    angles[[2, 5, 8, 11], 0] = np.radians(105)
    keypoints = hand.forward(hand.pose_of(angles), np.zeros(10), np.zeros(3), vertices=False).keypoints
    # Folded so far that the joint's direction is nearer to an extension of 170° than to its limit of 110°.
    angles[[2, 5, 8, 11], 0] = np.radians(190)
    beyond = hand.forward(hand.pose_of(angles), np.zeros(10), np.zeros(3), vertices=False).keypoints
    for given in (keypoints, beyond):
        assert (hand.anatomical(fitter.fit(given).pose)[[2, 5, 8, 11], 0] > np.radians(90)).all()


INDEX_TIP_MISSING = np.where(np.arange(21) == 8, np.nan, 0)[:, None]


@pytest.mark.parametrize(
    ('spoil', 'said'),
    [
        (lambda keypoints, weights: (keypoints[:20], weights), r'shape \(20, 3\), expected \(21, 3\)'),
        (lambda keypoints, weights: (keypoints, weights[:5]), r'weights have shape \(5,\)'),
        (lambda keypoints, weights: (keypoints + INDEX_TIP_MISSING, weights), 'index_tip'),
        (lambda keypoints, weights: (keypoints * 0 + 0.1, weights), 'no direction'),
        (lambda keypoints, weights: (keypoints * [0, 1, 0], weights), 'no direction'),
        (lambda keypoints, weights: (keypoints, weights * (np.arange(21) % 4 != 1)), 'no direction'),
        (lambda keypoints, weights: (keypoints, -weights), 'at least 0'),
        (lambda keypoints, weights: (keypoints, weights * 0), 'not all 0'),
        (lambda keypoints, weights: (keypoints, weights * np.nan), 'finite'),
    ],
)
def test_what_cannot_be_fitted_is_one_error(hand: HandModel, fitter: HandFitter, spoil, said: str) -> None:
    keypoints = hand.forward(np.zeros(48), np.zeros(10), np.zeros(3), vertices=False).keypoints
    with pytest.raises(ValueError, match=said):
        fitter.fit(*spoil(keypoints, np.ones(21)))


def test_another_detectors_right_hand_fits_as_a_right_hand(fitter: HandFitter, public_data: Path) -> None:
    joints = np.load(public_data / 'rgb_hand_video' / 'joints_right.npy')[::20]
    as_given = [fitter.fit(frame).residual for frame in joints]
    mirrored = [fitter.fit(frame * [-1, 1, 1]).residual for frame in joints]
    assert np.mean(as_given) < 0.008 and max(as_given) < 0.012
    assert np.mean(mirrored) > 1.5 * np.mean(as_given)
