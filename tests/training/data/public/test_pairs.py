# SPDX-License-Identifier: Apache-2.0
"""InterHand2.6M and ARCTIC: their two hands, and the object, become records of the two-hand prior."""

from __future__ import annotations

import builtins
import dataclasses
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hoi_ros.hand import HandModel
from hoi_ros.hand.pair import parameters_of
from tests.training.data.public.pair_miniatures import ARTICULATION
from tests.training.data.public.pair_miniatures import convert
from tests.training.data.public.pair_miniatures import FRAMES
from tests.training.data.public.pair_miniatures import HALF
from tests.training.data.public.pair_miniatures import hands_of
from tests.training.data.public.pair_miniatures import object_pose
from tests.training.data.public.pair_miniatures import write_arctic
from tests.training.data.public.pair_miniatures import write_interhand
from tests.training.data.public.pair_miniatures import Written
from training.data.public import arctic
from training.data.public.arctic import Arctic
from training.data.public.dataset_files import DatasetError
from training.data.public.interhand import InterHand
from training.hand.mano import PoseSpace


@pytest.fixture(scope='module')
def original(space: PoseSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('pairs')
    convert(root / 'mano.npz', space)
    write_interhand(root / 'interhand', space)
    write_arctic(root / 'arctic', space)
    return root


@pytest.fixture
def root(original: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    shutil.copytree(original, tmp_path / 'data')
    for cached in (arctic._object_motion, arctic._hand_motion, arctic.dataset_files.read_mesh):
        cached.cache_clear()
    return tmp_path / 'data'


def sides(hand: HandModel) -> dict[str, HandModel]:
    return {'right': hand, 'left': hand.mirrored()}


def keypoints(hand: HandModel, written: Written) -> np.ndarray:
    return hand.forward(*(np.asarray(part, np.float32) for part in written)).keypoints.astype(float)


def recorded(hand: HandModel, vector: np.ndarray) -> np.ndarray:
    return hand.forward(*parameters_of(hand, vector)).keypoints.astype(float)


def test_interhand_has_the_frames_of_two_hands_in_order(root: Path, hand: HandModel) -> None:
    stream = InterHand(root / 'interhand', 'train', root / 'mano.npz')
    assert len(stream) == 4 and [int(record['index']) for record in stream] == [0, 1, 2, 3]
    for record, frame in zip(stream, (9, 10, 9, 10), strict=True):
        truth = hands_of(frame)
        axes = Rotation.from_rotvec(truth['left'].pose[:3])
        origin = keypoints(hand.mirrored(), truth['left'])[0]
        for side, model in sides(hand).items():
            expected = axes.inv().apply(keypoints(model, truth[side]) - origin)
            np.testing.assert_allclose(recorded(model, record[side]), expected, atol=1e-5)
        # The thumb's rotation was written as one of over 2π.
        assert np.abs(record['right'][:45]).max() < np.pi
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stream))[3], stream[3])


def box() -> np.ndarray:
    """(16, 3) corners of the object in its own axes; its top is turned about −z, through the origin."""
    corners = np.array(np.meshgrid(*([-1, 1],) * 3)).reshape(3, 8).T * HALF
    top = Rotation.from_rotvec([0, 0, -ARTICULATION]).apply(corners + [0.06, 0, 0])
    return np.concatenate([corners - [0.06, 0, 0], top])


def in_object(points: np.ndarray, index: int) -> np.ndarray:
    """Points of the world in the frame of a record's object."""
    turn, shift = object_pose(index)
    return turn.inv().apply(points - shift) - (box().min(0) + box().max(0)) / 2


def test_arctic_has_hand_and_object_in_the_frame_of_the_object(root: Path, hand: HandModel) -> None:
    stream = Arctic(root / 'arctic', 'train', 'p1', root / 'mano.npz')
    assert len(stream) == 2 * FRAMES and len(Arctic(root / 'arctic', 'validation', 'p2', root / 'mano.npz')) == FRAMES
    index = FRAMES + 1
    record = pickle.loads(pickle.dumps(stream))[index]
    truth = hands_of(index)['right']._replace(shape=hands_of(FRAMES)['right'].shape)
    np.testing.assert_allclose(recorded(hand, record['right']), in_object(keypoints(hand, truth), index), atol=1e-5)
    points, normals, extent = record['object_points'], record['object_normals'], np.ptp(box(), axis=0) / 2
    np.testing.assert_allclose([points.min(0), points.max(0)], [-extent, extent], atol=0.01)
    ahead = np.array([np.cos(ARTICULATION), -np.sin(ARTICULATION), 0])
    end = normals @ ahead > 0.999
    np.testing.assert_allclose((points[end] + (box().min(0) + box().max(0)) / 2) @ ahead, 0.12, atol=1e-5)
    assert 15 < end.sum() < 60
    with pytest.raises(IndexError, match='there are 6'):
        stream[6]


def test_the_left_hand_of_arctic_is_that_of_an_uncorrected_mano(root: Path, hand: HandModel) -> None:
    record, index = Arctic(root / 'arctic', 'validation', hand=root / 'mano.npz')[0], 2 * FRAMES
    truth, left = hands_of(index)['left'], hand.mirrored()
    # MANO_LEFT.pkl has the shape space of the right hand beside a mirrored template.
    bases = {name: getattr(hand, name) for name in ('shape_basis', 'joint_shape_basis')}
    arguments = [np.asarray(part, np.float32) for part in truth]
    uncorrected, corrected = (model.forward(*arguments) for model in (dataclasses.replace(left, **bases), left))
    found = left.forward(*parameters_of(left, record['left']))
    np.testing.assert_allclose(found.keypoints[0], in_object(uncorrected.keypoints[0], index), atol=1e-5)
    off, plain = (
        np.linalg.norm(vertices - in_object(uncorrected.vertices, index), axis=1).mean()
        for vertices in (found.vertices, in_object(corrected.vertices, index))
    )
    assert off < 0.001 < plain


def without_annotations(root: Path) -> None:
    shutil.rmtree(root / 'interhand' / 'annotations' / 'train')


def rewritten(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Changes the content of a JSON file."""

    def spoil(root: Path) -> None:
        path = root / name
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    return spoil


class Asks:
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return builtins.open, ('marker', 'w')


PARAMETERS = 'interhand/annotations/train/InterHand2.6M_train_MANO_NeuralAnnot.json'
JOINTS = 'interhand/annotations/train/InterHand2.6M_train_joint_3d.json'
HANDS, MOTION = 'arctic/raw_seqs/s01/box_grab_01.mano.npy', 'arctic/raw_seqs/s01/box_grab_01.object.npy'
PARTS, PROTOCOL = 'arctic/meta/object_vtemplates/box/parts.json', 'arctic/splits_json/protocol_p1.json'
FAULTS: list[tuple[str, Callable[[Path], Any], str]] = [
    ('interhand/annotations/train', without_annotations, 'no such folder, expected a folder. Download the annotations'),
    (PARAMETERS, lambda root: (root / PARAMETERS).unlink(), 'no such file'),
    (JOINTS, lambda root: (root / JOINTS).write_text('{"2": {"9"'), 'not readable JSON'),
    (JOINTS, rewritten(JOINTS, lambda _: {'2': [1]}), 'not frames by capture'),
    (PARAMETERS, rewritten(JOINTS, lambda _: {'2': {}}), '10 frames, none of which shows two hands that interact'),
    (
        PARAMETERS,
        rewritten(PARAMETERS, lambda hands: {'2': {'9': {**hands['2']['9'], 'left': {'pose': [1]}}}}),
        'frame 9',
    ),
    (MOTION, lambda root: np.save(root / MOTION, np.zeros((3, 6))), r'not a readable .npy of shape \(-1, 7\)'),
    (MOTION, lambda root: (root / MOTION).unlink(), 'no such file'),
    (MOTION, lambda root: np.save(root / MOTION, np.full((3, 7), np.nan)), 'numbers that are not finite'),
    (HANDS, lambda root: (root / HANDS).write_bytes((root / HANDS).read_bytes()[:900]), 'not a readable .npy file'),
    (HANDS, lambda root: np.save(root / HANDS, np.zeros(3)), 'holds an array of float64, expected a dictionary'),
    (HANDS, lambda root: np.save(root / HANDS, {'right': {}}, allow_pickle=True), 'lacks rot'),
    (HANDS, lambda root: np.save(root / HANDS, {'left': Asks()}, allow_pickle=True), 'refused, and nothing run'),
    (PARTS, rewritten(PARTS, lambda parts: parts[1:]), '15 vertices, mesh.obj has 16'),
    (PROTOCOL, rewritten(PROTOCOL, lambda _: {'train': []}), 'no list of sequences train'),
]


@pytest.mark.parametrize(('name', 'spoil', 'message'), FAULTS, ids=[message for _, _, message in FAULTS])
def test_a_fault_names_the_file_and_the_mend(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, spoil: Callable[[Path], Any], message: str
) -> None:
    monkeypatch.chdir(root)
    spoil(root)
    with pytest.raises(DatasetError, match=message) as raised:
        (InterHand if name.startswith('interhand') else Arctic)(root / name.split('/')[0], hand=root / 'mano.npz')[0]
    assert str(raised.value).startswith(str(root / name)) and 'Download' in str(raised.value)
    assert not Path('marker').exists()


def test_a_hand_that_is_no_mano_is_refused(root: Path) -> None:
    for data in (InterHand, Arctic):
        with pytest.raises(DatasetError, match='another hand model. Give --hand'):
            data(root / data.__name__.lower())
    with pytest.raises(DatasetError, match='raw_seqs/s03/box_use_01.object.npy: no such file'):
        Arctic(root / 'arctic', 'test', hand=root / 'mano.npz')
