# SPDX-License-Identifier: Apache-2.0
"""Data sets in commands and evaluations."""

import dataclasses
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand import HandModel
from hoi_ros.resources import models_dir
from tests.training.data.public.labelled_view import assert_read
from tests.training.data.public.labelled_view import View
from tests.training.data.public.miniatures import FIRST
from tests.training.data.public.miniatures import Folders
from tests.training.data.public.miniatures import write_dexycb
from training.data.hand_object import HandObjectSample
from training.data.public import dexycb
from training.data.public.choice import DataChoice
from training.data.public.dataset_files import DatasetError
from training.evaluation.reconstruction import evaluate
from training.evaluation.reconstruction import ReconstructionEvaluation
from training.hand.mano import PoseSpace


@pytest.mark.parametrize('name', FIRST)
def test_a_data_set_is_picklable_and_ends(folders: Folders, name: str) -> None:
    split = folders.open(name)
    copy, index = pickle.loads(pickle.dumps(split)), FIRST[name]
    np.testing.assert_array_equal(copy[index].image, split[index].image)
    np.testing.assert_array_equal(copy[index].keypoints, split[index].keypoints)
    for beyond in (-1, len(split)):
        with pytest.raises(IndexError, match=f'there are {len(split)}'):
            split[beyond]


@pytest.fixture
def converted(hand: HandModel, space: PoseSpace, tmp_path: Path) -> Path:
    """Stands for a user's MANO as `python -m training.hand.mano` writes it."""
    hand.save(tmp_path / 'mano.npz')
    with np.load(tmp_path / 'mano.npz') as file:
        np.savez(tmp_path / 'converted.npz', **file, pose_mean=space.mean, pose_components=space.components)
    return tmp_path / 'converted.npz'


def test_commands_read_the_official_splits(
    folders: Folders, converted: Path, blender_views: list[View], real_views: list[View], space: PoseSpace
) -> None:
    def first(split: str, name: str, index: int = 0, **more) -> HandObjectSample:
        samples = DataChoice(data=name, root=folders.root / name, hand=converted, **more).public(split)
        assert len(samples.recordings) == len(samples)
        return samples[index]

    assert_read(first('train', 'freihand'), blender_views[0], 'pose shape vertices')
    assert_read(first('test', 'obman', objects=folders.root / 'shapenet'), blender_views[0], 'vertices object')
    assert_read(
        first('train', 'ho3d', 1, objects=folders.root / 'models'), real_views[0], 'pose shape vertices object depth'
    )
    shutil.rmtree(folders.root / 'dexycb')
    write_dexycb(folders.root / 'dexycb', real_views[:1], space, dexycb.SUBJECTS[7:9])
    assert_read(first('test', 'dexycb', 8 + 7, setup='s1'), real_views[0], 'pose shape vertices object depth')
    with pytest.raises(DatasetError, match='0001.png'):
        DataChoice(data='ho3d', root=folders.root / 'ho3d', version='v2').public('train')[0][0]


@pytest.mark.slow
def test_a_network_is_evaluated_on_an_official_test_split(folders: Folders) -> None:
    config = ReconstructionEvaluation(
        models_dir() / 'reconstruction',
        samples=2,
        data='obman',
        root=folders.root / 'obman',
        objects=folders.root / 'shapenet',
    )
    figures = evaluate(config)['obman']
    assert figures['samples'] == 2
    assert all(np.isfinite(figures[name]) for name in ('joint_error_mm', 'hand_f_15mm', 'object_chamfer_mm2'))
    with pytest.raises(SystemExit, match='the test split of ho3d has no labels here'):
        evaluate(dataclasses.replace(config, data='ho3d', root=folders.root / 'ho3d', objects=folders.root / 'models'))
