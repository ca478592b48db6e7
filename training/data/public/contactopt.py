# SPDX-License-Identifier: Apache-2.0
"""Perturbed ContactPose of ContactOpt (Grady et al., CVPR 2021): the hands of ContactPose beside their true place.

The files that `contactopt/create_dataset_contactpose.py` (https://github.com/facebookresearch/contactopt, MIT licence)
makes from ContactPose and MANO, in one folder:

    perturbed_contactpose_test.pkl      4 copies of the last fifth of the grasps of one right hand alone, 1,416 in all
    perturbed_contactpose_train.pkl     16 copies of the others, 22,624 in all, about 40 GB

Each is a pickled list of dictionaries with ho_gt and ho_aug, the true and the perturbed hand, instances of HandObject:
hand_joints (21, 3) in the order of `KEYPOINT_NAMES`, hand_pose (18), hand_beta (10) and hand_mTc (4, 4) as in
`ManoParameters`; obj_verts (M, 3), obj_faces (F, 3) and obj_contact (M, 1), the thermal map after its sigmoid, 0 where
no camera saw the vertex. Metres in the object's frame. MANO itself is not needed: its joints are in the file. The noise
has standard deviations of 5 cm, 0.1 radians and 0.5 principal components: 82.9 mm of mean joint error.

The hand's contact in the file comes from distances on MANO; here it comes from the thermal map, as in ContactPose.
A file is read whole, as by its authors' code: the training file needs 64 GB of memory. Networks that see ContactPose
perturbed anew at each step do not need it.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from training import inert_pickle
from training.data.public import dataset_files
from training.data.public.contact_records import completed
from training.data.public.contact_records import HandParameters
from training.data.public.contact_records import ManoParameters
from training.data.public.contact_records import RecordedHands
from training.data.object_mesh import ObjectMesh

SPLITS = ('train', 'test')

_MEND = (
    'Make the files with contactopt/create_dataset_contactpose.py of https://github.com/facebookresearch/contactopt '
    'and give the folder that holds perturbed_contactpose_test.pkl'
)


class ContactOpt:
    """A split of Perturbed ContactPose: a stream of records of `contact`, and the perturbed hand of each.

    Args:
        root: the folder that holds perturbed_contactpose_test.pkl.
        split: one of SPLITS.
        hand: file of the right hand that the records describe; the installed model by default.

    Raises:
        DatasetError: the file is missing or damaged, or names other classes.
    """

    def __init__(self, root: str | Path, split: str = 'test', hand: Path | None = None) -> None:
        dataset_files.require_choice('split of ContactOpt', split, SPLITS)
        dataset_files.require_folder(Path(root), _MEND)
        self._path = Path(root) / f'perturbed_contactpose_{split}.pkl'
        self._count = len(_samples(self._path))
        self._hands = RecordedHands(hand)
        self.dtype = self._hands.dtype

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> np.ndarray:
        """One record of `dtype`, of the true hand.

        Raises:
            IndexError: no such record.
            DatasetError: an entry is missing, not numeric or of another shape.
        """
        labels = self._labels(index, 'ho_gt')
        mesh = self.mesh(index)
        contact = self._numbers(labels, 'obj_contact', (len(mesh.vertices),))
        hand = self._parameters(labels)
        return self._hands.record(hand, mesh, completed(mesh.vertices, contact), index)

    def mesh(self, index: int) -> ObjectMesh:
        """The object's mesh of a record."""
        labels = self._labels(index, 'ho_gt')
        vertices, faces = (self._numbers(labels, name, (-1, 3)) for name in ('obj_verts', 'obj_faces'))
        if not len(faces) or faces.min() < 0 or faces.max() >= len(vertices):
            raise dataset_files.DatasetError(
                f'{self._path}: sample {index} has no triangles on its {len(vertices)} vertices. {_MEND}'
            )
        return ObjectMesh(vertices.astype(np.float32), faces.astype(np.int32))

    def perturbed(self, index: int) -> HandParameters:
        """The perturbed hand of a record; its shape is about that of the record."""
        return self._parameters(self._labels(index, 'ho_aug'))

    def _parameters(self, labels: dict[str, Any]) -> HandParameters:
        sizes = {'hand_joints': (21, 3), 'hand_pose': (-1,), 'hand_beta': (10,), 'hand_mTc': (4, 4)}
        keypoints, pose, shape, transform = (self._numbers(labels, name, size) for name, size in sizes.items())
        mano = ManoParameters(pose, shape, transform) if len(pose) == 18 else None
        try:
            return self._hands.parameters(keypoints, mano)
        except ValueError as error:
            raise dataset_files.DatasetError(f'{self._path}: hand_joints are no hand ({error}). {_MEND}') from error

    def _labels(self, index: int, name: str) -> dict[str, Any]:
        sample = _samples(self._path)[dataset_files.sample_number(index, len(self))]
        try:
            return inert_pickle.attributes(sample[name])
        except (KeyError, TypeError, inert_pickle.PickleError) as error:
            raise dataset_files.DatasetError(
                f'{self._path}: sample {index} has no {name} of HandObject ({error!r}). {_MEND}'
            ) from error

    def _numbers(self, labels: dict[str, Any], name: str, shape: tuple[int, ...]) -> np.ndarray:
        return dataset_files.numbers(labels, name, shape, self._path, _MEND)


@functools.lru_cache(maxsize=1)
def _samples(path: Path) -> list[Any]:
    return dataset_files.read_pickled_list(path, _MEND)
