# SPDX-License-Identifier: Apache-2.0
"""Missing, damaged and hostile files: the error names the file and the remedy."""

import builtins
import dataclasses
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hoi_ros.hand import HandModel
from tests.training.data.public.miniatures import FIRST
from tests.training.data.public.miniatures import Folders
from tests.training.data.public.miniatures import FRAME
from tests.training.data.public.miniatures import SEQUENCE
from tests.training.data.public.miniatures import write_image
from tests.training.data.public.miniatures import write_pickle
from training.data.public import dexycb
from training.data.public.dataset_files import DatasetError
from training.data.public.dexycb import DexYcb
from training.data.public.freihand import FreiHand
from training.data.public.ho3d import Ho3d
from training.data.public.obman import ObMan

REMOVED = [
    ('freihand', 'freihand', 'lmb.informatik.uni-freiburg.de'),
    ('freihand', 'freihand/training/rgb', 'FreiHAND_pub'),
    ('freihand', 'freihand/training_xyz.json', 'no such file'),
    ('freihand', 'freihand/training_K.json', 'unpack'),
    ('freihand', 'freihand/training/rgb/00000000.jpg', 'no such file'),
    ('obman', 'obman/test', 'di.ens.fr'),
    ('obman', 'obman/test/rgb/00000000.jpg', 'obman.zip'),
    ('obman', 'shapenet/02876657/sample0/models/model_normalized.obj', 'ShapeNetCore.v2'),
    ('ho3d', 'ho3d/train.txt', 'github.com/shreyashampali/ho3d'),
    ('ho3d', 'ho3d/train/MC1/meta/0001.pkl', 'train/'),
    ('ho3d', 'ho3d/train/MC1/depth/0001.png', 'no such file'),
    ('ho3d', 'models/003_cracker_box/textured_simple.obj', 'YCB-Video'),
    ('dexycb', f'dexycb/{dexycb.SUBJECTS[6]}', 'dex-ycb.github.io'),
    ('dexycb', SEQUENCE, '99 sequences, expected 100'),
    ('dexycb', f'{SEQUENCE}/meta.yml', 'no such file'),
    ('dexycb', f'{FRAME}/labels_000000.npz', 'no such file'),
    ('dexycb', 'dexycb/calibration/intrinsics/932122062010_640x480.yml', 'calibration/'),
    ('dexycb', 'dexycb/models/002_master_chef_can/textured_simple.obj', 'models/'),
]


@pytest.mark.parametrize(('name', 'removed', 'message'), REMOVED, ids=[removed for _, removed, _ in REMOVED])
def test_a_missing_file_is_named_with_the_remedy(folders: Folders, name: str, removed: str, message: str) -> None:
    path = folders.root / removed
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DatasetError) as raised:
        folders.open(name)[FIRST[name]]
    # Of a missing sequence its subject is named, whose sequences no longer count to a hundred.
    assert message.lower() in str(raised.value).lower()
    assert str(path.parent if removed == SEQUENCE else path) in str(raised.value)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def change(path: Path, **entries: Any) -> None:
    write_pickle(path, {**pickle.loads(path.read_bytes()), **entries})


def change_arrays(path: Path, **entries: np.ndarray) -> None:
    np.savez(path, **{**dict(np.load(path)), **entries})


DAMAGED: list[tuple[str, str, Callable[[Path], Any], str]] = [
    ('freihand', 'freihand/training_verts.json', cut, 'whole elements, then cut'),
    ('freihand', 'freihand/training_mano.json', lambda path: path.write_text('[[[1, 2]]]'), '1 samples, expected 2'),
    ('freihand', 'freihand/training_xyz.json', lambda path: path.write_text('[[[1, 2]], [[3]]]'), 'element 0 is not'),
    ('freihand', 'freihand/training_xyz.json', lambda path: path.write_text('{"a": 1}'), 'expected a JSON list'),
    ('freihand', 'freihand/training/rgb/00000000.jpg', lambda path: path.write_text('no'), 'not a readable image'),
    ('obman', 'obman/test/meta/00000000.pkl', cut, 'not a readable pickle'),
    ('obman', 'obman/test/meta/00000000.pkl', lambda path: change(path, side='both'), "side 'both', expected left"),
    (
        'obman',
        'obman/test/meta/00000000.pkl',
        lambda path: change(path, coords_3d=np.zeros((20, 3))),
        r'coords_3d has shape \(20, 3\), expected \(21, 3\)',
    ),
    (
        'obman',
        'obman/test/meta/00000000.pkl',
        lambda path: change(path, affine_transform=np.ones((4, 4))),
        'no rotation and scale',
    ),
    (
        'obman',
        'shapenet/02876657/sample0/models/model_normalized.obj',
        lambda path: path.write_text('v 1 2 3\n'),
        'mesh',
    ),
    ('ho3d', 'ho3d/train/MC1/meta/0001.pkl', lambda path: write_pickle(path, [1]), 'holds a list'),
    (
        'ho3d',
        'ho3d/train/MC1/meta/0001.pkl',
        lambda path: write_pickle(path, {'camMat': np.eye(3), 'handPose': [0]}),
        'lacks handJoints3D, has camMat, handPose',
    ),
    ('ho3d', 'ho3d/train/MC1/meta/0001.pkl', lambda path: change(path, camMat='x'), 'camMat cannot be rebuilt'),
    (
        'ho3d',
        'ho3d/train/MC1/depth/0001.png',
        lambda path: write_image(path, np.zeros((4, 4), np.uint16)),
        'expected 3 of uint8',
    ),
    ('ho3d', 'ho3d/train.txt', lambda path: path.write_text('MC1\n'), "names 'MC1', expected SEQUENCE/FRAME"),
    ('dexycb', f'{SEQUENCE}/meta.yml', lambda path: path.write_text('mano_sides: [up]\n'), 'not the mano_sides'),
    (
        'dexycb',
        f'{SEQUENCE}/meta.yml',
        lambda path: path.write_text('!!python/object/apply:os.getcwd []'),
        'not readable YAML',
    ),
    ('dexycb', f'{FRAME}/labels_000000.npz', cut, 'not a readable .npz'),
    (
        'dexycb',
        f'{FRAME}/labels_000000.npz',
        lambda path: change_arrays(path, pose_y=np.ones((2, 3, 4))),
        'poses of 2 objects, expected 3',
    ),
    (
        'dexycb',
        f'{FRAME}/aligned_depth_to_color_000000.png',
        lambda path: write_image(path, np.zeros((4, 4, 3), np.uint8)),
        'expected 1 of uint16',
    ),
]


@pytest.mark.parametrize(('name', 'damaged', 'spoil', 'message'), DAMAGED, ids=[message for *_, message in DAMAGED])
def test_a_damaged_file_is_named(
    folders: Folders, name: str, damaged: str, spoil: Callable[[Path], Any], message: str
) -> None:
    spoil(folders.root / damaged)
    with pytest.raises(DatasetError, match=message) as raised:
        folders.open(name)[FIRST[name]]
    assert str(raised.value).startswith(str(folders.root / damaged))


def test_a_wrong_choice_lists_the_right_ones(folders: Folders) -> None:
    root = folders.root
    for opening, message in (
        (lambda: FreiHand(root, 'train'), "'train': expected one of training, evaluation"),
        (lambda: FreiHand(root / 'freihand', versions=('green',)), 'gs, hom, sample, auto'),
        (lambda: ObMan(root, 'validation'), 'train, val, test'),
        (lambda: Ho3d(root, version='v1'), 'v2, v3'),
        (lambda: DexYcb(root, 's4'), 's0, s1, s2, s3'),
        (lambda: DexYcb(root, split='valid'), 'train, val, test'),
        (lambda: Ho3d(root / 'ho3d', version='v2')[0], r'0001.png: no such file \(there is 0001.j'),
    ):
        with pytest.raises(DatasetError, match=message):
            opening()


class Asks:
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return builtins.open, ('marker', 'w')


@pytest.mark.parametrize(
    ('name', 'path'), [('obman', 'obman/test/meta/00000000.pkl'), ('ho3d', 'ho3d/train/MC1/meta/0001.pkl')]
)
def test_a_pickle_that_asks_for_code_is_refused_and_not_run(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, name: str, path: str
) -> None:
    monkeypatch.chdir(folders.root)
    change(Path(path), bg_path=Asks())
    with pytest.raises(DatasetError, match=r'refused, and nothing run: it asks for .*open'):
        folders.open(name)[0]
    assert not Path('marker').exists()


@pytest.mark.parametrize('name', ['ho3d', 'dexycb'])
def test_another_hand_model_than_the_labelled_one_is_refused(folders: Folders, hand: HandModel, name: str) -> None:
    folders.hand = dataclasses.replace(hand, joints=hand.joints * 1.4, tips=hand.tips * 1.4)
    with pytest.raises(DatasetError, match=r'the given hand model puts the keypoints \d\d mm .* MANO_RIGHT'):
        folders.open(name)[FIRST[name]]
