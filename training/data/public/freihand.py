# SPDX-License-Identifier: Apache-2.0
"""FreiHAND v2 (Zimmermann et al., ICCV 2019): right hands, some of which hold unlabelled objects.

The unpacked folder (https://lmb.informatik.uni-freiburg.de/resources/datasets/FreihandDataset.en.html):

    training/rgb/00000000.jpg …     224×224; sample i under background version v is image i + 32560 v
    training_K.json, training_xyz.json, training_mano.json, training_verts.json
    evaluation/rgb/00000000.jpg …
    evaluation_K.json               and, since their release, evaluation_xyz.json, _mano.json, _verts.json

Points are metres in the optical frame, the 21 joints in the order of `KEYPOINT_NAMES`. To inspect a split:

    python -m training.data.public.preview freihand --root DIR --split training --out sheet.png
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.data.hand_object import HandObjectSample
from training.data.public import dataset_files
from training.hand.mano import PoseSpace

SPLITS = ('training', 'evaluation')
VERSIONS = ('gs', 'hom', 'sample', 'auto')
"""Backgrounds of the training images: green screen, homogenised, coloured with and without given points."""

_TRAINING_IMAGES = 32560
_MEND = (
    'Unpack FreiHAND_pub_v2.zip (and FreiHAND_pub_v2_eval.zip for the labels of the evaluation) of '
    'https://lmb.informatik.uni-freiburg.de/resources/datasets/FreihandDataset.en.html and give the folder '
    'that holds training/, evaluation/ and training_K.json'
)


class FreiHand:
    """A split of FreiHAND.

    Args:
        root: the folder that holds training/ and training_K.json.
        split: one of SPLITS.
        versions: backgrounds of the training images, all four if None; version by version.
        pose_space: MANO's mean pose (`PoseSpace.load` of the user's converted file), to which the labelled poses are
            relative; without it samples have no pose.

    Raises:
        DatasetError: a folder or a label file is missing or damaged, or has another length than the others.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = 'training',
        versions: tuple[str, ...] | None = None,
        pose_space: PoseSpace | None = None,
    ) -> None:
        dataset_files.require_choice('split of FreiHAND', split, SPLITS)
        existing = VERSIONS if split == 'training' else VERSIONS[:1]
        self._versions = existing if versions is None else versions
        for version in self._versions:
            dataset_files.require_choice(f'version of the {split} images of FreiHAND', version, existing)
        self._root, self._split, self._pose_space = Path(root), split, pose_space
        dataset_files.require_folder(self._root, _MEND)
        dataset_files.require_folder(self._root / split / 'rgb', _MEND)
        self._cameras = self._records('K')
        # The images of all versions show the same hands in the same order.
        self.recordings = np.tile(np.arange(len(self._cameras)), len(self._versions))
        labelled = split == 'training' or self._path('xyz').exists()
        self._keypoints, self._hands, self._vertices = (
            self._records(name) if labelled else None for name in ('xyz', 'mano', 'verts')
        )

    def __len__(self) -> int:
        return len(self._cameras) * len(self._versions)

    def __getitem__(self, index: int) -> HandObjectSample:
        """Reads one sample.

        Raises:
            IndexError: no such sample.
            DatasetError: its image is missing or damaged.
        """
        turn, number = divmod(dataset_files.sample_number(index, len(self)), len(self._cameras))
        name = f'{number + _TRAINING_IMAGES * VERSIONS.index(self._versions[turn]):08d}'
        image = dataset_files.read_image(self._root / self._split / 'rgb' / f'{name}.jpg', _MEND)
        keypoints = pose = shape = vertices = None
        if self._keypoints and self._hands and self._vertices:
            keypoints = self._keypoints.numbers(number, (21, 3))
            vertices = self._vertices.numbers(number, (-1, 3))
            hand = self._hands.numbers(number, (61,))  # pose 48, shape 10, and a weak-perspective camera
            shape = hand[48:58]
            if self._pose_space is not None:
                pose = self._pose_space.pose(hand[:48], principal=False)
        return HandObjectSample(
            f'{self._split}/{name}',
            image,
            dataset_files.pinhole(image, self._cameras.numbers(number, (3, 3))),
            'right',
            keypoints,
            pose,
            shape,
            vertices,
        )

    def _path(self, name: str) -> Path:
        return self._root / f'{self._split}_{name}.json'

    def _records(self, name: str) -> dataset_files.JsonRecords:
        records = dataset_files.JsonRecords(self._path(name), _MEND)
        if name != 'K' and len(records) != len(self._cameras):
            raise dataset_files.DatasetError(
                f'{self._path(name)}: {len(records)} samples, expected '
                f'{len(self._cameras)} as in {self._path("K").name}. {_MEND}'
            )
        return records
