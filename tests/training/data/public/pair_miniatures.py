# SPDX-License-Identifier: Apache-2.0
"""Miniature folders of InterHand2.6M and ARCTIC, in the layouts, units and conventions of their makers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from hoi_ros.hand import HandModel
from hoi_ros.hand.model import mirror_pose
from training.hand.mano import PoseSpace

MIRROR = np.array([-1.0, 1.0, 1.0])
SEQUENCES = {'train': ['s01/box_grab_01', 's02/box_use_01'], 'val': ['s05/box_use_01'], 'test': ['s03/box_use_01']}
FRAMES = 3
ARTICULATION = 0.7
HALF = np.array([0.06, 0.05, 0.02])
"""Half the sides of each part of the box, metres."""


class Written(NamedTuple):
    """A hand as smplx poses it: pose (48,) about the flat hand, shape (10,) and translation (3,) metres."""

    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray


def hands_of(index: int) -> dict[str, Written]:
    """Two hands that face each other, in a world."""
    rng = np.random.default_rng(index)
    made = {}
    for side, x in (('right', 0.05), ('left', -0.05)):
        pose = rng.normal(0, 0.15, 48)
        pose[:3] = [0.1, -1.2, 0.2]
        place = np.array([x, 0.1, 0.8]) + rng.normal(0, 0.005, 3)
        made[side] = Written(pose if side == 'right' else mirror_pose(pose), rng.normal(0, 0.5, 10), place)
    return made


def convert(path: Path, space: PoseSpace) -> Path:
    """Writes the project's hand as a converted MANO with a pose space."""
    HandModel.load().save(path)
    with np.load(path) as file:
        np.savez(path, **file, pose_mean=space.mean, pose_components=space.components)
    return path


def about_mean(hand: Written, side: str, space: PoseSpace) -> np.ndarray:
    """(48,) the pose as the data sets write it; a joint has turned once more than it needs."""
    pose = hand.pose.copy()
    thumb = pose[39:42]
    thumb *= 1 - 2 * np.pi / np.linalg.norm(thumb)
    mean = space.mean if side == 'right' else space.mirrored().mean
    return np.concatenate([pose[:3], pose[3:] - mean])


def write_interhand(root: Path, space: PoseSpace) -> None:
    """Capture 2 has frames 9 and 10 of two hands, others of one hand, without parameters, or of an unsure kind."""
    for name, captures in (('train', ('2', '10')), ('val', ('0',)), ('test', ('0',))):
        hands: dict[str, Any] = {}
        joints: dict[str, Any] = {}
        for capture in captures:
            frames = {str(number): written(number, space) for number in (10, 9, 11, 12, 13)}
            frames['12']['left'] = None
            hands[capture] = frames
            kinds = {'11': 'right', '9': 'interacting', '10': 'interacting', '12': 'interacting', '13': 'interacting'}
            joints[capture] = {
                frame: {
                    'world_coord': np.zeros((42, 3)).tolist(),
                    'joint_valid': np.ones((42, 1)).tolist(),
                    'hand_type': kind,
                    'hand_type_valid': frame != '13',
                }
                for frame, kind in kinds.items()
            }
        folder = root / 'annotations' / name
        folder.mkdir(parents=True)
        (folder / f'InterHand2.6M_{name}_MANO_NeuralAnnot.json').write_text(json.dumps(hands))
        (folder / f'InterHand2.6M_{name}_joint_3d.json').write_text(json.dumps(joints))


def written(index: int, space: PoseSpace) -> dict[str, Any]:
    return {
        side: {
            'pose': about_mean(hand, side, space).tolist(),
            'shape': hand.shape.tolist(),
            'trans': hand.translation.tolist(),
        }
        for side, hand in hands_of(index).items()
    }


def object_pose(index: int) -> tuple[Rotation, np.ndarray]:
    """Rotation and translation, metres, of the object that the hands of a frame hold."""
    return Rotation.from_rotvec([0.2, 0.4 * index, -0.3]), np.array([0.01 * index, 0.1, 0.8])


def write_arctic(root: Path, space: PoseSpace) -> None:
    """A box of two parts, one upon the other along x, in all sequences; that of the test is not there."""
    parts = [trimesh.creation.box(2000 * HALF).apply_translation([x, 0, 0]) for x in (-60.0, 60.0)]
    folder = root / 'meta' / 'object_vtemplates' / 'box'
    folder.mkdir(parents=True)
    lines = [f'v {x} {y} {z}' for part in parts for x, y, z in part.vertices]
    lines += ['f {} {} {}'.format(*(face + 1 + 8 * number)) for number, part in enumerate(parts) for face in part.faces]
    (folder / 'mesh.obj').write_text('\n'.join(lines) + '\n')
    (folder / 'parts.json').write_text(json.dumps([1] * 8 + [0] * 8))
    splits = root / 'splits_json'
    splits.mkdir()
    for setup in ('p1', 'p2'):
        (splits / f'protocol_{setup}.json').write_text(json.dumps(SEQUENCES))
    for number, name in enumerate([*SEQUENCES['train'], *SEQUENCES['val']]):
        write_sequence(root / 'raw_seqs' / name, space, FRAMES * number)


def write_sequence(path: Path, space: PoseSpace, first: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    hands = [hands_of(first + number) for number in range(FRAMES)]
    labels = {}
    for side in ('right', 'left'):
        poses = np.array([about_mean(hand[side], side, space) for hand in hands], np.float32)
        labels[side] = {
            'rot': poses[:, :3],
            'pose': poses[:, 3:],
            'trans': np.array([hand[side].translation for hand in hands], np.float32),
            'shape': hands[0][side].shape.astype(np.float32),
            'fitting_err': [0.0] * FRAMES,
        }
    np.save(path.with_name(f'{path.name}.mano.npy'), labels, allow_pickle=True)
    rows = []
    for number in range(FRAMES):
        turn, shift = object_pose(first + number)
        rows.append([ARTICULATION, *turn.as_rotvec(), *(1000 * shift)])
    np.save(path.with_name(f'{path.name}.object.npy'), np.array(rows))
