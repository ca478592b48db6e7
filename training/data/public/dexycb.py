# SPDX-License-Identifier: Apache-2.0
"""DexYCB (Chao et al., CVPR 2021): left and right hands that reach for and lift YCB objects, in colour and depth.

The unpacked folder (https://dex-ycb.github.io):

    20200709-subject-01/ …          ten subjects of 100 sequences, each with meta.yml and one folder per camera
      20200709_141754/836212060125/ color_000000.jpg, aligned_depth_to_color_000000.png (mm), labels_000000.npz
    calibration/intrinsics/836212060125_640x480.yml, calibration/mano_…/mano.yml (the subject's shape)
    models/002_master_chef_can/textured_simple.obj …

A label file has joint_3d (1, 21, 3) in the order of `KEYPOINT_NAMES`, −1 where unknown; pose_m (1, 51), the wrist's
axis-angle, 45 coefficients of MANO's principal components about its mean pose, and the translation, 0 where unknown;
pose_y (objects, 3, 4), 0 where unknown. All are metres in the optical frame. To inspect a split:

    python -m training.data.public.preview dexycb --root DIR --setup s0 --split train --out sheet.png
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from training.data.hand_object import HandObjectSample
from training.data.hand_object import ObjectLabel
from training.data.public import dataset_files
from training.hand.mano import PoseSpace

SETUPS = ('s0', 's1', 's2', 's3')
"""What only the test split contains: s0 other sequences, s1 subjects, s2 cameras, s3 grasped objects."""
SPLITS = ('train', 'val', 'test')

SUBJECTS = (
    '20200709-subject-01',
    '20200813-subject-02',
    '20200820-subject-03',
    '20200903-subject-04',
    '20200908-subject-05',
    '20200918-subject-06',
    '20200928-subject-07',
    '20201002-subject-08',
    '20201015-subject-09',
    '20201022-subject-10',
)
CAMERAS = (
    '836212060125',
    '839512060362',
    '840412060917',
    '841412060263',
    '932122060857',
    '932122060861',
    '932122061900',
    '932122062010',
)
OBJECTS = (
    '002_master_chef_can',
    '003_cracker_box',
    '004_sugar_box',
    '005_tomato_soup_can',
    '006_mustard_bottle',
    '007_tuna_fish_can',
    '008_pudding_box',
    '009_gelatin_box',
    '010_potted_meat_can',
    '011_banana',
    '019_pitcher_base',
    '021_bleach_cleanser',
    '024_bowl',
    '025_mug',
    '035_power_drill',
    '036_wood_block',
    '037_scissors',
    '040_large_marker',
    '051_large_clamp',
    '052_extra_large_clamp',
    '061_foam_brick',
)
"""In the order of their numbers in the labels, which start at 1."""

_SEQUENCES = 100  # per subject
_WIDTH, _HEIGHT = 640, 480
_NEAR = 0.01
"""Greatest distance of hand and held object, metres."""
_UNDER_SKIN = 0.01
"""About the distance of a joint to the skin, metres."""
_MEND = (
    'Download DexYCB from https://dex-ycb.github.io and give the folder that holds 20200709-subject-01/ …, '
    'calibration/ and models/'
)


class _Sequence(NamedTuple):
    folder: str
    """Relative to the root."""
    side: Literal['left', 'right']
    shape: tuple[float, ...]
    objects: tuple[int, ...]
    grasped: int
    """Index into the objects."""


class DexYcb:
    """A split of DexYCB; frames in the official order: by sequence, then camera, then time.

    `held` is the object that the sequence grasps, in the frames in which it is 1 cm or less from the hand's vertices,
    as in the DexYCB⁻ of Tse et al. (CVPR 2022, section 4); where only joints are known, 2 cm or less from one of them.

    Vertices of a left hand come from the mirrored right model with the right hand's shape displacements, as in the
    MANO_LEFT.pkl that produced the labels (https://github.com/vchoutas/smplx/issues/48). The pose space of that file
    is not available: a left hand has a pose and vertices only if the mirrored space reproduces the labelled joints.

    Args:
        root: the folder that holds the subjects, calibration/ and models/.
        setup: one of SETUPS.
        split: one of SPLITS.
        hand: the user's converted MANO model; without it samples have no vertices.
        pose_space: of the same file (`PoseSpace.load`), which the hand needs; without both samples have no pose.

    Raises:
        DatasetError: a folder or file that the whole split needs is missing or damaged, or the hand model comes without
            its pose space.
    """

    def __init__(
        self,
        root: str | Path,
        setup: str = 's0',
        split: str = 'train',
        hand: HandModel | None = None,
        pose_space: PoseSpace | None = None,
    ) -> None:
        dataset_files.require_choice('setup of DexYCB', setup, SETUPS)
        dataset_files.require_choice('split of DexYCB', split, SPLITS)
        self._root = Path(root)
        dataset_files.require_folder(self._root, _MEND)
        if hand is not None and pose_space is None:
            raise dataset_files.DatasetError(
                'the hand model holds no MANO pose space, in which DexYCB writes its poses: convert your '
                'MANO_RIGHT.pkl with `python -m training.hand.mano` again'
            )
        self._hands = {} if hand is None else {'right': hand, 'left': _mano_left(hand)}
        self._spaces = {} if pose_space is None else {'right': pose_space, 'left': pose_space.mirrored()}
        subjects, cameras, sequences = split_of(setup, split)
        self._cameras = [(CAMERAS[number], self._camera(CAMERAS[number])) for number in cameras]
        self._sequences: list[_Sequence] = []
        places = []
        for subject in subjects:
            folder = self._root / SUBJECTS[subject]
            dataset_files.require_folder(folder, _MEND)
            names = sorted(path.name for path in folder.iterdir() if path.is_dir())
            if len(names) != _SEQUENCES:
                raise dataset_files.DatasetError(
                    f'{folder}: {len(names)} sequences, expected {_SEQUENCES}: the splits are '
                    f'defined by their order. {_MEND}'
                )
            for number in sequences:
                sequence, frames = self._sequence(f'{SUBJECTS[subject]}/{names[number]}')
                place = np.indices((len(self._cameras), frames)).reshape(2, -1)
                places.append(np.stack([np.full(place.shape[1], len(self._sequences)), *place], 1).astype(np.int32))
                self._sequences.append(sequence)
        self._places = np.concatenate(places)
        self.recordings = self._places[:, 0]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> HandObjectSample:
        """Reads one sample.

        Raises:
            IndexError: no such sample.
            DatasetError: one of its files is missing or damaged, or `hand` does not reproduce the labelled joints.
        """
        number, view, frame = self._places[dataset_files.sample_number(index, len(self))]
        sequence, (serial, camera) = self._sequences[number], self._cameras[view]
        folder = self._root / sequence.folder / serial
        path = folder / f'labels_{frame:06d}.npz'
        labels = dataset_files.read_arrays(path, _MEND)
        keypoints, hand, poses = (
            dataset_files.numbers(labels, name, shape, path, _MEND)
            for name, shape in (('joint_3d', (21, 3)), ('pose_m', (51,)), ('pose_y', (-1, 3, 4)))
        )
        known = not (keypoints == -1).all()
        pose, vertices = self._posed(sequence, hand, keypoints, path) if known and hand.any() else (None, None)
        thing = self._grasped(sequence, poses, path)
        held = thing is not None and known and _is_near(thing, keypoints, vertices)
        depth = dataset_files.read_raw_image(folder / f'aligned_depth_to_color_{frame:06d}.png', _MEND, np.uint16, 1)
        return HandObjectSample(
            f'{sequence.folder}/{serial}/{frame:06d}',
            dataset_files.read_image(folder / f'color_{frame:06d}.jpg', _MEND),
            camera,
            sequence.side,
            keypoints if known else None,
            pose,
            np.array(sequence.shape),
            vertices,
            held=thing if held else None,
            depth=depth.astype(np.float32) * np.float32(1e-3),
        )

    def _posed(
        self, sequence: _Sequence, hand: np.ndarray, keypoints: np.ndarray, path: Path
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The pose relative to the flat hand, and the vertices; None without the model that they need."""
        if not self._spaces:
            return None, None
        pose = self._spaces[sequence.side].pose(hand[:48], principal=True)
        if not self._hands:
            return (pose, None) if sequence.side == 'right' else (None, None)
        geometry = self._hands[sequence.side].forward(pose, np.array(sequence.shape), hand[48:])
        if sequence.side == 'right':
            dataset_files.require_agreement(geometry.keypoints, keypoints, path)
        elif not dataset_files.agree(geometry.keypoints, keypoints):
            return None, None
        return pose, geometry.vertices

    def _grasped(self, sequence: _Sequence, poses: np.ndarray, path: Path) -> ObjectLabel | None:
        if len(poses) != len(sequence.objects):
            raise dataset_files.DatasetError(
                f'{path}: poses of {len(poses)} objects, expected {len(sequence.objects)} as in meta.yml. {_MEND}'
            )
        pose = poses[sequence.grasped]
        if not pose.any():
            return None
        name = OBJECTS[sequence.objects[sequence.grasped] - 1]
        vertices, faces = dataset_files.read_mesh(self._root / 'models' / name / 'textured_simple.obj', _MEND)
        return ObjectLabel(name, vertices, faces, dataset_files.rigid(pose[:, :3], pose[:, 3]))

    def _camera(self, serial: str) -> Pinhole:
        path = self._root / 'calibration' / 'intrinsics' / f'{serial}_{_WIDTH}x{_HEIGHT}.yml'
        colour = dataset_files.read_yaml(path, _MEND).get('color')
        try:
            return Pinhole(_WIDTH, _HEIGHT, *(float(colour[name]) for name in ('fx', 'fy', 'ppx', 'ppy')))
        except (TypeError, KeyError, ValueError) as error:
            raise dataset_files.DatasetError(
                f'{path}: no fx, fy, ppx and ppy under color ({error!r}). {_MEND}'
            ) from error

    def _sequence(self, folder: str) -> tuple[_Sequence, int]:
        """A sequence and its number of frames."""
        path = self._root / folder / 'meta.yml'
        meta = dataset_files.read_yaml(path, _MEND)
        try:
            side, frames, grasped = meta['mano_sides'][0], int(meta['num_frames']), int(meta['ycb_grasp_ind'])
            objects = tuple(int(number) for number in meta['ycb_ids'])
            known = all(0 < number <= len(OBJECTS) for number in objects) and 0 <= grasped < len(objects)
            if side not in ('left', 'right') or not known:
                raise ValueError(f'side {side!r}, objects {objects}, of which {grasped} is grasped')
            calibration = self._root / 'calibration' / f'mano_{meta["mano_calib"][0]}' / 'mano.yml'
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise dataset_files.DatasetError(
                f'{path}: not the mano_sides, mano_calib, num_frames, ycb_ids and ycb_grasp_ind of a sequence '
                f'({error!r}). {_MEND}'
            ) from error
        shape = dataset_files.numbers(dataset_files.read_yaml(calibration, _MEND), 'betas', (10,), calibration, _MEND)
        return _Sequence(folder, side, tuple(shape.tolist()), objects, grasped), frames


def _is_near(thing: ObjectLabel, keypoints: np.ndarray, vertices: np.ndarray | None) -> bool:
    points, limit = (keypoints, _NEAR + _UNDER_SKIN) if vertices is None else (vertices, _NEAR)
    return bool(cKDTree(thing.placed).query(points)[0].min() <= limit)


def split_of(setup: str, split: str) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The official split.

    Returns:
        Indices into SUBJECTS, into CAMERAS, and into a subject's 100 sequences sorted by name, of which each five in a
        row grasp the same object.
    """
    subjects, cameras, sequences = tuple(range(10)), tuple(range(8)), tuple(range(_SEQUENCES))
    if setup == 's0':
        last = tuple(number for number in sequences if number % 5 == 4)
        return {
            'train': (subjects, cameras, tuple(number for number in sequences if number % 5 != 4)),
            'val': ((0, 1), cameras, last),
            'test': (subjects[2:], cameras, last),
        }[split]
    if setup == 's1':
        return {'train': (0, 1, 2, 3, 4, 5, 9), 'val': (6,), 'test': (7, 8)}[split], cameras, sequences
    if setup == 's2':
        return subjects, {'train': cameras[:6], 'val': cameras[6:7], 'test': cameras[7:]}[split], sequences
    unseen = {'val': (3, 19), 'test': (7, 11, 15)}
    if split == 'train':
        left_out = unseen['val'] + unseen['test']
        return subjects, cameras, tuple(number for number in sequences if number // 5 not in left_out)
    return subjects, cameras, tuple(number for number in sequences if number // 5 in unseen[split])


def _mano_left(hand: HandModel) -> HandModel:
    return dataclasses.replace(
        hand.mirrored(),
        shape_basis=hand.shape_basis,
        joint_shape_basis=hand.joint_shape_basis,
        tip_shape_basis=hand.tip_shape_basis,
    )
