# SPDX-License-Identifier: Apache-2.0
"""ObMan (Hasson et al., CVPR 2019): rendered right hands that hold ShapeNet objects.

The unpacked folder (https://www.di.ens.fr/willow/research/obman/data/), the same for train, val and test:

    train/rgb/00000000.jpg …        256×256
    train/meta/00000000.pkl …       side, coords_3d (21, 3), verts_3d (778, 3), affine_transform (4, 4), class_id,
                                    sample_id

and the meshes of ShapeNetCore.v2 (https://shapenet.org): CLASS/SAMPLE/models/model_normalized.obj.

Labels are metres in Blender's camera (y up, looking along −z), the 21 joints in the order of `KEYPOINT_NAMES`;
affine_transform scales the mesh to metres and places it. The hand belongs to an SMPL+H body: the file has the
axis-angles of the fingers but not the rotation of the wrist, and the shape of the body. Samples therefore have vertices
and no pose or shape. The 8-bit depth is not read: the two public readers disagree about the near end of its range. To
inspect a split:

    python -m training.data.public.preview obman --root DIR --shapenet DIR --split train --out sheet.png
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from training.data.hand_object import HandObjectSample
from training.data.hand_object import ObjectLabel
from training.data.public import dataset_files

SPLITS = ('train', 'val', 'test')

_FOCAL = 60 / 32
"""Focal length over image width: 60 mm and a sensor of 32 mm. The principal point is the image's centre."""
_MEND = (
    'Ask for obman.zip at https://www.di.ens.fr/willow/research/obman/data/, unpack it and give the folder that '
    'holds train/, val/ and test/'
)
_SHAPENET_MEND = (
    'Download ShapeNetCore.v2 from https://shapenet.org and give the folder that holds 02876657/ …, or '
    'none to read no objects'
)


class ObMan:
    """A split of ObMan.

    Args:
        root: the folder that holds train/, val/ and test/.
        split: one of SPLITS.
        shapenet: the folder of ShapeNetCore.v2; without it samples have no object.

    Raises:
        DatasetError: a folder is missing, or holds no labels.
    """

    def __init__(self, root: str | Path, split: str = 'train', shapenet: str | Path | None = None) -> None:
        dataset_files.require_choice('split of ObMan', split, SPLITS)
        self._folder, self._split = Path(root) / split, split
        self._shapenet = None if shapenet is None else Path(shapenet)
        for folder in (Path(root), self._folder / 'rgb', self._folder / 'meta'):
            dataset_files.require_folder(folder, _MEND)
        if self._shapenet:
            dataset_files.require_folder(self._shapenet, _SHAPENET_MEND)
        self._names = sorted(path.stem for path in (self._folder / 'meta').iterdir() if path.suffix == '.pkl')
        if not self._names:
            raise dataset_files.DatasetError(f'{self._folder / "meta"}: no .pkl here. {_MEND}')
        self.recordings = np.arange(len(self._names))

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> HandObjectSample:
        """Reads one sample.

        Raises:
            IndexError: no such sample.
            DatasetError: one of its files is missing or damaged.
        """
        name = self._names[dataset_files.sample_number(index, len(self))]
        image = dataset_files.read_image(self._folder / 'rgb' / f'{name}.jpg', _MEND)
        path = self._folder / 'meta' / f'{name}.pkl'
        labels = dataset_files.read_pickle(path, _MEND)
        if labels.get('side') not in ('left', 'right'):
            raise dataset_files.DatasetError(f'{path}: side {labels.get("side")!r}, expected left or right. {_MEND}')
        keypoints, vertices = (
            dataset_files.from_opengl(dataset_files.numbers(labels, key, shape, path, _MEND))
            for key, shape in (('coords_3d', (21, 3)), ('verts_3d', (-1, 3)))
        )
        height, width = image.shape[:2]
        # The renderer's principal point, half of the size, counts from the border of the first pixel.
        camera = Pinhole(width, height, _FOCAL * width, _FOCAL * width, (width - 1) / 2, (height - 1) / 2)
        return HandObjectSample(
            f'{self._split}/{name}',
            image,
            camera,
            labels['side'],
            keypoints,
            hand_vertices=vertices,
            held=self._held(labels, path),
        )

    def _held(self, labels: dict, path: Path) -> ObjectLabel | None:
        if self._shapenet is None:
            return None
        placed = dataset_files.pose_from_opengl(dataset_files.numbers(labels, 'affine_transform', (4, 4), path, _MEND))
        scale = np.cbrt(np.linalg.det(placed[:3, :3]))
        rotation = placed[:3, :3] / scale if scale else placed[:3, :3]
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3):
            raise dataset_files.DatasetError(f'{path}: affine_transform is no rotation and scale. {_MEND}')
        name = f'{labels.get("class_id")}/{labels.get("sample_id")}'
        vertices, faces = dataset_files.read_mesh(
            self._shapenet / name / 'models' / 'model_normalized.obj', _SHAPENET_MEND
        )
        return ObjectLabel(name, vertices * np.float32(scale), faces, dataset_files.rigid(rotation, placed[:3, 3]))
