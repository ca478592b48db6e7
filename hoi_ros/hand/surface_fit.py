# SPDX-License-Identifier: Apache-2.0
"""Moves a fitted hand onto the surface that the depth camera saw: a few steps of articulated ICP.

After Tagliasacchi et al., "Robust Articulated-ICP for Real-Time Hand Tracking" (SGP 2015): observed points are
matched to the nearest point of the posed mesh and pulled along its normal, while the joints that the network read
keep the rest in place. Pose and shape move.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hoi_ros.hand.fitting import HandFit
from hoi_ros.hand.model import CROSS
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import JOINT_PARENTS
from hoi_ros.hand.skeleton import KEYPOINT_SOURCES
from hoi_ros.hand.skeleton import TIP_JOINTS
from hoi_ros.mesh.normals import cross
from hoi_ros.mesh.normals import vertex_normals

# The unknowns: turn and place of the wrist (3 each), angles (15 joints, 3 axes), shape (10).
_OWN = np.arange(6, 61)
_EACH_AXIS = np.tile(np.eye(3), (21, 1))


@dataclasses.dataclass(frozen=True)
class SurfaceFitConfig:
    """How strongly the surface pulls. Lengths in metres."""

    steps: int = 3
    reach: float = 0.012
    """Observed points further than this from the mesh belong to something else."""
    surface_noise: float = 0.003
    """Standard deviation of an observed point about the mesh; further off, its pull fades."""
    keypoint_noise: float = 0.012
    """Standard deviation of a keypoint of weight 1 that the network read."""
    angle_noise: float = 0.25
    """Standard deviation of the joints' angles about those of the fit, radians."""
    shape_noise: float = 1.0
    """Standard deviation of the shape about that of the fit."""


class SurfaceFitter:
    """Refines fits of one side of a hand model."""

    def __init__(self, model: HandModel, config: SurfaceFitConfig | None = None) -> None:
        """Takes a HandModel held in NumPy arrays, right or left."""
        self._model = model
        self._config = config or SurfaceFitConfig()
        # carried[k, j]: joint j turns with joint k.
        carried = np.eye(16, dtype=bool)
        for joint in range(1, 16):
            carried[:, joint] |= carried[:, JOINT_PARENTS[joint]]
        self._weights, self._shape_basis = model.weights.astype(float), model.shape_basis.astype(float)
        # Once for each of a joint's three axes.
        self._influence = np.repeat((self._weights @ carried.T)[:, 1:], 3, 1)
        moves = np.zeros((21, 16))
        for keypoint, source in enumerate(KEYPOINT_SOURCES):
            joint = TIP_JOINTS[source - 16] if source >= 16 else source
            moves[keypoint] = carried[:, joint]
            if source < 16:
                moves[keypoint, joint] = 0
        self._keypoint_influence = np.repeat(np.repeat(moves[:, 1:], 3, 1), 3, 0)
        self._joint_keypoints = [KEYPOINT_SOURCES.index(joint) for joint in range(16)]
        self._parents = np.array(JOINT_PARENTS[1:])
        # The stump of the wrist is where the forearm begins: points there say nothing about the hand.
        wrist = model.joints[0]
        palm = model.joints[[1, 4, 7, 10]].mean(0) - wrist
        along = (model.template - wrist) @ (palm / np.linalg.norm(palm))
        self._hand = along > 0.0
        self._source_joint = np.array(
            [TIP_JOINTS[source - 16] if source >= 16 else source for source in KEYPOINT_SOURCES]
        )
        points_basis = np.concatenate([model.joint_shape_basis, model.tip_shape_basis])
        self._keypoint_basis = points_basis[list(KEYPOINT_SOURCES)].astype(float)
        self._normals = vertex_normals(model.template.astype(float), model.faces)
        self._keep = np.repeat([self._config.angle_noise**-2, self._config.shape_noise**-2], [45, 10])

    def refine(self, fit: HandFit, weights: np.ndarray, points: np.ndarray) -> HandFit:
        """Moves a fit towards observed points.

        Args:
            fit: where the hand is believed to be; its keypoints are what the surface must not carry away.
            weights: (21,) of the keypoints, 0 to 1.
            points: (N, 3) metres, observed points about the hand, seen from the origin.

        Returns:
            The refined fit; the same fit where fewer than 40 points lie on the hand.
        """
        model, config = self._model, self._config
        pose = fit.pose.astype(float)
        translation, shape = fit.translation.astype(float), fit.shape.astype(float)
        start = model.anatomical(pose)[1:]
        low, high = model.limits[1:, :, 0], model.limits[1:, :, 1]
        for _ in range(config.steps):
            geometry = model.forward(pose, shape, translation)
            vertices, keypoints = geometry.vertices.astype(float), geometry.keypoints.astype(float)
            rotations = geometry.transforms[:, :3, :3].astype(float)
            blended = (self._weights @ rotations.reshape(16, 9)).reshape(-1, 3, 3)
            normals = (blended @ self._normals[..., None])[..., 0]
            # The camera sees only what faces it.
            facing = np.flatnonzero((normals * vertices).sum(1) < 0)
            distance, nearest = cKDTree(vertices[facing]).query(points, distance_upper_bound=config.reach)
            seen = np.flatnonzero(distance < config.reach)
            nearest = facing[nearest[seen]]
            hand = self._hand[nearest]
            if hand.sum() < 40:
                return fit
            seen, nearest = seen[hand], nearest[hand]
            matched, weighed, blended, normals = (each[nearest] for each in (vertices, self._weights, blended, normals))
            gaps = ((points[seen] - matched) * normals).sum(1)
            pull = 1 / config.surface_noise**2 / (1 + (gaps / (2 * config.surface_noise)) ** 2) ** 2

            growth = self._growth(rotations)
            carried = (weighed @ growth.reshape(16, 30)).reshape(-1, 3, 10)
            swelling = ((normals[:, None] @ blended) @ self._shape_basis[nearest] + normals[:, None] @ carried)[:, 0]
            motion = _Motion(
                rotations[self._parents] @ model.axes[1:], keypoints[self._joint_keypoints[1:]], keypoints[0]
            )
            along = np.concatenate([motion.along(matched, normals, self._influence[nearest]), swelling], 1)
            bases = rotations[self._source_joint] @ self._keypoint_basis + growth[self._source_joint]
            flat = np.concatenate(
                [motion.along(np.repeat(keypoints, 3, 0), _EACH_AXIS, self._keypoint_influence), bases.reshape(63, 10)],
                1,
            )
            trust = np.repeat(weights / config.keypoint_noise**2, 3)
            normal = along.T @ (along * pull[:, None]) + flat.T @ (flat * trust[:, None])
            right = along.T @ (pull * gaps) + flat.T @ (trust * (fit.keypoints - keypoints).ravel())
            angles = model.anatomical(pose)[1:]
            loose = np.concatenate([(start - angles).ravel(), fit.shape - shape])
            normal[_OWN, _OWN] += self._keep
            right[6:] += self._keep * loose
            normal.ravel()[::62] *= 1.0001
            change = np.linalg.solve(normal, right)
            change[:51] = np.clip(change[:51], -0.4, 0.4)

            turns = np.concatenate([change[None, :3], (model.axes[1:] @ change[6:51].reshape(15, 3, 1))[..., 0]])
            turned = (Rotation.from_rotvec(turns) * Rotation.from_rotvec(pose.reshape(16, 3))).as_rotvec()
            angles = np.clip((turned[1:, None] @ model.axes[1:])[:, 0], low, high)
            translation, shape = translation + change[3:6], np.clip(shape + change[51:], -3, 3)
            pose = np.concatenate([turned[0], (model.axes[1:] @ angles[..., None])[..., 0].ravel()])
        keypoints = model.forward(pose, shape, translation, vertices=False).keypoints
        return dataclasses.replace(
            fit,
            pose=pose.astype(np.float32),
            shape=shape.astype(np.float32),
            translation=translation.astype(np.float32),
            keypoints=keypoints.astype(np.float32),
        )

    def _growth(self, rotations: np.ndarray) -> np.ndarray:
        """(16, 3, 10) what each joint adds to the motion of what it carries, per unit of shape: its own place moves
        with the bones before it, and the shape of what it carries counts from there."""
        basis = self._model.joint_shape_basis
        steps = rotations[self._parents] @ (basis[1:] - basis[self._parents])
        # The joints stand finger by finger, three in a chain.
        moved = basis[0] + steps.reshape(5, 3, 3, 10).cumsum(1).reshape(15, 3, 10)
        return np.concatenate([basis[:1], moved]) - rotations @ basis


class _Motion:
    """How points of the posed hand move with the wrist's turn and place and with each angle of 15 joints.

    Args:
        axes: (15, 3, 3) of the joints in the world, as columns.
        pivots: (15, 3) the joints' places.
        wrist: (3,) its place.
    """

    def __init__(self, axes: np.ndarray, pivots: np.ndarray, wrist: np.ndarray) -> None:
        self._wrist = wrist
        self._axes = axes.transpose(1, 0, 2).reshape(3, 45)
        reach = ((wrist - pivots) @ CROSS).reshape(15, 3, 3) @ axes
        self._reach = reach.transpose(1, 0, 2).reshape(3, 45)

    def along(self, points: np.ndarray, directions: np.ndarray, influence: np.ndarray) -> np.ndarray:
        """(N, 51) motion of points (N, 3) along directions (N, 3), each as much as its influence (N, 45) says:
        direction · (axis × (point − pivot)) = axis · (point × direction) − direction · (axis × pivot)."""
        turn = cross(points - self._wrist, directions)
        angles = turn @ self._axes - directions @ self._reach
        return np.concatenate([turn, directions, angles * influence], 1)
