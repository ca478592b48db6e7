# SPDX-License-Identifier: Apache-2.0
"""The key of a kept pool: what makes a sample changes it, nothing else does."""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand.model import HandModel
from training.data import sources
from training.data.pool import generator_key
from training.data.pool import GENERATORS
from training.recipes.depth_pose_mistakes import MistakenPatches


@pytest.fixture(scope='module')
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree's Python files."""
    root, ignore = tmp_path_factory.mktemp('tree'), shutil.ignore_patterns('__pycache__')
    for package in ('hoi_ros', 'training'):
        shutil.copytree(sources.ROOT / package, root / package, ignore=ignore)
    return root


@pytest.fixture(scope='module')
def code(tree: Path) -> str:
    return sources.digest(GENERATORS, tree)


@contextlib.contextmanager
def changed(path: Path) -> Iterator[None]:
    """The file with one more line."""
    text = path.read_text()
    path.write_text(f'{text}# changed\n')
    yield
    path.write_text(text)


@pytest.mark.parametrize(
    'name',
    [
        'hoi_ros/camera/crop.py',
        'hoi_ros/camera/pinhole.py',
        'hoi_ros/camera/view_crop.py',
        'hoi_ros/hand/model.py',
        'hoi_ros/mesh/raycast.py',
        'hoi_ros/simulation/sensor.py',
        'hoi_ros/hand/poses.py',
        'hoi_ros/simulation/finger_closing.py',
        'training/data/synthetic/grasps/generator.py',
        'training/data/synthetic/objects/vessels.py',
        'training/data/synthetic/scenes.py',
        'training/data/synthetic/skin.py',
    ],
)
def test_code_that_makes_samples_changes_the_key(tree: Path, code: str, name: str) -> None:
    with changed(tree / name):
        assert sources.digest(GENERATORS, tree) != code


@pytest.mark.parametrize(
    'name',
    [
        'training/data/pool.py',
        'training/data/sheet.py',
        'training/data/synthetic/rgb_preview.py',
        'training/data/synthetic/grasp_preview.py',
        'training/data/public/preview.py',
        'training/data/public/ho3d.py',
        'training/evaluation/meshes.py',
        'training/networks/depth_pose.py',
        'training/hand/build.py',
        'hoi_ros/camera/depth.py',
        'hoi_ros/simulation/camera.py',
    ],
)
def test_other_code_does_not_change_the_key(tree: Path, code: str, name: str) -> None:
    with changed(tree / name):
        assert sources.digest(GENERATORS, tree) == code


def test_a_stream_has_a_key_of_its_own_code(tree: Path) -> None:
    depth, rgb = ([f'training.data.synthetic.{name}'] for name in ('depth_crops', 'rgb_crops'))
    before = sources.digest(depth, tree), sources.digest(rgb, tree)
    with changed(tree / 'training/data/synthetic/paint.py'):
        assert sources.digest(depth, tree) == before[0] and sources.digest(rgb, tree) != before[1]
    finder = sources.ROOT / 'hoi_ros' / 'stages' / 'parts' / 'hand_finder.py'
    assert finder in sources.imported_files([MistakenPatches.__module__])
    assert finder not in sources.imported_files(GENERATORS)


def test_seed_split_and_hand_model_change_the_key() -> None:
    hand = HandModel.load()
    longer = dataclasses.replace(hand, tips=hand.tips * np.float32(1.01))
    keys = [
        generator_key(0, 'train'),
        generator_key(1, 'train'),
        generator_key(0, 'test'),
        generator_key(0, 'train', longer),
        generator_key(0, 'train', hand.mirrored()),
    ]
    assert len(set(keys)) == len(keys)
    assert generator_key(0, 'train', hand) == keys[0]


def test_another_file_of_the_default_hand_changes_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand, before = HandModel.load(), generator_key(0, 'train')
    (tmp_path / 'hand_model').mkdir()
    dataclasses.replace(hand, template=hand.template * np.float32(1.01)).save(tmp_path / 'hand_model' / 'hand.npz')
    monkeypatch.setenv('HOI_ROS_MODELS', str(tmp_path))
    assert generator_key(0, 'train') != before


def test_generators_import_only_the_robots_hand_camera_mesh_and_simulation() -> None:
    folders = {
        path.relative_to(sources.ROOT).parts[1]
        for path in sources.imported_files(GENERATORS)
        if path.is_relative_to(sources.ROOT / 'hoi_ros')
    }
    assert folders <= {'__init__.py', 'missing_packages.py', 'resources.py', 'hand', 'camera', 'mesh', 'simulation'}


def test_an_unknown_module_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match=r'training\.data\.nothing: no such module'):
        sources.digest(['training.data.nothing'])
