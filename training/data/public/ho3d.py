# SPDX-License-Identifier: Apache-2.0
"""HO-3D v2 and v3 (Hampali et al., CVPR 2020): right hands that hold YCB objects, in colour and depth.

The unpacked folder (https://github.com/shreyashampali/ho3d):

    train.txt, evaluation.txt       the frames of the splits, one SEQUENCE/FRAME per line
    train/SEQUENCE/rgb/0000.png     .jpg in v3; 640×480
    train/SEQUENCE/depth/0000.png   16 bits in two channels, units of 0.12498664727900177 mm
    train/SEQUENCE/meta/0000.pkl    camMat, handPose 48, handBeta 10, handTrans 3, handJoints3D (21, 3), objName,
                                    objRot 3, objTrans 3, handVertContact 778
    evaluation/…                    the same, with the wrist as the only joint: handJoints3D 3
    evaluation_xyz.json, evaluation_verts.json   the labels as later released, in the order of evaluation.txt

and the meshes of YCB-Video (https://rse-lab.cs.washington.edu/projects/posecnn/): 035_power_drill/textured_simple.obj.

Labels are metres in an OpenGL camera (y up, looking along −z), the joints in MANO's order with the tips last; the
pose is full axis-angle relative to the flat hand. To inspect a split:

    python -m training.data.public.preview ho3d --root DIR --version v3 --models DIR --split train --out sheet.png
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import KEYPOINT_SOURCES
from training.data.hand_object import HandObjectSample
from training.data.hand_object import ObjectLabel
from training.data.public import dataset_files

SPLITS = ('train', 'evaluation')
VERSIONS = ('v2', 'v3')

_IMAGES = {'v2': '.png', 'v3': '.jpg'}
_RECORDING = re.compile('[A-Za-z]*[0-9]?')
"""Of the name of a sequence: ABF10 to ABF14 are one recording by five cameras, the last digit tells them apart."""
_DEPTH_UNIT = 0.00012498664727900177  # metres
_MEND = (
    'Download HO-3D from https://github.com/shreyashampali/ho3d (v2 has .png images, v3 .jpg) and give the folder '
    'that holds train/, evaluation/, train.txt and evaluation.txt'
)
_MODELS_MEND = (
    'Download "The YCB-Video 3D Models" from https://rse-lab.cs.washington.edu/projects/posecnn/ and give '
    'the folder that holds 003_cracker_box/ …, or none to read no objects'
)


class Ho3d:
    """A split of HO-3D.

    Keypoints are those of the data set. An evaluation frame without released labels has the wrist only: the other
    twenty keypoints are NaN. Contact is the data set's: vertices less than 4 mm from the object.

    Args:
        root: the folder that holds train/ and train.txt.
        split: one of SPLITS.
        version: one of VERSIONS.
        models: the folder of the YCB-Video meshes; without it samples have no object.
        hand: the user's converted MANO model; without it training samples have no vertices.

    Raises:
        DatasetError: a folder or list is missing or damaged.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = 'train',
        version: str = 'v3',
        models: str | Path | None = None,
        hand: HandModel | None = None,
    ) -> None:
        dataset_files.require_choice('split of HO-3D', split, SPLITS)
        dataset_files.require_choice('version of HO-3D', version, VERSIONS)
        self._folder, self._suffix, self._hand = Path(root) / split, _IMAGES[version], hand
        self._models = None if models is None else Path(models)
        dataset_files.require_folder(Path(root), _MEND)
        dataset_files.require_folder(self._folder, _MEND)
        if self._models:
            dataset_files.require_folder(self._models, _MODELS_MEND)
        listed = Path(root) / f'{split}.txt'
        dataset_files.require_file(listed, _MEND)
        self._frames = listed.read_text().split()
        wrong = next((frame for frame in self._frames if frame.count('/') != 1), None)
        if wrong is not None or not self._frames:
            raise dataset_files.DatasetError(
                f'{listed}: {"is empty" if wrong is None else f"names {wrong!r}"}, '
                f'expected SEQUENCE/FRAME lines. {_MEND}'
            )
        self.recordings = np.unique([_RECORDING.match(frame)[0] for frame in self._frames], return_inverse=True)[1]
        self._released: list[dataset_files.JsonRecords] = []
        if split == 'evaluation' and (Path(root) / 'evaluation_xyz.json').exists():
            self._released = [
                dataset_files.JsonRecords(Path(root) / f'evaluation_{name}.json', _MEND) for name in ('xyz', 'verts')
            ]
            for name, records in zip(('xyz', 'verts'), self._released, strict=True):
                if len(records) != len(self._frames):
                    raise dataset_files.DatasetError(
                        f'{Path(root) / f"evaluation_{name}.json"}: {len(records)} frames, expected '
                        f'{len(self._frames)} as in {listed.name}; those of v2 and v3 differ. {_MEND}'
                    )

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> HandObjectSample:
        """Reads one sample.

        Raises:
            IndexError: no such sample.
            DatasetError: one of its files is missing or damaged, or `hand` does not reproduce the labelled joints.
        """
        index = dataset_files.sample_number(index, len(self))
        sequence, frame = self._frames[index].split('/')
        folder = self._folder / sequence
        image = dataset_files.read_image(folder / 'rgb' / f'{frame}{self._suffix}', _MEND)
        path = folder / 'meta' / f'{frame}.pkl'
        labels = dataset_files.read_pickle(path, _MEND)
        hand: dict[str, Any] = {'keypoints': None}
        if self._released:
            joints, vertices = self._released
            hand = {
                'keypoints': self._keypoints(joints.numbers(index, (21, 3))),
                'hand_vertices': dataset_files.from_opengl(vertices.numbers(index, (-1, 3))),
            }
        elif self._folder.name == 'evaluation':
            keypoints = np.full((21, 3), np.nan)
            keypoints[0] = dataset_files.from_opengl(dataset_files.numbers(labels, 'handJoints3D', (3,), path, _MEND))
            hand = {'keypoints': keypoints}
        elif labels.get('handPose') is not None:
            hand = self._labelled(labels, path)
        camera = dataset_files.pinhole(image, dataset_files.numbers(labels, 'camMat', (3, 3), path, _MEND))
        return HandObjectSample(
            f'{sequence}/{frame}',
            image,
            camera,
            'right',
            **hand,
            held=self._held(labels, path),
            depth=_depth(folder / 'depth' / f'{frame}.png'),
        )

    def _labelled(self, labels: dict[str, Any], path: Path) -> dict[str, Any]:
        """The hand labels of a training frame, named as in HandObjectSample."""
        joints, pose, shape, translation = (
            dataset_files.numbers(labels, name, size, path, _MEND)
            for name, size in (('handJoints3D', (21, 3)), ('handPose', (48,)), ('handBeta', (10,)), ('handTrans', (3,)))
        )
        keypoints, vertices, contact = self._keypoints(joints), None, None
        if self._hand is not None:
            geometry = self._hand.forward(pose, shape, translation)
            posed = dataset_files.from_opengl(geometry.keypoints)
            dataset_files.require_agreement(posed, keypoints, path)
            vertices = dataset_files.from_opengl(geometry.vertices)
        if labels.get('handVertContact') is not None:
            contact = dataset_files.numbers(labels, 'handVertContact', (-1,), path, _MEND) > 0.5
        wrist = dataset_files.pose_from_opengl(
            dataset_files.rigid(Rotation.from_rotvec(pose[:3]).as_matrix(), np.zeros(3))
        )[:3, :3]
        pose = np.concatenate([Rotation.from_matrix(wrist).as_rotvec(), pose[3:]])
        return {'keypoints': keypoints, 'pose': pose, 'shape': shape, 'hand_vertices': vertices, 'contact': contact}

    def _keypoints(self, joints: np.ndarray) -> np.ndarray:
        return dataset_files.from_opengl(joints[list(KEYPOINT_SOURCES)])

    def _held(self, labels: dict[str, Any], path: Path) -> ObjectLabel | None:
        name = labels.get('objName')
        if self._models is None or name is None or labels.get('objRot') is None:
            return None
        turn, translation = (dataset_files.numbers(labels, key, (3,), path, _MEND) for key in ('objRot', 'objTrans'))
        vertices, faces = dataset_files.read_mesh(self._models / str(name) / 'textured_simple.obj', _MODELS_MEND)
        pose = dataset_files.rigid(Rotation.from_rotvec(turn).as_matrix(), translation)
        return ObjectLabel(str(name), vertices, faces, dataset_files.pose_from_opengl(pose))


def _depth(path: Path) -> np.ndarray:
    """(H, W) float32 metres: the low byte is red, the high byte green."""
    pixels = dataset_files.read_raw_image(path, _MEND, np.uint8, 3).astype(np.float32)
    return (pixels[..., 2] + 256 * pixels[..., 1]) * np.float32(_DEPTH_UNIT)
