# SPDX-License-Identifier: Apache-2.0
"""Sampling of hands, with a small denoiser of random weights."""

from __future__ import annotations

import numpy as np
import pytest

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import parameters_of
from hoi_ros.hand.pair import ROOT
from hoi_ros.hand.pair import with_root
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from hoi_ros.stages.parts.two_hand_sampler import ObjectFeature
from hoi_ros.stages.parts.two_hand_sampler import SamplingConfig
from hoi_ros.stages.parts.two_hand_sampler import TwoHandSampler

from ..random_denoiser import random_denoiser
from ..random_denoiser import WIDTH


@pytest.fixture(scope='module')
def hand() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='module')
def sampler(hand: HandModel, whitening: PairWhitening) -> TwoHandSampler:
    return TwoHandSampler(random_denoiser(), whitening, hand, WIDTH)


@pytest.fixture(scope='module')
def held() -> ObjectFeature:
    return ObjectFeature(*np.random.default_rng(4).standard_normal((2, WIDTH)))


def farthest_apart(hand: HandModel, first: np.ndarray, second: np.ndarray) -> float:
    first, second = (hand.forward(*parameters_of(hand, hands)).vertices for hands in (first, second))
    return float(np.linalg.norm(first - second, axis=-1).max())


def test_a_sample_depends_on_its_seed_and_number_only(sampler: TwoHandSampler, held: ObjectFeature) -> None:
    for given in (None, held):
        many, few = sampler.pairs(18, 3, given), sampler.pairs(2, 3, given, first=16)
        assert all(np.allclose(many[hand][16:], few[hand], atol=1e-4) for hand in (0, 1))
        assert not np.allclose(many.right[:2], few.right, atol=0.1)
        assert not np.allclose(sampler.pairs(2, 4, given).left, many.left[:2], atol=0.1)
        # The two hands come from different noises.
        assert not np.allclose(many.left[:, :45], many.right[:, :45], atol=0.1)


@pytest.mark.parametrize('with_object', [False, True])
def test_mirrored_anchors_give_mirrored_samples(
    sampler: TwoHandSampler, hand: HandModel, held: ObjectFeature, with_object: bool
) -> None:
    anchor = sampler.alone(1, 7, 'left', held)[0]
    given, turned = (held, ObjectFeature(held.mirrored, held.own)) if with_object else (None, None)
    right = sampler.beside(anchor, 3, 1, 'right', given)
    left = sampler.beside(mirrored(anchor), 3, 1, 'left', turned)
    assert farthest_apart(hand, right, mirrored(left)) < 1e-4


def test_without_an_object_the_place_of_the_anchor_moves_the_samples_along(
    sampler: TwoHandSampler, hand: HandModel, held: ObjectFeature
) -> None:
    anchor = sampler.alone(1, 7, 'left', held)[0]
    moved = with_root(anchor, np.eye(3), np.array([0.3, -0.2, 1.0]))
    here, there = (sampler.beside(given, 2, 1) for given in (anchor, moved))
    assert farthest_apart(hand, about_anchor(here, np.tile(anchor, (2, 1))), about_anchor(there, moved)) < 1e-4


def test_guidance_takes_hands_apart(sampler: TwoHandSampler, hand: HandModel) -> None:
    depth = []
    for strength in (0.0, 4.0, 1.0):
        right, left = sampler.pairs(16, 0, config=SamplingConfig(anti_penetration=strength))
        separation = sampler.separation
        found = separation.penetration(separation.surfaces(separation.surface.posed(right)), separation.left(left))
        depth.append(found.depths.sum())
    assert depth[1] < 0.2 * depth[0] and depth[1] < depth[2] < 0.8 * depth[0]


def test_the_root_of_a_hand_without_anchor_and_object_is_not_shown_to_the_network(
    hand: HandModel, whitening: PairWhitening
) -> None:
    shown = []

    def network(**inputs: np.ndarray) -> dict[str, np.ndarray]:
        shown.append(inputs)
        return {'clean': 0 * inputs['noisy']}

    sampler = TwoHandSampler(network, whitening, hand, 0)
    assert np.allclose(sampler.alone(2, 0)[:, ROOT], [1, 0, 0, 0, 1, 0, 0, 0, 0])
    assert all(set(inputs) == {'noisy', 'time', 'anchor', 'has_anchor'} for inputs in shown)
    assert not any(inputs['noisy'][:, ROOT].any() for inputs in shown)
    shown.clear()
    sampler.beside(np.zeros(64, np.float32), 2, 0)
    assert all(list(inputs['has_anchor'][:, 0]) == [1, 1, 0, 0] for inputs in shown)
    assert not any(inputs['noisy'][2:, ROOT].any() or inputs['anchor'][2:].any() for inputs in shown)
