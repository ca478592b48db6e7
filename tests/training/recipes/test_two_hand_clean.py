# SPDX-License-Identifier: Apache-2.0
"""A training that learns where misplaced hands are, from rows of which the truth tells it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hoi_ros.hand.pair import PLACE
from tests.training.two_hand_pairs import random_pairs
from training.data.synthetic.two_hands.records import PAIR_DTYPE
from training.evaluation.figures import EvaluationError
from training.evaluation.two_hand_estimates import ESTIMATE_DTYPE
from training.export.two_hand_clean import export
from training.export.two_hand_clean import TwoHandCleanExport
from training.loop.fitting import LoopConfig
from training.recipes import two_hand_clean
from training.recipes.two_hand_clean import observed_pairs
from training.recipes.two_hand_clean import placed
from training.recipes.two_hand_clean import train
from training.recipes.two_hand_clean import TwoHandCleanRecipe
from training.recipes.two_hand_clean import views_of

_OFF = np.array([0, 0, 0.06], np.float32)


def rows(count: int, seed: int = 0) -> np.ndarray:
    """Frames in which every second right hand was observed 6 cm behind itself, with a low score."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, ESTIMATE_DTYPE)
    rows['found'], rows['side_score'], rows['joint_scores'], rows['score'] = True, 1, 1, 1
    rows['true_pose'][..., :3] = rng.normal(0, 0.2, (count, 2, 3))
    rows['true_pose'][..., 3:] = rng.normal(0, 0.1, (count, 2, 45))
    rows['true_translation'] = rng.normal([0, 0, 0.5], 0.05, (count, 2, 3))
    for name in ('pose', 'translation'):
        rows[name] = rows[f'true_{name}']
    rows['translation'][::2, 0] += _OFF
    rows['score'][::2, 0] = 0.3
    return rows


def test_views_are_of_both_wrists_and_place_the_truth(tmp_path: Path) -> None:
    pairs = observed_pairs(rows(4), tmp_path)
    np.testing.assert_allclose(
        (pairs.observed - pairs.true)[..., PLACE], [[_OFF, 0 * _OFF], [0 * _OFF] * 2] * 2, atol=1e-6
    )
    np.testing.assert_array_equal(pairs.misplaced, [[True, False], [False, False]] * 2)
    views = views_of(pairs)
    assert views.pair.shape == (8, 30) and views.true.shape == (8, 2, 21, 3)
    np.testing.assert_array_equal(views.misplaced[4:], np.array([[0, 1], [0, 0]] * 2))
    # Keypoints of a hand that was observed as it is are at the observed root.
    roots = torch.cat([views.pair[:, :9], torch.tensor([1.0, 0, 0, 0, 1, 0, 0, 0, 0]).expand(8, 9)], 1)
    off = (placed(roots, views.observed) - views.true).norm(dim=-1)
    assert off[1::2].max() < 1e-5 and off[:4:2, 0].mean() == pytest.approx(0.06, abs=1e-5)
    with pytest.raises(EvaluationError, match='none of 0 frames'):
        observed_pairs(rows(0), tmp_path)


def test_a_training_learns_to_place_them_and_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {64: rows(64), 16: rows(16, 1)}
    monkeypatch.setattr(two_hand_clean, 'estimates_of', lambda records, *_: made[len(records)])
    for name, count in (('pairs_train', 64), ('pairs_validation', 16)):
        np.asarray(random_pairs(count), PAIR_DTYPE).tofile(tmp_path / f'{name}.pool')
        np.ones(count, np.int32).tofile(tmp_path / f'{name}.counts')
    loop = LoopConfig(tmp_path / 'run', steps=150, batch=64, averaging=0.9, threads=1)
    recipe = TwoHandCleanRecipe(pool=tmp_path / 'pairs.pool', as_it_is=True, frames=64, validation_frames=16, loop=loop)
    figures = train(recipe)
    assert figures['observed_root_mm'] == pytest.approx(60, abs=0.1)
    assert figures['clean_root_mm'] < 45 and figures['told'] > 0.9
    card = export(TwoHandCleanExport(weights=tmp_path / 'run' / 'weights.pt', models=tmp_path / 'models'))
    assert [spec.name for spec in card.outputs] == ['roots', 'misplaced']
    assert card.training['pairs'] == {'observed': 64, 'misplaced': 32}
