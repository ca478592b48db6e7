# SPDX-License-Identifier: Apache-2.0
"""Two-hand networks: batches, losses, and a training of a few steps that ends in pairs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import parameters_of
from hoi_ros.hand.pair import ROOT
from hoi_ros.hand.pair import rotation_of
from hoi_ros.hand.pair import with_root
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from training.data.pool import PoolError
from training.data.synthetic.two_hands.records import PAIR_DTYPE
from training.loop.fitting import LoopConfig
from training.networks.two_hand_prior.choice import NETWORKS
from training.networks.two_hand_prior.choice import two_hand_network
from training.networks.two_hand_prior.choice import TwoHandNetwork
from training.networks.two_hand_prior.generation import PairGenerator
from training.recipes.two_hand_losses import hand_loss
from training.recipes.two_hand_losses import loss_of
from training.recipes.two_hand_losses import validation_of
from training.recipes.two_hand_prior import train
from training.recipes.two_hand_prior import TwoHandPriorRecipe
from training.recipes.two_hand_samples import Batch
from training.recipes.two_hand_samples import PairBatches
from training.recipes.two_hand_samples import with_mirror_images


@pytest.fixture
def records() -> np.ndarray:
    """Pairs whose left hand's fingers follow from the right one's."""
    rng = np.random.default_rng(0)
    records = np.zeros(64, PAIR_DTYPE)
    hidden = rng.standard_normal((64, 4)) @ rng.standard_normal((4, 64)) / 4
    records['right'] = with_root(hidden, rotation_of(hidden), hidden[:, 61:])
    records['left'] = anchored(-hidden)
    return records


@pytest.fixture
def recipe(records: np.ndarray, tmp_path: Path) -> TwoHandPriorRecipe:
    pool = tmp_path / 'pairs.pool'
    for path in (pool, pool.with_stem('pairs_validation')):
        records.tofile(path)
        np.ones(len(records), np.int32).tofile(path.with_suffix('.counts'))
    loop = LoopConfig(tmp_path / 'run', steps=4, batch=16, learning_rate=3e-3, averaging=0.5, threads=1)
    return TwoHandPriorRecipe(pool=pool, as_it_is=True, loop=loop)


def test_a_pair_and_its_mirror_image_are_each_others(records: np.ndarray) -> None:
    pairs = with_mirror_images(records)
    once = [hands[64:] for hands in pairs]
    again = records.copy()
    again['right'], again['left'] = once
    twice = [hands[64:] for hands in with_mirror_images(again)]
    for hands, wanted in zip(twice, (records['right'], records['left'])):
        np.testing.assert_allclose(hands, wanted, atol=1e-5)
    # The left hand as the mirrored right one sees it is the mirrored place of the left hand seen from the right.
    seen = mirrored(about_anchor(records['left'], records['right']))
    np.testing.assert_allclose(once[0], seen, atol=1e-5)
    own, new = (joints_of(*hands) for hands in ((records['right'], records['left']), once))
    for hand, other, image, other_image in zip(own[1], own[0], *new):
        np.testing.assert_allclose(cdist(image, other_image), cdist(hand, other), atol=1e-5)


def joints_of(right: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (N, 21, 3) of right and left hands."""
    hand = HandModel.load()
    models = hand, hand.mirrored()
    found = (
        model.forward(*parameters_of(model, np.ascontiguousarray(vectors))).keypoints
        for model, vectors in zip(models, (right, left))
    )
    return tuple(found)


def test_a_batch_depends_on_its_step_only(records: np.ndarray) -> None:
    whitening = PairWhitening.of(with_mirror_images(records).right)
    sources = [(lambda: records[:32], 0.75), (lambda: records[32:], 0.25)]
    batches = PairBatches(sources, whitening, 400, 3)
    first, again, other = batches(0), PairBatches(sources, whitening, 400, 3)(0), batches(1)
    assert all(torch.equal(one, two) for one, two in zip(first, again)) and not torch.equal(first.right, other.right)
    fingers = whitening.unwhiten(first.right.numpy())[:, :55]
    known = np.concatenate([records['right'][:, :55], records['left'][:, :55]])
    number = np.linalg.norm(fingers[:, None] - known, axis=2).argmin(1)
    assert (number % 64 < 32).sum() == 300 and 120 < (number < 64).sum() < 280
    assert first.time.min() >= 1 and first.time.max() <= 256 and 150 < first.has_anchor.sum() < 250


def test_the_root_of_a_hand_alone_is_not_supervised() -> None:
    rng = torch.Generator().manual_seed(0)
    right = torch.randn(2, 64, generator=rng)
    batch = Batch(right, right, torch.full((2,), 256), torch.randn(2, 128, generator=rng), torch.tensor([[0.0], [1.0]]))

    def network(noisy: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        assert torch.equal(noisy, batch.noise[:, :64])  # nothing of the hand is left at the last time
        wrong = right.clone()
        wrong[0, ROOT] += 100
        wrong[1, ROOT] += 1
        return wrong

    assert hand_loss(network, *batch)['clean'] == pytest.approx(9 / (64 + 55))


@pytest.mark.parametrize('name', [name for name in NETWORKS if name != 'paper'])
def test_every_network_learns(records: np.ndarray, name: TwoHandNetwork) -> None:
    torch.manual_seed(0)
    whitening = PairWhitening.of(with_mirror_images(records).right)
    batches = PairBatches([(lambda: records, 1.0)], whitening, 16, 0)
    network, loss = two_hand_network(name), loss_of(name)
    validate = validation_of(name, batches(1000))
    before = sum(validate(network.eval()).values())
    optimizer = torch.optim.Adam(network.train().parameters(), 2e-3)
    for step in range(8):
        total = sum(loss(network, *batches(step)).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert sum(validate(network.eval()).values()) < before - 0.03


def test_a_training_ends_in_pairs_and_its_continuation_keeps_the_statistics(
    recipe: TwoHandPriorRecipe, records: np.ndarray
) -> None:
    train(recipe)
    first = PairGenerator.load(recipe.loop.out / 'weights.pt')
    pairs = first.generate(2, 0, 2)
    assert first.name == 'small' and np.isfinite(pairs.right).all() and pairs.left.shape == (2, 64)
    records['right'] *= 2
    records.tofile(recipe.pool)
    figures = train(dataclasses.replace(recipe, loop=dataclasses.replace(recipe.loop, steps=5)))
    assert set(figures) == {'alone', 'beside'}
    second = PairGenerator.load(recipe.loop.out / 'weights.pt')
    assert np.array_equal(first.whitening.deviation, second.whitening.deviation)


def test_a_missing_pool_is_named(recipe: TwoHandPriorRecipe, tmp_path: Path) -> None:
    with pytest.raises(PoolError, match=r'nowhere_validation.pool: no pairs in it, and --as-it-is makes none'):
        train(dataclasses.replace(recipe, pool=tmp_path / 'nowhere.pool'))
