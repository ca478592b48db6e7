# SPDX-License-Identifier: Apache-2.0
"""Public data sets in the commands of `contact`."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hoi_ros.hand import HandModel
from tests.training.data.public.contact_miniatures import held_object
from tests.training.data.public.contact_miniatures import write_contactopt
from tests.training.data.public.contact_miniatures import write_grasp
from training.data.public.contact_choice import ContactDataChoice
from training.data.public.dataset_files import DatasetError
from training.data.synthetic.contact import preview
from training.data.synthetic.contact.preview import ContactPreviewConfig
from training.evaluation import contact as evaluation
from training.evaluation.contact import ContactEvaluation
from training.evaluation.contact import evaluate
from training.loop.fitting import LoopConfig
from training.recipes import contact as recipes
from training.recipes.contact import ContactRecipe
from training.recipes.contact import train

OFFSET = np.array([0.02, 0.01, -0.02])


@pytest.fixture(scope='module')
def root(hand: HandModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five grasps of ContactPose, and two samples of ContactOpt beside them."""
    root, held = tmp_path_factory.mktemp('contact'), held_object(hand)
    for participant in range(1, 6):
        write_grasp(root / f'full{participant}_use' / 'apple', held)
    write_contactopt(root / 'perturbed_contactpose_test.pkl', held, OFFSET)
    return root


def test_records_are_spread_over_a_split_and_know_their_number(root: Path) -> None:
    choice = ContactDataChoice(data='contact_pose', root=root, setup='participants')
    source = choice.recorded('train', 2)
    stream = pickle.loads(pickle.dumps(source.make))()
    assert source.size == 2 and [int(stream[place]['index']) for place in range(2)] == [0, 2]
    assert choice.recorded('test', 9).size == 1
    other = dataclasses.replace(choice, hands='all').recorded('train', 2)
    assert other.key != source.key and choice.recorded('train', 2).key == source.key


def test_the_perturbed_hands_are_those_of_the_file(root: Path) -> None:
    choice = ContactDataChoice(data='contactopt', root=root)
    _, translation = choice.perturbed('test', np.array([0, 1]))
    np.testing.assert_allclose(translation[1] - translation[0], OFFSET, atol=1e-4)
    with pytest.raises(DatasetError, match='contact_pose has no perturbed hands'):
        dataclasses.replace(choice, data='contact_pose', setup='participants').perturbed('test', np.array([0]))


def test_a_wrong_choice_says_what_to_give(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match='--data contact_pose needs --root'):
        ContactDataChoice(data='contact_pose').stream('test')
    with pytest.raises(DatasetError, match='expected one of train, test'):
        ContactDataChoice(data='contactopt', root=root).stream('validation')
    with pytest.raises(DatasetError, match='train with --data contact_pose'):
        train(ContactRecipe(data='contactopt', root=root, loop=LoopConfig(tmp_path)))


def test_a_sheet_shows_the_recorded_grasps(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = ContactPreviewConfig(tmp_path / 'sheet.png', count=1, shown=1, data='contact_pose', root=root)
    preview.main(config)
    printed = capsys.readouterr().out
    assert (tmp_path / 'sheet.png').is_file() and '1 of 1 grasps' in printed and 'recorded, object' in printed
    with pytest.raises(SystemExit, match='error: .*no such folder'):
        preview.main(dataclasses.replace(config, root=tmp_path / 'none'))


def made_here(make: Callable, dtype: np.dtype, path: Path, key: str, count: int, *_: object) -> np.ndarray:
    """Stands for `filled`: makes the records in this process."""
    stream = make()
    assert stream.dtype == dtype
    return np.stack([stream[index] for index in range(count)])


@pytest.mark.slow
def test_a_network_is_trained_and_evaluated(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_pool: Callable
) -> None:
    monkeypatch.setattr(evaluation, 'filled', made_here)
    monkeypatch.setattr(recipes, 'VALIDATION_STRIDE', 64)
    source = ContactDataChoice(data='contact_pose', root=root).recorded('train')
    records = made_here(source.make, source.make().dtype, root, '', source.size)
    monkeypatch.setattr(recipes, 'SamplePool', full_pool(records))
    loop = LoopConfig(tmp_path, batch=2, steps=2, minutes=3, threads=1, learning_rate=1e-3)
    train(ContactRecipe(data='contact_pose', root=root, hand_points=40, object_points=40, asked=20, loop=loop))
    assert torch.load(tmp_path / 'weights.pt', weights_only=True)['data'] == 'contact_pose'
    weights = (tmp_path / 'weights.pt',)
    given = ContactEvaluation(weights, data='contact_pose', root=root, grasps=1, refined=1, tuned_on=1)
    figures = evaluate(given)
    assert set(figures) == {'small', 'large', 'small, refined', 'large, refined'}
    assert (
        figures['small']['nearest point within 4 mm']['contact_f1']
        > figures['large']['nearest point within 4 mm']['contact_f1']
    )
    figures = evaluate(dataclasses.replace(given, data='contactopt'))
    assert set(figures) == {'large', 'large, refined'}
    offset = 1e3 * np.linalg.norm(OFFSET)
    assert figures['large, refined']['before']['joint_error_mm'] == pytest.approx(offset, abs=1)
