# SPDX-License-Identifier: Apache-2.0
"""The hand's skeleton in anatomical angles, with the derivatives that least-squares fits need."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from hoi_ros.hand.model import CROSS
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import KEYPOINT_SOURCES

FINGERS = np.array(KEYPOINT_SOURCES[1:]).reshape(5, 4)
"""(5, 4) sources of the 20 keypoints beyond the wrist by finger and place; the first of each lies on the palm."""
JOINTS = FINGERS[:, :3]
"""(5, 3) the finger joints in MANO's order, thumb to little."""

UNKNOWNS = 61
TURN, PLACE, ANGLES, SHAPE = slice(0, 3), slice(3, 6), slice(6, 51), slice(51, 61)
"""The unknowns: turn and place of the wrist (3 each), angles (5 fingers, 3 joints, 3 axes), shape (10)."""

_CROSS_ROWS = np.ascontiguousarray(-CROSS.T, float)
_IDENTITIES = np.concatenate([np.eye(3), np.eye(3)], 1)


class Articulated(NamedTuple):
    """A posed skeleton, float64, in the frame of `place`.

    Attributes:
        turn: (3, 3) rotation of the wrist.
        place: (3,) wrist, metres.
        angles: (5, 3, 3) flexion, abduction and twist of the finger joints, radians.
        shape: (10,).
        keypoints: (21, 3) metres.
        frames: (5, 4, 3, 3) world orientation of the wrist and of the joints' anatomical axes, finger by finger.
        axes: (5, 3, 3, 3) columns: the axis about which the hand turns per radian of each angle.
    """

    turn: np.ndarray
    place: np.ndarray
    angles: np.ndarray
    shape: np.ndarray
    keypoints: np.ndarray
    frames: np.ndarray
    axes: np.ndarray


class Articulation:
    """The skeleton of one side of a hand model.

    Attributes:
        axes: (5, 3, 3, 3) anatomical axes of the finger joints at rest, as columns.
        connect: (5, 3, 3, 3) each joint's axes in those of the joint before it; in the wrist's frame for the first.
        low, high: (5, 3, 3) limits of the angles, radians.
        bones: (5, 4, 3) bones in the frame that carries them, metres; bones_basis (5, 4, 3, 10) per unit of shape.
        wrist, wrist_basis: (3,), (3, 10) wrist at rest and per unit of shape, metres.
    """

    def __init__(self, model: HandModel) -> None:
        """Takes a HandModel held in NumPy arrays, right or left."""
        joints = np.concatenate([model.joints, model.tips]).astype(float)
        basis = np.concatenate([model.joint_shape_basis, model.tip_shape_basis]).astype(float)
        self.wrist, self.wrist_basis = joints[0], basis[0]
        self.axes = model.axes[JOINTS].astype(float)
        self._transposed = np.ascontiguousarray(self.axes.swapaxes(-1, -2))
        self.connect = self.axes.copy()
        self.connect[:, 1:] = self._transposed[:, :-1] @ self.axes[:, 1:]
        limits = model.limits[JOINTS].astype(float)
        self.low, self.high = limits[..., 0].copy(), limits[..., 1].copy()

        # The palm's bones in the wrist's frame, the others in their joint's own.
        frames = np.concatenate([np.broadcast_to(np.eye(3), (5, 1, 3, 3)), self._transposed], 1)
        ends, ends_basis = joints[FINGERS], basis[FINGERS]
        starts = np.concatenate([np.broadcast_to(joints[0], (5, 1, 3)), ends[:, :3]], 1)
        starts_basis = np.concatenate([np.broadcast_to(basis[0], (5, 1, 3, 10)), ends_basis[:, :3]], 1)
        self.bones = (frames @ (ends - starts)[..., None])[..., 0]
        self.bones_basis = frames @ (ends_basis - starts_basis)

        self._jacobian_of_place = np.zeros((63, UNKNOWNS))
        self._jacobian_of_place[:, PLACE] = np.tile(np.eye(3), (21, 1))
        self._moves = np.triu(np.ones((3, 3)))[None, :, :, None]  # joint (row) moves keypoint (column)

    def angles_of(self, pose: np.ndarray) -> np.ndarray:
        """(48,) pose → (5, 3, 3) angles."""
        return (self._transposed @ pose.reshape(16, 3)[JOINTS][..., None].astype(float))[..., 0]

    def pose_of(self, state: Articulated) -> np.ndarray:
        """(48,) axis-angle pose, float32, radians."""
        pose = np.empty((16, 3), np.float32)
        pose[0] = cv2.Rodrigues(state.turn)[0][:, 0]
        pose[JOINTS] = (self.axes @ state.angles[..., None])[..., 0]
        return pose.reshape(48)

    def translation_of(self, state: Articulated) -> np.ndarray:
        """(3,) translation of `HandModel.forward`, float32, metres."""
        return (state.place - self.wrist - self.wrist_basis @ state.shape).astype(np.float32)

    def place_of(self, translation: np.ndarray, shape: np.ndarray) -> np.ndarray:
        """(3,) wrist of a hand with a translation (3,) and a shape (10,), metres: the inverse of `translation_of`."""
        return translation + self.wrist + self.wrist_basis @ shape

    def posed(self, turn: np.ndarray, place: np.ndarray, angles: np.ndarray, shape: np.ndarray) -> Articulated:
        """Poses the skeleton; the arguments as in `Articulated`."""
        local = self.connect @ exponential(angles)
        frames = np.empty((5, 4, 3, 3))
        frames[:, 0] = turn
        for level in range(3):
            np.matmul(frames[:, level], local[:, level, :, :3], out=frames[:, level + 1])
        bones = (frames @ (self.bones + self.bones_basis @ shape)[..., None])[..., 0]
        keypoints = np.empty((21, 3))
        keypoints[0] = place
        beyond = keypoints[1:].reshape(5, 4, 3)
        bones.cumsum(1, out=beyond)
        beyond += place
        return Articulated(turn, place, angles, shape, keypoints, frames, frames[:, :3] @ local[..., 3:])

    def jacobian(self, state: Articulated) -> np.ndarray:
        """(63, 61): the keypoints by the unknowns; the wrist turns by a small rotation in the world."""
        jacobian = self._jacobian_of_place.copy()
        beyond = jacobian[3:].reshape(5, 4, 3, UNKNOWNS)
        points = state.keypoints[1:].reshape(5, 4, 3)
        beyond[..., TURN] = ((state.place - points) @ CROSS).reshape(5, 4, 3, 3)
        (state.frames @ self.bones_basis).cumsum(1, out=beyond[..., SHAPE])

        # Each joint's axes in the world, crossed with the way from the joint to each keypoint that it moves:
        # arm (keypoint by z) times the axes' cross-product matrices (z by x and axis), finger by finger.
        arm = (points[:, None, 1:] - points[:, :3, None]) * self._moves
        moved = arm @ (_CROSS_ROWS @ state.axes).reshape(5, 3, 3, 9)
        own_finger = np.einsum('fkxfj->fkxj', beyond[:, 1:, :, ANGLES].reshape(5, 3, 3, 5, 9))
        own_finger.reshape(5, 3, 3, 3, 3)[...] = moved.reshape(5, 3, 3, 3, 3).transpose(0, 2, 3, 1, 4)
        return jacobian


def exponential(vectors: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3), radians → (..., 3, 6): rotation matrices beside left Jacobians of SO(3)."""
    squared = np.maximum((vectors * vectors).sum(-1), 1e-8)[..., None, None]
    angle = np.sqrt(squared)
    sine, cosine = np.sin(angle) / angle, (1 - np.cos(angle)) / squared
    cross = (vectors @ CROSS).reshape(*vectors.shape, 3)
    twice = cross @ cross
    result = np.empty((*vectors.shape, 6))
    np.add(sine * cross, cosine * twice, out=result[..., :3])
    np.add(cosine * cross, (1 - sine) / squared * twice, out=result[..., 3:])
    result += _IDENTITIES
    return result


def turned(turn: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """(3, 3) orientation turned by a rotation vector (3,), radians, about the world's axes."""
    return cv2.Rodrigues(vector)[0] @ turn
