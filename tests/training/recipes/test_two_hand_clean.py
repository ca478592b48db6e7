# SPDX-License-Identifier: Apache-2.0
"""Noisy pairs, and a training that takes them back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import POSE
from hoi_ros.hand.pair import ROOT
from hoi_ros.hand.pair import rotation_of
from hoi_ros.hand.pair import with_root
from training.data.synthetic.two_hands.records import PAIR_DTYPE
from training.loop.fitting import LoopConfig
from training.networks.two_hand_prior.generation import PairCleaning
from training.recipes.two_hand_clean import PairNoise
from training.recipes.two_hand_clean import train
from training.recipes.two_hand_clean import TwoHandCleanRecipe


def pairs(count: int) -> np.ndarray:
    """Pairs of which two numbers tell all others."""
    rng = np.random.default_rng(0)
    records = np.zeros(count, PAIR_DTYPE)
    hands = rng.standard_normal((count, 2)) @ rng.standard_normal((2, 64)) / 8
    records['right'], records['left'] = with_root(hands, rotation_of(hands), hands[:, 61:] / 8), anchored(hands)
    return records


def test_the_noise_grows_with_the_level_and_leaves_the_left_wrist() -> None:
    records = pairs(200)
    noise, rng = PairNoise(), np.random.default_rng(0)
    none, half, full = (
        noise.added(records['right'], records['left'], np.full((200, 1), level), rng) for level in (0, 0.5, 1)
    )
    np.testing.assert_allclose(none, np.concatenate([records['right'], records['left']], 1), atol=1e-6)
    np.testing.assert_allclose((half - none)[:, 61:64].std(), 0.02, rtol=0.15)
    np.testing.assert_allclose((full - none)[:, POSE].std(), 0.2, rtol=0.1)
    np.testing.assert_array_equal(full[:, 64:][:, ROOT], records['left'][:, ROOT])
    between = rotation_of(none[:, :64]).swapaxes(1, 2) @ rotation_of(half[:, :64])
    turned = np.arccos(np.clip((np.trace(between, axis1=1, axis2=2) - 1) / 2, -1, 1))
    np.testing.assert_allclose(np.sqrt((turned**2).mean()), 0.15 * 3**0.5, rtol=0.15)


def test_the_linear_start_and_a_training_take_noise_back(tmp_path: Path) -> None:
    for name in ('pairs', 'pairs_validation'):
        records = pairs(64)
        records.tofile(tmp_path / f'{name}.pool')
        np.ones(len(records), np.int32).tofile(tmp_path / f'{name}.counts')
    loop = LoopConfig(tmp_path / 'run', steps=4, batch=32, learning_rate=3e-3, averaging=0.5, threads=1, warm_up=0)
    figures = train(TwoHandCleanRecipe(pool=tmp_path / 'pairs.pool', as_it_is=True, loop=loop))
    assert figures['clean_fingers'] < 0.97 * figures['noisy_fingers']
    assert figures['clean_place_mm'] < 0.97 * figures['noisy_place_mm']
    cleaning = PairCleaning.load(tmp_path / 'run' / 'weights.pt')
    right, left = records['right'], records['left']
    found = cleaning(right, left)
    assert found.right.shape == (64, 64) and np.array_equal(found.left[:, ROOT], left[:, ROOT])
    kept = cleaning(right, left, 0.0)
    np.testing.assert_allclose(kept.right, right, atol=1e-4)
