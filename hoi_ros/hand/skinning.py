# SPDX-License-Identifier: Apache-2.0
"""The skinned mesh of a hand in anatomical angles, with the derivatives that least-squares fits need."""

from __future__ import annotations

import dataclasses

import numpy as np

from hoi_ros.hand.articulation import ANGLES
from hoi_ros.hand.articulation import Articulated
from hoi_ros.hand.articulation import JOINTS
from hoi_ros.hand.articulation import PLACE
from hoi_ros.hand.articulation import SHAPE
from hoi_ros.hand.articulation import TURN
from hoi_ros.hand.articulation import UNKNOWNS
from hoi_ros.hand.model import CROSS
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import KEYPOINT_SOURCES
from hoi_ros.mesh.normals import vertex_normals

MOTION = SHAPE.start
"""The unknowns without the shape: turn, place and angles."""
_ORDER = np.concatenate([[0], JOINTS.ravel()])
"""The 16 joints in MANO's numbers, wrist first, then finger by finger, thumb to little."""
_JOINT_KEYPOINTS = np.array([KEYPOINT_SOURCES.index(joint) for joint in _ORDER])
"""The keypoint that stands on each of them."""
_PARENTS = np.where(np.arange(15) % 3, np.arange(15), 0)
"""The row in `_ORDER` of each finger joint's parent."""
_RANKS = np.argsort(_ORDER)[1:] - 1
"""The finger joints' rows after the wrist, in MANO's order."""
_NEXT, _LAST = [1, 2, 0], [2, 0, 1]
"""Rows of a cross product: next · last − last · next."""


@dataclasses.dataclass(frozen=True, slots=True)
class PosedSurface:
    """A posed mesh: vertices and normals (3, V), and the joints' rotations (16, 3, 3); the wrist first, then finger by
    finger."""

    vertices: np.ndarray
    normals: np.ndarray
    rotations: np.ndarray


class Skin:
    """The mesh of a hand model, its joints in `_ORDER`."""

    def __init__(self, model: HandModel) -> None:
        weights = model.weights[:, _ORDER].T.astype(float)
        self._weights = np.ascontiguousarray(weights)
        self._template = np.ascontiguousarray(model.template.T.astype(float))
        basis = model.shape_basis.astype(float)
        self._basis = np.ascontiguousarray(basis.swapaxes(0, 1).reshape(-1, 10))
        self._correctives = (
            None
            if model.pose_basis is None
            else np.ascontiguousarray(model.pose_basis.astype(float).swapaxes(0, 1).reshape(-1, 135))
        )
        self._joints = model.joints[_ORDER].astype(float)
        self._joint_basis = model.joint_shape_basis[_ORDER].astype(float)
        self._axes = np.ascontiguousarray(model.axes[JOINTS].astype(float).swapaxes(-1, -2))
        normals = vertex_normals(model.template.astype(float), model.faces)
        self._normals = np.ascontiguousarray(normals.T)
        # How far a vertex moves along its normal as the shape of its own surroundings changes.
        self._swelling = np.einsum('vi,vik->kv', normals, basis)
        # A finger joint moves what it and those beyond it carry; once for each of its three axes.
        carried = weights[1:].reshape(5, 3, -1)[:, ::-1].cumsum(1)[:, ::-1]
        self._influence = np.repeat(carried.reshape(15, -1), 3, 0)
        # The stump of the wrist is where the forearm begins: points there say nothing about the hand.
        wrist = model.joints[0]
        palm = model.joints[[1, 4, 7, 10]].mean(0) - wrist
        self.hand = (model.template - wrist) @ (palm / np.linalg.norm(palm)) > 0.0

    def posed(self, state: Articulated) -> PosedSurface:
        """The mesh of a posed skeleton."""
        rotations = np.empty((16, 3, 3))
        rotations[0] = state.turn
        np.matmul(state.frames[:, 1:], self._axes, out=rotations[1:].reshape(5, 3, 3, 3))
        transforms = np.empty((16, 3, 4))
        transforms[..., :3] = rotations
        joints = self._joints + self._joint_basis @ state.shape
        transforms[..., 3] = state.keypoints[_JOINT_KEYPOINTS] - (rotations @ joints[..., None])[..., 0]
        blended = (transforms.reshape(16, 12).T @ self._weights).reshape(3, 4, -1)
        rest = self._template + (self._basis @ state.shape).reshape(3, -1)
        if self._correctives is not None:
            own = rotations[_PARENTS].swapaxes(1, 2) @ rotations[1:] - np.eye(3)
            rest += (self._correctives @ own[_RANKS].ravel()).reshape(3, -1)
        linear = blended[:, :3]
        return PosedSurface(
            np.einsum('ikv,kv->iv', linear, rest) + blended[:, 3],
            np.einsum('ikv,kv->iv', linear, self._normals),
            rotations,
        )

    def along(self, surface: PosedSurface, state: Articulated, keypoints: np.ndarray, which: np.ndarray) -> np.ndarray:
        """(61, M) how far the unknowns move some vertices along their normals.

        Args:
            surface: the posed mesh.
            state: the posed skeleton.
            keypoints: (63, 61) its Jacobian.
            which: (M,) the vertices.
        """
        normals = surface.normals[:, which]
        result = np.empty((UNKNOWNS, len(which)))
        result[:MOTION] = self.motion(state, surface.vertices[:, which], normals, which)
        # The joints' own places move with the shape, and the shape of what they carry counts from there.
        growth = keypoints.reshape(21, 3, UNKNOWNS)[_JOINT_KEYPOINTS, :, SHAPE] - surface.rotations @ self._joint_basis
        carried = (self._weights[:, None, which] * normals).reshape(48, -1)
        np.matmul(growth.reshape(48, 10).T, carried, out=result[SHAPE])
        result[SHAPE] += self._swelling[:, which]
        return result

    def motion(self, state: Articulated, points: np.ndarray, directions: np.ndarray, which: np.ndarray) -> np.ndarray:
        """(51, M) how far turn, place and angles move some vertices along given directions.

        Args:
            state: the posed skeleton.
            points: (3, M) the vertices, metres.
            directions: (3, M) unit vectors.
            which: (M,) the vertices' numbers.
        """
        points = points - state.place[:, None]
        result = np.empty((MOTION, len(which)))
        np.multiply(points[_NEXT], directions[_LAST], out=result[TURN])
        result[TURN] -= points[_LAST] * directions[_NEXT]
        result[PLACE] = directions
        # direction · (axis × (point − pivot)) = axis · ((point − wrist) × direction) + (axis × (wrist − pivot)) ·
        # direction.
        axes = state.axes.reshape(15, 3, 3).swapaxes(1, 2)
        pivots = state.keypoints[_JOINT_KEYPOINTS[1:]] - state.place
        levers = np.concatenate([axes, axes @ (pivots @ CROSS).reshape(15, 3, 3).swapaxes(1, 2)], 2).reshape(45, 6)
        np.matmul(levers, result[:6], out=result[ANGLES])
        result[ANGLES] *= self._influence[:, which]
        return result
