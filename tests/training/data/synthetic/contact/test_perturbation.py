# SPDX-License-Identifier: Apache-2.0
"""Perturbed hands err as much as the paper's, stay within the limits of their joints, and repeat with their seed."""

import numpy as np
import pytest

from hoi_ros.hand.model import HandModel
from training.data.synthetic.contact import jittered
from training.data.synthetic.contact import perturb
from training.data.synthetic.grasps import Grasp
from training.data.synthetic.grasps import GraspGenerator

REPEATED = 200


@pytest.fixture(scope='module')
def hand() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='module')
def grasps(hand: HandModel) -> list[Grasp]:
    generator = GraspGenerator(hand, seed=3, split='test', pregrasps=0)
    return [generator[index] for index in range(8)]


def batch(grasps: list[Grasp]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pose, shape and translation of REPEATED copies of grasps."""
    fields = (np.array([getattr(grasp, name) for grasp in grasps]) for name in ('pose', 'shape', 'translation'))
    pose, shape, translation = (np.tile(field, (REPEATED, 1)) for field in fields)
    return pose, shape, translation


@pytest.mark.parametrize(('level', 'least', 'most'), [('small', 7.9, 9.9), ('large', 79.0, 87.0), ('mixed', 20, 40)])
def test_joint_errors_are_the_papers(
    hand: HandModel, grasps: list[Grasp], level: str, least: float, most: float
) -> None:
    pose, shape, translation = batch(grasps)
    perturbed = perturb(hand, pose, translation, level, np.random.default_rng(0))
    clean, noisy = (
        hand.forward(*each, vertices=False).keypoints
        for each in ((pose, shape, translation), (perturbed[0], shape, perturbed[1]))
    )
    assert least < 1e3 * np.linalg.norm(noisy - clean, axis=-1).mean() < most


def test_joints_stay_within_their_limits(hand: HandModel, grasps: list[Grasp]) -> None:
    pose, _, translation = batch(grasps)
    angles = hand.anatomical(perturb(hand, pose, translation, 'large', np.random.default_rng(0))[0])[:, 1:]
    assert (angles >= hand.limits[1:, :, 0] - 1e-4).all()
    assert (angles <= hand.limits[1:, :, 1] + 1e-4).all()


def test_the_same_seed_gives_the_same_noise(hand: HandModel, grasps: list[Grasp]) -> None:
    pose, _, translation = batch(grasps)
    first, again, other = (perturb(hand, pose, translation, 'mixed', np.random.default_rng(seed)) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


def test_points_of_the_object_move_independently() -> None:
    moved = jittered(np.zeros((4, 2048, 3), np.float32), np.random.default_rng(0))
    assert moved.dtype == np.float32
    assert moved.std() == pytest.approx(0.0005, rel=0.02)
