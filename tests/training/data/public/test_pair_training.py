# SPDX-License-Identifier: Apache-2.0
"""Trainings of `two_hand_prior` on miniature folders of the public data sets."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand import HandModel
from tests.training.data.public.pair_miniatures import convert
from tests.training.data.public.pair_miniatures import write_arctic
from tests.training.data.public.pair_miniatures import write_interhand
from training.data.public.dataset_files import DatasetError
from training.evaluation.figures import EvaluationError
from training.evaluation.two_hand_prior import evaluate
from training.evaluation.two_hand_prior import TwoHandPriorEvaluation
from training.export.two_hand_prior import export
from training.export.two_hand_prior import TwoHandPriorExport
from training.hand.mano import PoseSpace
from training.loop.fitting import LoopConfig
from training.networks.weights_file import WeightsError
from training.recipes import two_hand_features
from training.recipes.two_hand_prior import ShareError
from training.recipes.two_hand_prior import train
from training.recipes.two_hand_prior import TwoHandPriorRecipe


def recipe_of(root: Path, data: str, **options: object) -> TwoHandPriorRecipe:
    loop = LoopConfig(root / 'run', steps=2, batch=8, averaging=0.5, threads=1)
    hand, pool = root / 'mano.npz', root / 'pairs.pool'
    return TwoHandPriorRecipe(data=data, root=root / data, hand=hand, pool=pool, workers=1, loop=loop, **options)


def other_hand(folder: Path) -> Path:
    """A hand model that is a little larger."""
    hand = HandModel.load()
    dataclasses.replace(hand, template=1.01 * hand.template).save(folder / 'other.npz')
    return folder / 'other.npz'


def test_interhand_takes_the_place_of_made_pairs(space: PoseSpace, tmp_path: Path) -> None:
    convert(tmp_path / 'mano.npz', space)
    write_interhand(tmp_path / 'interhand', space)
    recipe = recipe_of(tmp_path, 'interhand')
    assert np.isfinite(list(train(recipe).values())).all()
    assert {path.name for path in tmp_path.glob('*.pool')} == {
        'pairs_interhand.pool',
        'pairs_interhand_validation.pool',
    }
    options = {'weights': tmp_path / 'run' / 'weights.pt', 'models': tmp_path / 'models'}
    with pytest.raises(WeightsError, match='trained with another hand model: give --hand the file'):
        export(TwoHandPriorExport(**options, hand=other_hand(tmp_path)))
    card = export(TwoHandPriorExport(**options, hand=tmp_path / 'mano.npz'))
    assert card.data == 'Pairs of hands of InterHand2.6M v1.0 (CC BY-NC 4.0), MANO: 4.'
    with pytest.raises(DatasetError, match='no such folder'):
        train(dataclasses.replace(recipe, root=tmp_path / 'none'))


def test_arctic_takes_the_place_of_made_pairs_on_objects(space: PoseSpace, tmp_path: Path) -> None:
    convert(tmp_path / 'mano.npz', space)
    write_arctic(tmp_path / 'arctic', space)
    recipe = recipe_of(tmp_path, 'arctic', objects=0.5)
    held_out = recipe.held_out('validation', 10, with_object=True)
    stream = recipe.stream('validation')
    assert len(held_out) == len(stream) and np.array_equal(held_out, np.array([stream[i] for i in range(len(stream))]))
    with pytest.raises(ShareError, match='--data arctic has pairs on objects, and --objects is 0'):
        train(recipe_of(tmp_path, 'arctic'))


def test_a_network_is_measured_against_the_pairs_of_a_data_set(space: PoseSpace, tmp_path: Path) -> None:
    convert(tmp_path / 'mano.npz', space)
    write_interhand(tmp_path / 'interhand', space)
    recipe = recipe_of(tmp_path, 'interhand')
    train(recipe)
    shared = {name: getattr(recipe, name) for name in ('data', 'root', 'hand', 'pool', 'workers')}
    loop = dataclasses.replace(recipe.loop, out=tmp_path / 'features')
    two_hand_features.train(two_hand_features.TwoHandFeaturesRecipe(**shared, loop=loop))
    options = {
        'weights': (f'ours={tmp_path}/run/weights.pt',),
        'features': tmp_path / 'features' / 'weights.pt',
        'steps': (),
        'pairs': 4,
        'evaluations': 1,
        'solid': 1,
    }
    with pytest.raises(WeightsError, match='trained with another hand model'):
        evaluate(TwoHandPriorEvaluation(**options, **shared | {'hand': other_hand(tmp_path)}))
    with pytest.raises(SystemExit, match='--data arctic has pairs of hands with objects, and those without are asked'):
        evaluate(TwoHandPriorEvaluation(**options, **shared | {'data': 'arctic'}))
    with pytest.raises(EvaluationError, match='there are [0-9] held-out pairs, expected 12 or more'):
        evaluate(TwoHandPriorEvaluation(**options, **shared))
