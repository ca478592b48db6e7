# SPDX-License-Identifier: Apache-2.0
"""Hands with what they hold, moved and mirrored before a camera."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple
from typing import Protocol

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.articulation import JOINTS
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import mirror_pose
from hoi_ros.hand.poses import gesture_angles
from hoi_ros.hand.poses import GESTURES
from hoi_ros.hand.poses import sample_angles
from training.data.hand_object import ObjectLabel
from training.data.hand_object import Texture
from training.data.synthetic.scene_parts import SceneHand
from training.data.synthetic.two_hands.postures import PostureLibrary

_TRACKED = 0.5
"""Share of poses of real hands among those that are no gesture, where there are any."""


class Shape(Protocol):
    """A closed mesh: vertices (M, 3) metres in its own frame, faces (F, 3), the texture of a scanned one."""

    family: str
    vertices: np.ndarray
    faces: np.ndarray
    texture: Texture | None


class Grasp(Protocol):
    """A right hand at or near an object, in any frame, metres."""

    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    keypoints: np.ndarray
    vertices: np.ndarray
    object: Shape
    object_pose: np.ndarray
    contact: np.ndarray


class Grasps(Protocol):
    """A stream of grasps: index → grasp."""

    def __getitem__(self, index: int) -> Grasp: ...


class PlacedHand(NamedTuple):
    """A hand before the camera, the object it holds, and which of its vertices touch the object."""

    hand: SceneHand
    held: ObjectLabel | None
    contact: np.ndarray | None

    @property
    def points(self) -> np.ndarray:
        """(N, 3) vertices of the hand and of what it holds."""
        return np.concatenate([self.hand.vertices, self.held.placed]) if self.held else self.hand.vertices


class PosedHand(NamedTuple):
    """A hand and the object it holds, in any frame."""

    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    keypoints: np.ndarray
    vertices: np.ndarray
    held: ObjectLabel | None
    contact: np.ndarray | None

    def moved(self, turn: Rotation, centre: np.ndarray, side: str) -> PlacedHand:
        """Turned, with the mean of its keypoints at `centre`."""
        matrix = turn.as_matrix()
        shift = centre - matrix @ self.keypoints.mean(0)
        pose = self.pose.astype(np.float32).copy()
        pose[:3] = (turn * Rotation.from_rotvec(self.pose[:3])).as_rotvec()
        # The pose leaves the wrist in its rest place; the turn moves it.
        rest = self.keypoints[0] - self.translation
        translation = (matrix @ self.keypoints[0] + shift - rest).astype(np.float32)
        keypoints, vertices = (
            (points @ matrix.T + shift).astype(np.float32) for points in (self.keypoints, self.vertices)
        )
        held = self.held
        if held is not None:
            place = np.eye(4)
            place[:3, :3], place[:3, 3] = matrix, shift
            held = dataclasses.replace(held, pose=place @ held.pose)
        return PlacedHand(SceneHand(side, pose, self.shape, translation, keypoints, vertices), held, self.contact)

    def mirrored(self) -> PosedHand:
        """The mirror image, x → −x. A symmetric object with a texture is turned instead, so that its writing stays
        legible."""
        flip = np.array([-1, 1, 1], np.float32)
        held = self.held
        if held is not None:
            held = _mirrored(held, np.append(flip, 1))
        return PosedHand(
            mirror_pose(self.pose),
            self.shape,
            self.translation * flip,
            self.keypoints * flip,
            self.vertices * flip,
            held,
            self.contact,
        )


def _mirrored(held: ObjectLabel, signs: np.ndarray) -> ObjectLabel:
    texture = held.texture
    if texture is not None and texture.reflection is not None:
        return dataclasses.replace(held, pose=signs[:, None] * held.pose @ texture.reflection)
    return ObjectLabel(
        held.name,
        held.vertices * signs[:3],
        np.ascontiguousarray(held.faces[:, ::-1]),
        signs[:, None] * held.pose * signs,
        texture and texture.mirrored(),
    )


def free_angles(model: HandModel, rng: np.random.Generator, postures: PostureLibrary | None = None) -> np.ndarray:
    """Angles (16, 3) of a hand that holds nothing, as of `sample_angles`: within the joint limits, half of them those
    of real hands if there are `postures`."""
    if postures is None or rng.random() >= _TRACKED:
        return sample_angles(model, rng)
    angles = np.zeros((16, 3))
    angles[JOINTS] = postures.draw('any', rng)
    return angles


def free_hand(model: HandModel, rng: np.random.Generator, postures: PostureLibrary | None = None) -> PosedHand:
    """A right hand that holds nothing: a gesture in two of five cases, else `free_angles`."""
    if rng.random() < 0.4:
        names = list(GESTURES)
        angles = gesture_angles(model, names[rng.integers(len(names))])
    else:
        angles = free_angles(model, rng, postures)
    return empty_hand(model, angles, np.clip(rng.standard_normal(10), -2.5, 2.5).astype(np.float32))


def empty_hand(model: HandModel, angles: np.ndarray, shape: np.ndarray) -> PosedHand:
    """A right hand of angles (16, 3) and shape (10,) that holds nothing, at the origin."""
    pose = model.pose_of(angles).astype(np.float32)
    translation = np.zeros(3, np.float32)
    geometry = model.forward(pose, shape, translation)
    return PosedHand(pose, shape, translation, geometry.keypoints, geometry.vertices, None, None)


def posed_hand(grasp: Grasp) -> PosedHand:
    """The hand and the object of a grasp."""
    shape = grasp.object
    return PosedHand(
        grasp.pose,
        grasp.shape,
        grasp.translation,
        grasp.keypoints,
        grasp.vertices,
        ObjectLabel(shape.family, shape.vertices, shape.faces, grasp.object_pose, shape.texture),
        grasp.contact,
    )
