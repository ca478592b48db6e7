# SPDX-License-Identifier: Apache-2.0
"""Sampled hands: within the limits, varied, and with fingers that do not run through each other."""

import itertools

import numpy as np
import pytest

from hoi_ros.hand import HandModel
from hoi_ros.hand.poses import gesture_angles
from hoi_ros.hand.poses import GESTURES
from hoi_ros.hand.poses import sample_angles

FINGER_THICKNESS = 0.0095
"""Metres between the axes of two bones that touch, pressed together."""


@pytest.fixture(scope='module')
def hand() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='module')
def sampled(hand: HandModel) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([sample_angles(hand, rng) for _ in range(150)])


def finger_gap(hand: HandModel, angles: np.ndarray) -> float:
    """The smallest distance between the bones of two fingers, metres; the thumb's metacarpal is in the palm."""
    points = hand.forward(hand.pose_of(angles), np.zeros(10), np.zeros(3), vertices=False).keypoints
    chains = points[1:].reshape(5, 4, 3)
    shares = np.linspace(0, 1, 25)[:, None]
    bones = [[start * (1 - shares) + end * shares for start, end in itertools.pairwise(chain)] for chain in chains]
    fingers = [np.concatenate(bones[0][1:])] + [np.concatenate(finger) for finger in bones[1:]]
    return min(
        np.linalg.norm(one[:, None] - other[None], axis=-1).min() for one, other in itertools.combinations(fingers, 2)
    )


@pytest.mark.parametrize('name', GESTURES)
def test_gestures_are_hands_that_can_be_made(hand: HandModel, name: str) -> None:
    angles = gesture_angles(hand, name)
    assert (angles >= hand.limits[..., 0] - 1e-6).all() and (angles <= hand.limits[..., 1] + 1e-6).all()
    assert finger_gap(hand, angles) > FINGER_THICKNESS


def test_samples_stay_within_the_limits_and_leave_the_wrist_alone(hand: HandModel, sampled: np.ndarray) -> None:
    assert sampled.shape == (150, 16, 3)
    assert (sampled >= hand.limits[..., 0] - 1e-6).all() and (sampled <= hand.limits[..., 1] + 1e-6).all()
    assert (sampled[:, 0] == 0).all()


def test_samples_use_the_range_of_each_joint(hand: HandModel, sampled: np.ndarray) -> None:
    flexion, limits = sampled[:, 1:, 0], hand.limits[1:, 0]
    assert (np.ptp(flexion, axis=0) > 0.7 * np.ptp(limits, axis=1)).all()
    assert len(np.unique(sampled[:, 1:].reshape(150, -1).round(6), axis=0)) == 150


def test_fingers_of_samples_do_not_run_through_each_other(hand: HandModel, sampled: np.ndarray) -> None:
    gaps = np.array([finger_gap(hand, angles) for angles in sampled])
    assert (gaps < 0.6 * FINGER_THICKNESS).mean() < 0.06


def test_the_random_generator_decides_everything(hand: HandModel) -> None:
    first, again, other = (sample_angles(hand, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
