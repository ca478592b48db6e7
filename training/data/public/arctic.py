# SPDX-License-Identifier: Apache-2.0
"""ARCTIC (Fan et al., CVPR 2023): two hands that handle an articulated object.

The folder `arctic_data/data` of https://arctic.is.tue.mpg.de, without images (https://github.com/zc-alexfan/arctic,
docs/data/data_doc.md):

    raw_seqs/s01/box_grab_01.mano.npy       dictionary: right, left: rot (N, 3), pose (N, 45), trans (N, 3), shape (10)
    raw_seqs/s01/box_grab_01.object.npy     (N, 7) articulation, rotation (3) as axis-angle, translation (3) in mm
    meta/object_vtemplates/box/mesh.obj     millimetres
    meta/object_vtemplates/box/parts.json   of each vertex: 0 the top, which articulation turns about −z; 1 the bottom
    splits_json/protocol_p1.json            train, val, test: s01/box_grab_01 …

Hands are metres in the world of the motion capture. Their parameters are those of smplx with `use_pca=False` and
`flat_hand_mean=False`. Of the parts, the data set's document says the reverse; its code (common/object_tensors.py)
turns those of 0. That code poses the left hand with MANO_LEFT.pkl as it is, whose shape space is not mirrored
(`ManoHands.uncorrected_left`). Protocols are p1, for cameras in the room, and p2, for the egocentric one. The
true hands of their test splits are not public: evaluate on the validation split. A record has the axes of the object's
bottom about the middle of the whole object's bounding box.

The licence allows non-commercial research: https://arctic.is.tue.mpg.de/license.html.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.pair import HandParameters
from training.data.object_mesh import ObjectMesh
from training.data.public import dataset_files
from training.data.public.pair_records import ManoHands
from training.data.public.pair_records import PairRecords
from training.data.synthetic.two_hands.records import OBJECT_PAIR_DTYPE

SPLITS = {'train': 'train', 'validation': 'val', 'test': 'test'}
"""Names of the splits in the data set."""
SETUPS = ('p1', 'p2')

_SIDES = 'right', 'left'
_MILLIMETRE = 0.001
_HINGE = np.array([0.0, 0.0, -1.0])
_MEND = (
    'Download raw_seqs, meta and splits_json of ARCTIC (bash/download_misc.sh of https://github.com/zc-alexfan/arctic) '
    'and give the folder that holds them, arctic_data/data'
)


class Arctic:
    """A split of ARCTIC: a stream of records of OBJECT_PAIR_DTYPE, one a frame.

    Args:
        root: the folder that holds raw_seqs/ ….
        split: one of SPLITS.
        setup: one of SETUPS, the protocol.
        hand: file of a converted MANO; the installed hand model by default.

    Attributes:
        dtype: OBJECT_PAIR_DTYPE.

    Raises:
        DatasetError: the folder or a file is missing or damaged, or the hand model is no MANO.
    """

    def __init__(self, root: str | Path, split: str = 'train', setup: str = 'p1', hand: Path | None = None) -> None:
        dataset_files.require_choice('split of ARCTIC', split, tuple(SPLITS))
        dataset_files.require_choice('setup of ARCTIC', setup, SETUPS)
        self._root = Path(root)
        dataset_files.require_folder(self._root, _MEND)
        self._mano = ManoHands(hand)
        self._records = PairRecords(self._mano.right)
        self.dtype = OBJECT_PAIR_DTYPE
        self._sequences = _sequences(self._root / 'splits_json' / f'protocol_{setup}.json', SPLITS[split])
        self._ends = np.cumsum([len(_object_motion(self._root, name)) for name in self._sequences])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> np.ndarray:
        """One record.

        Raises:
            IndexError: no such record.
            DatasetError: a file of the sequence or of its object is missing or damaged.
        """
        number = dataset_files.sample_number(index, len(self))
        place = int(np.searchsorted(self._ends, number, 'right'))
        name, frame = self._sequences[place], number - (int(self._ends[place - 1]) if place else 0)
        motion = _object_motion(self._root, name)
        hands = {side: _hand_motion(self._root, name, side, len(motion)) for side in _SIDES}
        right, left = (self._hand(side, *(part[frame] for part in hands[side])) for side in _SIDES)
        mesh, axes = _object(self._root, name, motion[frame])
        return self._records.object_pair(right, left, mesh, axes, number)

    def _hand(self, side: str, pose: np.ndarray, shape: np.ndarray, translation: np.ndarray) -> HandParameters:
        if side == 'left':
            shape, translation = self._mano.uncorrected_left(shape, translation)
        return self._mano.hand(side, pose, shape, translation)


def _sequences(path: Path, split: str) -> list[str]:
    content = dataset_files.read_json(path, _MEND)
    names = content.get(split) if isinstance(content, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise dataset_files.DatasetError(f'{path}: no list of sequences {split}. {_MEND}')
    return sorted(names)


@functools.lru_cache(maxsize=1024)
def _object_motion(root: Path, name: str) -> np.ndarray:
    """(N, 7) articulation, rotation and translation of the object, radians and millimetres."""
    path = root / 'raw_seqs' / f'{name}.object.npy'
    motion = dataset_files.read_array(path, _MEND, (-1, 7))
    _require_finite(motion, path)
    return motion


@functools.lru_cache(maxsize=8)
def _hand_motion(root: Path, name: str, side: str, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pose (N, 48), shape (N, 10) and translation (N, 3) of a hand, as written."""
    path = root / 'raw_seqs' / f'{name}.mano.npy'
    labels = dataset_files.read_array_dictionary(path, _MEND).get(side)
    if not isinstance(labels, dict):
        raise dataset_files.DatasetError(f'{path}: no {side} hand. {_MEND}')
    rotation, pose, translation = (
        dataset_files.numbers(labels, part, (count, size), path, _MEND)
        for part, size in (('rot', 3), ('pose', 45), ('trans', 3))
    )
    shape = dataset_files.numbers(labels, 'shape', (-1, 10), path, _MEND)
    motion = np.concatenate([rotation, pose], 1), np.broadcast_to(shape, (count, 10)), translation
    _require_finite(np.concatenate(motion, 1), path)
    return motion


def _require_finite(values: np.ndarray, path: Path) -> None:
    if not np.isfinite(values).all():
        raise dataset_files.DatasetError(f'{path}: numbers that are not finite. {_MEND}')


def _object(root: Path, name: str, motion: np.ndarray) -> tuple[ObjectMesh, np.ndarray]:
    """The object of a frame in the world, metres, and its axes (3, 3) there, as columns."""
    folder = root / 'meta' / 'object_vtemplates' / Path(name).name.split('_')[0]
    vertices, faces = dataset_files.read_mesh(folder / 'mesh.obj', _MEND, seams=True)
    top = np.array(dataset_files.read_json(folder / 'parts.json', _MEND)) == 0
    if top.shape != (len(vertices),):
        raise dataset_files.DatasetError(
            f'{folder / "parts.json"}: {top.size} vertices, mesh.obj has {len(vertices)}. {_MEND}'
        )
    turned = np.where(top[:, None], Rotation.from_rotvec(motion[0] * _HINGE).apply(vertices), vertices)
    axes = Rotation.from_rotvec(motion[1:4]).as_matrix()
    placed = (turned @ axes.T + motion[4:]) * _MILLIMETRE
    return ObjectMesh(placed, faces), axes
