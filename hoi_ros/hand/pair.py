# SPDX-License-Identifier: Apache-2.0
"""Two hands as vectors of 64 numbers each, the variables of the two-hand prior (InterHandGen, equation 5).

A vector holds the pose of the fingers (45), the shape (10), the rotation of the wrist in six numbers (the first two
columns of its matrix, Zhou et al., CVPR 2019) and the place of the wrist joint (3). The fingers of both sides are
written as those of a right hand; rotation and place are the hand's own, in a frame that both share: that of the left
hand's wrist, or an object's. So the mirror image of a pair swaps the two and turns their wrists only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import mirror_pose
from hoi_ros.mesh.normals import cross

SIZE = 64
POSE, SHAPE, ROTATION, PLACE = slice(0, 45), slice(45, 55), slice(55, 61), slice(61, 64)
ROOT = slice(55, 64)
"""Rotation and place."""
_MIRROR = np.array([-1, 1, 1], np.float32)


class HandParameters(NamedTuple):
    """The arguments of `HandModel.forward`: pose (..., 48), shape (..., 10) and translation (..., 3)."""

    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray


def vector_of(model: HandModel, hand: HandParameters) -> np.ndarray:
    """The vector (..., 64) float32 of a hand, in the frame of its translation.

    Args:
        model: of its side.
        hand: its parameters in that frame.
    """
    pose = hand.pose if model.side == 'right' else mirror_pose(hand.pose)
    rotation = Rotation.from_rotvec(hand.pose[..., :3].reshape(-1, 3)).as_matrix()
    six = rotation[..., :2].swapaxes(-1, -2).reshape(*hand.pose.shape[:-1], 6)
    wrist = hand.translation + model.wrist(hand.shape)
    return np.concatenate([pose[..., 3:], hand.shape, six, wrist], -1).astype(np.float32)


def parameters_of(model: HandModel, vector: np.ndarray) -> HandParameters:
    """The parameters of a hand from its vector (..., 64): the inverse of `vector_of`."""
    turned = Rotation.from_matrix(rotation_of(vector).reshape(-1, 3, 3)).as_rotvec().reshape(*vector.shape[:-1], 3)
    fingers = np.concatenate([turned, vector[..., POSE]], -1)
    own = (fingers if model.side == 'right' else mirror_pose(fingers))[..., 3:]
    translation = vector[..., PLACE] - model.wrist(vector[..., SHAPE])
    return HandParameters(
        np.concatenate([turned, own], -1).astype(np.float32),
        vector[..., SHAPE].astype(np.float32),
        translation.astype(np.float32),
    )


def rotation_of(vector: np.ndarray) -> np.ndarray:
    """(..., 3, 3) rotation of the wrist of a vector (..., 64); the six numbers need not be orthonormal."""
    six = vector[..., ROTATION].astype(float)
    first = _unit(six[..., :3])
    second = six[..., 3:] - (first * six[..., 3:]).sum(-1, keepdims=True) * first
    second = _unit(second)
    return np.stack([first, second, cross(first, second)], -1)


def with_root(vector: np.ndarray, rotation: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The vector (..., 64) with another rotation (..., 3, 3) and place (..., 3) of its wrist."""
    six = rotation[..., :2].swapaxes(-1, -2).reshape(*rotation.shape[:-2], 6)
    return np.concatenate([vector[..., : ROOT.start], six, place], -1).astype(np.float32)


def in_frame(vector: np.ndarray, rotation: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """The vector (..., 64) in a frame whose axes are the columns of `rotation` (..., 3, 3) and whose origin is `origin`
    (..., 3), both in the vector's present frame."""
    back = rotation.swapaxes(-1, -2)
    place = (back @ (vector[..., PLACE] - origin)[..., None])[..., 0]
    return with_root(vector, back @ rotation_of(vector), place)


def out_of_frame(vector: np.ndarray, rotation: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """The inverse of `in_frame`: takes the vector (..., 64) out of a frame that is given in the same way."""
    place = (rotation @ vector[..., PLACE, None])[..., 0] + origin
    return with_root(vector, rotation @ rotation_of(vector), place)


def orthonormal(vector: np.ndarray) -> np.ndarray:
    """The vector (..., 64) whose six numbers are columns of a rotation matrix."""
    return with_root(vector, rotation_of(vector), vector[..., PLACE])


def about_anchor(other: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """The vector (..., 64) of a hand in the frame of the wrist of another, the anchor (..., 64)."""
    return in_frame(other, rotation_of(anchor), anchor[..., PLACE])


def anchored(anchor: np.ndarray) -> np.ndarray:
    """The anchor (..., 64) in the frame of its own wrist: rotation and place are the identity and zero."""
    return with_root(anchor, np.broadcast_to(np.eye(3), (*anchor.shape[:-1], 3, 3)), np.zeros_like(anchor[..., PLACE]))


def mirrored(vector: np.ndarray) -> np.ndarray:
    """The vector (..., 64) of the mirror image, x → −x, a hand of the other side: Γ of InterHandGen, equation 10."""
    turned = _MIRROR[:, None] * rotation_of(vector) * _MIRROR
    return with_root(vector, turned, vector[..., PLACE] * _MIRROR)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.sqrt((vectors * vectors).sum(-1, keepdims=True)), 1e-9)
