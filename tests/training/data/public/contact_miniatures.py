# SPDX-License-Identifier: Apache-2.0
"""Miniature folders of ContactPose and ContactOpt, in the layouts, units, axes and orders of their makers."""

from __future__ import annotations

import dataclasses
import json
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from hoi_ros.hand import HandModel
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.raycast import TriangleScene
from training.data.synthetic.contact import ContactGrasps
from training.hand.mano import PoseSpace

MIRROR = np.array([-1.0, 1.0, 1.0])
SEEN = 20
"""Every so many vertices are black: no camera saw them."""
HAND_FRAME = Rotation.from_rotvec([0.3, -0.5, 0.8]), np.array([0.1, -0.2, 0.05])
"""Takes points of the object to the frame of a moving hand."""


@dataclasses.dataclass(frozen=True)
class Held:
    """A right hand that holds an object, in the object's frame, metres, and the heat (M,) of the object's vertices."""

    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    keypoints: np.ndarray
    vertices: np.ndarray
    mesh: trimesh.Trimesh
    heat: np.ndarray

    @property
    def contact(self) -> np.ndarray:
        """(M,) the sigmoid of the data set: 0.05 at the least heat of a seen vertex, 0.95 at the greatest; 0 unseen."""
        seen = self.heat > 0
        low, high = self.heat[seen].min(), self.heat[seen].max()
        logit = np.log(19) * (2 * (self.heat - low) / (high - low) - 1)
        return np.where(seen, 1 / (1 + np.exp(-logit)), 0)


def held_object(hand: HandModel, index: int = 1) -> Held:
    """A made grasp: a vertex is the hotter the nearer the hand is, in steps of a grey picture."""
    stream = ContactGrasps(3, 'train', hand=hand)
    record, mesh = stream[index], stream.mesh(index)
    vertices, faces = trimesh.remesh.subdivide_to_size(mesh.vertices, mesh.faces, 0.006, max_iter=20)
    geometry = hand.forward(record['pose'], record['shape'], record['translation'])
    gap = TriangleScene(geometry.vertices, hand.faces).distances(vertices)
    # At TOUCHING the sigmoid gives 0.4.
    heat = np.clip(0.8 - 0.4 * gap / TOUCHING, 0.1, 0.8)
    heat = np.round(255 * heat) / 255
    heat[::SEEN] = 0
    parts = (record[name].astype(float) for name in ('pose', 'shape', 'translation'))
    solid = trimesh.Trimesh(vertices, faces, process=False)
    return Held(*parts, geometry.keypoints.astype(float), geometry.vertices, solid, heat)


def write_grasp(
    folder: Path, held: Held, sides: tuple[str, ...] = ('right',), moving: bool = False, space: PoseSpace | None = None
) -> None:
    """Writes a grasp of ContactPose.

    Args:
        folder: named as the object.
        held: the right hand; where it is absent, the left hand is its mirror image and holds the mirrored object; where
            both are present, the left hand is the mirror image of the right one across the object's middle.
        sides: of the hands that are there.
        moving: whether the right hand moves, so that its joints are in its own frame.
        space: MANO's; with it the MANO fit of the right hand is written too.
    """
    folder.mkdir(parents=True)
    flip = MIRROR if sides == ('left',) else np.ones(3)
    grey = np.repeat(np.round(255 * held.heat).astype(np.uint8)[:, None], 3, 1)
    faces = held.mesh.faces[:, ::-1] if sides == ('left',) else held.mesh.faces
    coloured = trimesh.Trimesh(held.mesh.vertices * flip, faces, vertex_colors=grey, process=False)
    coloured.export(folder / f'{folder.name}.ply')
    turn, shift = HAND_FRAME
    joints = {'right': turn.apply(held.keypoints) + shift if moving else held.keypoints}
    joints['left'] = (held.keypoints - left_offset(held, sides)) * MIRROR
    still = {'translation': [0, 0, 0], 'rotation': [1, 0, 0, 0]}
    quaternion = np.roll(turn.as_quat(), 1)
    moved = {'translation': shift.tolist(), 'rotation': quaternion.tolist()}
    frames = [{'hTo': [still, still]}, {'hTo': [still, moved if moving else still]}, {'hTo': [still, still]}]
    hands: list[dict[str, Any]] = [{'valid': False} for _ in range(2)]
    for number, side in enumerate(('left', 'right')):
        if side in sides:
            own = moving and side == 'right'
            hands[number] = {'valid': True, 'moving': own, 'joints': joints[side].tolist()}
    labels = {'frames': frames, 'cameras': {'kinect2_left': {'valid': True}}, 'hands': hands}
    (folder / 'annotations.json').write_text(json.dumps(labels))
    if space is not None:
        fits: list[dict[str, Any]] = [{'valid': False}, mano_fit(held, space, moving)]
        (folder / 'mano_fits_15.json').write_text(json.dumps(fits))


def left_offset(held: Held, sides: tuple[str, ...]) -> np.ndarray:
    """Where the plane lies across which a left hand is the mirror image of the right one: x is twice its place."""
    middle = held.mesh.bounds.mean(0)[0] if 'right' in sides else 0.0
    return np.array([2 * middle, 0, 0])


def mano_fit(held: Held, space: PoseSpace, moving: bool) -> dict[str, Any]:
    """The hand as ContactPose writes it, in MANO's frame about the origin, with 15 of 45 components."""
    hand, turn = HandModel.load(), Rotation.from_rotvec([-0.4, 0.2, 0.6])
    wrist = hand.wrist(held.shape)
    # mTc takes the frame of the joints to that of MANO, whose wrist stays where it is at rest.
    shift = wrist - turn.apply(wrist + held.translation)
    pose = (turn * Rotation.from_rotvec(held.pose[:3])).as_rotvec()
    coefficients = ((held.pose[3:] - space.mean) @ space.components.T)[:15]
    if moving:
        back = turn * HAND_FRAME[0].inv()
        turn, shift = back, shift - back.apply(HAND_FRAME[1])
    rotation = np.roll(turn.as_quat(), 1)
    return {
        'valid': True,
        'pose': [*pose.tolist(), *coefficients.tolist()],
        'betas': held.shape.tolist(),
        'mTc': {'translation': shift.tolist(), 'rotation': rotation.tolist()},
    }


def write_contactopt(path: Path, held: Held, offset: np.ndarray) -> None:
    """One grasp with two copies of the hand that are perturbed by an offset (3,) and by twice as much."""
    module, package = types.ModuleType('contactopt.hand_object'), types.ModuleType('contactopt')
    kind = type('HandObject', (), {'__module__': module.__name__})
    module.HandObject = kind  # type: ignore[attr-defined]
    sys.modules.update({'contactopt': package, module.__name__: module})

    def hand_object(moved: np.ndarray, **more: Any) -> Any:
        made = kind()
        transform = np.eye(4)
        transform[:3, 3] = moved
        made.__dict__.update(
            is_left=False,
            hand_beta=held.shape,
            hand_pose=np.zeros(18),
            hand_mTc=transform,
            hand_contact=None,
            hand_verts=(held.vertices + moved).astype(np.float32),
            hand_joints=(held.keypoints + moved).astype(np.float32),
            obj_verts=np.asarray(held.mesh.vertices, np.float32),
            obj_faces=np.asarray(held.mesh.faces, np.int32),
            obj_contact=held.contact[:, None].astype(np.float32),
            path=None,
            **more,
        )
        return made

    try:
        truth = hand_object(np.zeros(3), obj_normals=None)
        samples = [
            {
                'ho_gt': truth,
                'ho_aug': hand_object(times * offset, obj_normals=np.zeros((4, 3), np.float32)),
                'obj_sampled_idx': np.arange(2048),
                'hand_feats_aug': np.zeros((778, 25)),
                'obj_feats_aug': np.zeros((2048, 25)),
            }
            for times in (1, 2)
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(samples, 4))
    finally:
        for name in ('contactopt', module.__name__):
            sys.modules.pop(name, None)
