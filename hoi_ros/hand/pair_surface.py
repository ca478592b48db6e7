# SPDX-License-Identifier: Apache-2.0
"""Points on many right hands at once, posed from their vectors (`hoi_ros.hand.pair`), with their derivatives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hoi_ros.hand.articulation import exponential
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import POSE
from hoi_ros.hand.pair import ROTATION
from hoi_ros.hand.pair import rotation_of
from hoi_ros.hand.pair import SHAPE
from hoi_ros.hand.pair import SIZE
from hoi_ros.hand.skeleton import KEYPOINT_SOURCES
from hoi_ros.hand.skeleton import TIP_JOINTS
from hoi_ros.mesh.farthest_points import farthest_points
from hoi_ros.mesh.normals import vertex_normals

_CHAIN = 5, 3
"""Fingers and their joints, in the order of MANO."""


class PosedPoints(NamedTuple):
    """Points on B right hands, and what moves them; metres.

    Attributes:
        points: (B, N, 3) float32.
        normals: (B, M, 3) float32 of the vertices among them, outwards; nearly of unit length.
        rest: (B, N, 3) float32, on the shaped hand at rest.
        rotations: (B, 16, 3, 3) float32 of the joints.
        shifts: (B, 16, 3) float32: joint j takes a point x of the hand at rest to rotations[j] x + shifts[j].
        joints: (B, 16, 3) float32.
        turns: (B, 15, 3, 3) float32: the turn of each finger joint in the frame of the hand, by its axis-angle numbers.
        vectors: (B, 64).
    """

    points: np.ndarray
    normals: np.ndarray
    rest: np.ndarray
    rotations: np.ndarray
    shifts: np.ndarray
    joints: np.ndarray
    turns: np.ndarray
    vectors: np.ndarray


class PairSurface:
    """Vertices and keypoints of a right hand model.

    Args:
        model: a right hand.
        vertices: (M,) which vertices, all by default; the 21 keypoints follow them.

    Attributes:
        vertices: number of vertices among the points.
    """

    def __init__(self, model: HandModel, vertices: np.ndarray | None = None) -> None:
        which = np.arange(len(model.template)) if vertices is None else vertices
        sources = np.array(KEYPOINT_SOURCES)
        carriers = np.concatenate([np.arange(16), TIP_JOINTS])[sources]
        self.vertices = len(which)
        template = np.concatenate([model.template[which], np.concatenate([model.joints, model.tips])[sources]])
        self._template = np.ascontiguousarray(template.T)
        normals = vertex_normals(model.template, model.faces)[which]
        self._normals = np.ascontiguousarray(normals.T, np.float32)
        keypoint_basis = np.concatenate([model.joint_shape_basis, model.tip_shape_basis])[sources]
        basis = np.concatenate([model.shape_basis[which], keypoint_basis])
        self._basis = _flat(basis)
        weights = np.concatenate([model.weights[which], np.eye(16, dtype=np.float32)[carriers]])
        self._weights = np.ascontiguousarray(weights.T)
        self._joints = model.joints
        self._joint_basis = np.ascontiguousarray(model.joint_shape_basis.reshape(-1, 10).T)
        self._correctives = None
        if model.pose_basis is not None:
            fixed = np.zeros((21, 3, 135), np.float32)
            self._correctives = _flat(np.concatenate([model.pose_basis[which], fixed]))

    def posed(self, vectors: np.ndarray) -> PosedPoints:
        """Poses right hands (B, 64) in the frame of their vectors."""
        count = len(vectors)
        vectors = vectors.astype(np.float32)
        local = exponential(vectors[:, POSE].reshape(count, *_CHAIN, 3)).astype(np.float32)
        own, turning = local[..., :3], local[..., 3:]
        shape = vectors[:, SHAPE]
        joints = self._joints + (shape @ self._joint_basis).reshape(count, 16, 3)
        beyond = joints[:, 1:].reshape(count, *_CHAIN, 3)

        rotations, places = np.empty((count, 16, 3, 3), np.float32), np.empty((count, 16, 3), np.float32)
        turns = np.empty((count, *_CHAIN, 3, 3), np.float32)
        rotations[:, 0], places[:, 0] = rotation_of(vectors), vectors[:, PLACE]
        chain, placed = rotations[:, 1:].reshape(count, *_CHAIN, 3, 3), places[:, 1:].reshape(count, *_CHAIN, 3)
        before, at, from_joint = rotations[:, :1], places[:, :1], joints[:, :1]
        for level in range(_CHAIN[1]):
            bone = beyond[:, :, level] - from_joint
            placed[:, :, level] = at + (before @ bone[..., None])[..., 0]
            np.matmul(before, turning[:, :, level], out=turns[:, :, level])
            np.matmul(before, own[:, :, level], out=chain[:, :, level])
            before, at, from_joint = chain[:, :, level], placed[:, :, level], beyond[:, :, level]

        shifts = places - (rotations @ joints[..., None])[..., 0]
        rest = self._template + (shape @ self._basis).reshape(count, 3, -1)
        if self._correctives is not None:
            bent = (own - np.eye(3, dtype=np.float32)).reshape(count, 135)
            rest += (bent @ self._correctives).reshape(count, 3, -1)
        transforms = np.concatenate([rotations, shifts[..., None]], -1).reshape(count, 16, 12).swapaxes(1, 2)
        blended = (np.ascontiguousarray(transforms) @ self._weights).reshape(count, 3, 4, -1)
        points = _applied(blended, rest) + blended[:, :, 3]
        normals = _applied(blended[..., : self.vertices], self._normals)
        return PosedPoints(
            points.swapaxes(1, 2),
            normals.swapaxes(1, 2),
            rest.swapaxes(1, 2),
            rotations,
            shifts,
            places,
            turns.reshape(count, 15, 3, 3),
            vectors,
        )

    def rows(self, posed: PosedPoints, which: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """(B, P, 64) float32: how far each number of the vectors moves points along directions.

        The shape has no part in it: its columns are 0. Nor have pose correctives.

        Args:
            posed: of the hands.
            which: (B, P) the points.
            directions: (B, P, 3).
        """
        count, picked = which.shape
        # Arrays are (hand, joint, axis, point): each joint carries its share of each point.
        weights = self._weights[:, which].swapaxes(0, 1)[:, :, None]
        along = directions.astype(np.float32).swapaxes(1, 2)[:, None]
        rest = np.take_along_axis(posed.rest, which[..., None], 1).swapaxes(1, 2)
        carried = (posed.rotations.reshape(count, 48, 3) @ rest).reshape(count, 16, 3, picked)
        carried += posed.shifts[..., None]
        force = weights * along
        torque = _crossed(carried, along) * weights
        # A finger joint turns what it and the joints beyond it carry, and the wrist everything.
        for sums in (force, torque):
            fingers = sums[:, 1:].reshape(count, *_CHAIN, 3, picked)
            fingers[:, :, 1] += fingers[:, :, 2]
            fingers[:, :, 0] += fingers[:, :, 1]
            sums[:, 0] += fingers[:, :, 0].sum(1)
        torque -= _crossed(posed.joints[..., None], force)

        rows = np.zeros((count, picked, SIZE), np.float32)
        angles = posed.turns.swapaxes(-1, -2) @ torque[:, 1:]
        rows[..., POSE] = angles.reshape(count, 45, picked).swapaxes(1, 2)
        rows[..., ROTATION] = (six_numbers(posed.vectors) @ torque[:, 0]).swapaxes(1, 2)
        rows[..., PLACE] = directions
        return rows


def six_numbers(vectors: np.ndarray) -> np.ndarray:
    """(B, 6, 3) float32: the derivative of a function by the six numbers of the rotation of vectors (B, 64), from its
    derivative (B, 3) by a small turn of the wrist."""
    first, second = vectors[:, ROTATION][:, :3].astype(float), vectors[:, ROTATION][:, 3:].astype(float)
    axes = rotation_of(vectors)
    x, y, z = axes[..., 0], axes[..., 1], axes[..., 2]
    lengths = np.linalg.norm(first, axis=-1)[:, None, None]
    across = (second * y).sum(-1)[:, None, None]
    slant = (second * x).sum(-1)[:, None, None]
    by_second = z[..., None] * x[:, None] / across
    by_first = (y[..., None] * z[:, None] - z[..., None] * y[:, None] - slant * by_second) / lengths
    return np.concatenate([by_first, by_second], 1).astype(np.float32)


def spread_vertices(model: HandModel, count: int) -> np.ndarray:
    """At most `count` vertices of a hand model, each the farthest from those before, in ascending order."""
    return np.sort(farthest_points(model.template, count))


def _flat(basis: np.ndarray) -> np.ndarray:
    """(K, 3 N) of a basis (N, 3, K)."""
    return np.ascontiguousarray(basis.T.reshape(basis.shape[2], -1))


def _applied(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(B, 3, N) of matrices (B, 3, 3 or more, N), whose first three columns count, and vectors (B, 3, N) or (3, N)."""
    x, y, z = vectors[..., :1, :], vectors[..., 1:2, :], vectors[..., 2:, :]
    return matrices[:, :, 0] * x + matrices[:, :, 1] * y + matrices[:, :, 2] * z


def _crossed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cross products along the third axis of arrays (B, J, 3, P), broadcast against each other."""
    a, b, c = first[:, :, 0], first[:, :, 1], first[:, :, 2]
    x, y, z = second[:, :, 0], second[:, :, 1], second[:, :, 2]
    return np.stack([b * z - c * y, c * x - a * z, a * y - b * x], 2)
