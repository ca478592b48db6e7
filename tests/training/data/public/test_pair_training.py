# SPDX-License-Identifier: Apache-2.0
"""Trainings of `two_hand_prior` on miniature folders of the public data sets."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.training.data.public.pair_miniatures import convert
from tests.training.data.public.pair_miniatures import write_arctic
from tests.training.data.public.pair_miniatures import write_interhand
from training.data.public.dataset_files import DatasetError
from training.export.two_hand_prior import export
from training.export.two_hand_prior import TwoHandPriorExport
from training.hand.mano import PoseSpace
from training.loop.fitting import LoopConfig
from training.recipes.two_hand_prior import ShareError
from training.recipes.two_hand_prior import train
from training.recipes.two_hand_prior import TwoHandPriorRecipe


def recipe_of(root: Path, data: str, **options: object) -> TwoHandPriorRecipe:
    loop = LoopConfig(root / 'run', steps=2, batch=8, averaging=0.5, threads=1)
    hand, pool = root / 'mano.npz', root / 'pairs.pool'
    return TwoHandPriorRecipe(data=data, root=root / data, hand=hand, pool=pool, workers=1, loop=loop, **options)


def test_interhand_takes_the_place_of_made_pairs(space: PoseSpace, tmp_path: Path) -> None:
    convert(tmp_path / 'mano.npz', space)
    write_interhand(tmp_path / 'interhand', space)
    recipe = recipe_of(tmp_path, 'interhand')
    assert np.isfinite(list(train(recipe).values())).all()
    assert {path.name for path in tmp_path.glob('*.pool')} == {
        'pairs_interhand.pool',
        'pairs_interhand_validation.pool',
    }
    card = export(TwoHandPriorExport(weights=tmp_path / 'run' / 'weights.pt', models=tmp_path / 'models'))
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
