# SPDX-License-Identifier: Apache-2.0
"""Contact networks: batches, figures, and a training of a few steps that ends in an export and an evaluation."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from hoi_ros.hand import HandModel
from training.data.synthetic.contact import ContactGrasps
from training.evaluation.contact import distances
from training.evaluation.contact import NoisyGrasps
from training.evaluation.contact import predicted
from training.evaluation.contact_maps import best_threshold
from training.evaluation.contact_maps import contact_figures
from training.evaluation.contact_maps import ContactMaps
from training.evaluation.contact_maps import f1
from training.loop.fitting import LoopConfig
from training.networks.contact.bins import bin_of
from training.networks.contact.choice import contact_network
from training.recipes.contact import Batches
from training.recipes.contact import contact_loss
from training.recipes.contact import ContactRecipe
from training.recipes.contact import train_network


@pytest.fixture(scope='module')
def records() -> np.ndarray:
    stream = ContactGrasps(3, 'train')
    return np.stack([stream[index] for index in range(4)])


@pytest.fixture(scope='module')
def hand() -> HandModel:
    return HandModel.load()


def recipe(out: Path, **changed: object) -> ContactRecipe:
    loop = LoopConfig(out, steps=25, batch=4, learning_rate=3e-3, decay=False, averaging=0.0, minutes=5, threads=1)
    return dataclasses.replace(ContactRecipe(loop=loop), **changed)


def test_a_batch_depends_on_its_step_only_and_holds_the_bins_of_its_points(
    records: np.ndarray, hand: HandModel, tmp_path: Path
) -> None:
    batches = Batches(lambda: records, recipe(tmp_path, clean=1.0, asked=10), hand)
    first, again, other = batches(0), batches(0), batches(1)
    assert all(torch.equal(one, two) for one, two in zip(first, again))
    assert not torch.equal(first[-2], other[-2])
    pose, _, _, _, _, rows, asked, bins = first
    assert asked.shape == bins.shape == (4, 10) and rows.shape == (4, len(hand.template) + 2048)
    for item in range(4):
        record = next(record for record in records if np.array_equal(record['pose'], pose[item].numpy()))
        contact = np.concatenate([record['hand_contact'], record['object_contact']]).astype(np.float32)
        places = rows[item, asked[item]]
        assert (places < len(hand.template)).sum() == 5 and len(set(places.tolist())) == 10
        assert torch.equal(bins[item], bin_of(torch.from_numpy(contact[places])))


def test_fewer_points_are_fewer_nodes(records: np.ndarray, hand: HandModel, tmp_path: Path) -> None:
    batches = Batches(lambda: records, recipe(tmp_path, hand_points=60, object_points=90, asked=0), hand)
    rows, asked = batches(0)[-3:-1]
    assert rows.shape == asked.shape == (4, 150)
    assert bool((rows[:, :60] < len(hand.template)).all() and (rows[:, 60:] >= len(hand.template)).all())


def test_noise_moves_hands(records: np.ndarray, hand: HandModel) -> None:
    moved = {
        level: np.linalg.norm(NoisyGrasps.of(records, level).translation - records['translation'], axis=1).mean()
        for level in ('small', 'large')
    }
    assert 0 < moved['small'] < moved['large'] < 0.2


def test_figures_of_known_maps() -> None:
    truth = ContactMaps(np.array([[0.0, 0.9, 0.5]]), np.array([[0.0, 0.0, 0.7, 0.45]]))
    assert contact_figures(truth, truth) == {'hand_f1': 1, 'object_f1': 1, 'contact_f1': 1, 'bin_error': 0}
    found = ContactMaps(np.array([[0.0, 0.9, 0.1]]), np.array([[0.5, 0.0, 0.7, 0.45]]))
    figures = contact_figures(found, truth)
    assert figures['hand_f1'] == pytest.approx(2 / 3) and figures['object_f1'] == pytest.approx(0.8)
    assert figures['contact_f1'] == pytest.approx(0.75) and figures['bin_error'] == pytest.approx(9 / 7)
    assert np.isnan(f1(np.zeros(3, bool), np.zeros(3, bool)))
    assert best_threshold(np.array([0.1, 0.4, 0.6]), np.array([False, True, True]), [0.05, 0.3, 0.5]) == 0.3


def test_the_rule_knows_distances(records: np.ndarray, hand: HandModel) -> None:
    clean = NoisyGrasps(records, records['pose'], records['translation'])
    gap = distances(clean)
    assert gap.hand.shape == (4, len(hand.template)) and gap.object.shape == (4, 2048)
    touching = ContactMaps(*((part <= 0.004).astype(float) for part in (gap.hand, gap.object)))
    assert contact_figures(touching, clean.truth)['contact_f1'] > 0.4


@pytest.mark.slow
def test_a_training_lowers_the_loss(records: np.ndarray, hand: HandModel, tmp_path: Path) -> None:
    config = recipe(tmp_path, asked=64, hand_points=150, object_points=200)
    torch.manual_seed(0)
    module = contact_network('gcn')
    batches, loss = Batches(lambda: records, config, hand), contact_loss(hand, config.bin_weights)

    def measured() -> float:
        with torch.inference_mode():
            return float(np.mean([float(loss(module.train(), *batches(step))['bins']) for step in range(100, 104)]))

    before = measured()
    progress, figures = train_network(module, config, hand, lambda: records, records)
    assert progress.step == 25 and measured() < before - 0.2
    assert set(figures) >= {'small_contact_f1', 'large_bin_error', 'small_hand_f1', 'large_object_f1'}
    maps = predicted(module, NoisyGrasps.of(records, 'small'))
    assert maps.hand.shape == (4, len(hand.template)) and 0 <= maps.both.min() <= maps.both.max() <= 1
