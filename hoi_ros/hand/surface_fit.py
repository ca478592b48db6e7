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
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import JOINT_PARENTS
from hoi_ros.hand.skeleton import KEYPOINT_SOURCES
from hoi_ros.hand.skeleton import TIP_JOINTS


@dataclasses.dataclass(frozen=True)
class SurfaceFitConfig:
    """How strongly the surface pulls. Lengths in metres."""

    steps: int = 3
    reach: float = 0.025
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
        self._influence = (model.weights @ carried.T.astype(np.float32))[:, 1:]
        moves = np.zeros((21, 16))
        for keypoint, source in enumerate(KEYPOINT_SOURCES):
            joint = TIP_JOINTS[source - 16] if source >= 16 else source
            moves[keypoint] = carried[:, joint]
            if source < 16:
                moves[keypoint, joint] = 0
        self._keypoint_influence = moves[:, 1:]
        self._joint_keypoints = [KEYPOINT_SOURCES.index(joint) for joint in range(16)]
        self._parents = np.array(JOINT_PARENTS[1:])
        # The stump of the wrist is where the forearm begins: points there say nothing about the hand.
        wrist = model.joints[0]
        palm = model.joints[[1, 4, 7, 10]].mean(0) - wrist
        along = (model.template - wrist) @ (palm / np.linalg.norm(palm))
        self._hand = along > 0.0
        self._source_joint = np.array([TIP_JOINTS[source - 16] if source >= 16 else source
                                       for source in KEYPOINT_SOURCES])
        points_basis = np.concatenate([model.joint_shape_basis, model.tip_shape_basis])
        self._keypoint_basis = points_basis[list(KEYPOINT_SOURCES)].astype(float)
        self._normals = vertex_normals(model.template.astype(float), model.faces)

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
            vertices, keypoints = geometry.vertices, geometry.keypoints
            distance, nearest = cKDTree(vertices).query(points, distance_upper_bound=config.reach)
            seen = np.flatnonzero(distance < config.reach)
            seen = seen[self._hand[nearest[seen]]]
            nearest = nearest[seen]
            rotations = geometry.transforms[:, :3, :3]
            blended = (model.weights[nearest] @ rotations.reshape(16, 9)).reshape(-1, 3, 3)
            normals = (blended @ self._normals[nearest][..., None])[..., 0]
            matched = vertices[nearest]
            # The camera sees only what faces it.
            facing = (normals * matched).sum(1) < 0
            seen, nearest, matched = seen[facing], nearest[facing], matched[facing]
            normals, blended = normals[facing], blended[facing]
            if len(seen) < 40:
                return fit
            gaps = ((points[seen] - matched) * normals).sum(1)
            pull = 1 / config.surface_noise ** 2 / (1 + (gaps / (2 * config.surface_noise)) ** 2) ** 2

            axes = rotations[self._parents] @ model.axes[1:]
            pivots = keypoints[self._joint_keypoints][1:]
            growth = self._growth(rotations)
            weighed = model.weights[nearest]
            carried = (weighed @ growth.reshape(16, 30)).reshape(-1, 3, 10)
            swelling = ((normals[:, None] @ blended) @ model.shape_basis[nearest] + normals[:, None] @ carried)[:, 0]
            along = np.concatenate([
                _motion_along(matched, normals, self._influence[nearest], axes, pivots, keypoints[0]), swelling], 1)
            carriers = self._source_joint
            bases = rotations[carriers] @ self._keypoint_basis + growth[carriers]
            flat = np.concatenate([np.concatenate([
                _motion_along(keypoints, np.broadcast_to(unit, (21, 3)), self._keypoint_influence, axes, pivots,
                              keypoints[0]), bases[:, axis]], 1) for axis, unit in enumerate(np.eye(3))])
            trust = np.tile(weights / config.keypoint_noise ** 2, 3)
            normal = along.T @ (along * pull[:, None]) + flat.T @ (flat * trust[:, None])
            right = along.T @ (pull * gaps) + flat.T @ (trust * (fit.keypoints - keypoints).T.ravel())
            angles = model.anatomical(pose)[1:]
            loose = np.concatenate([(start - angles).ravel(), fit.shape - shape])
            keep = np.repeat([config.angle_noise ** -2, config.shape_noise ** -2], [45, 10])
            normal[np.arange(6, 61), np.arange(6, 61)] += keep
            right[6:] += keep * loose
            normal[np.arange(61), np.arange(61)] *= 1.0001
            change = np.linalg.solve(normal, right)
            change[:51] = np.clip(change[:51], -0.4, 0.4)

            turned = Rotation.from_rotvec(change[:3]) * Rotation.from_rotvec(pose[:3])
            own = Rotation.from_rotvec((model.axes[1:] @ change[6:51].reshape(15, 3, 1))[..., 0])
            fingers = (own * Rotation.from_rotvec(pose[3:].reshape(15, 3))).as_rotvec()
            angles = np.clip((fingers[:, None] @ model.axes[1:])[:, 0], low, high)
            translation, shape = translation + change[3:6], np.clip(shape + change[51:], -3, 3)
            pose = np.concatenate([turned.as_rotvec(), (model.axes[1:] @ angles[..., None])[..., 0].ravel()])
        keypoints = model.forward(pose, shape, translation, vertices=False).keypoints
        return dataclasses.replace(fit, pose=pose.astype(np.float32), shape=shape.astype(np.float32),
                                   translation=translation.astype(np.float32), keypoints=keypoints.astype(np.float32))

    def _growth(self, rotations: np.ndarray) -> np.ndarray:
        """(16, 3, 10) what each joint adds to the motion of what it carries, per unit of shape: its own place moves
        with the bones before it, and the shape of what it carries counts from there."""
        basis = self._model.joint_shape_basis
        moved = [basis[0]]
        for joint in range(1, 16):
            parent = JOINT_PARENTS[joint]
            moved.append(moved[parent] + rotations[parent] @ (basis[joint] - basis[parent]))
        return np.stack(moved) - rotations @ basis


def _motion_along(points: np.ndarray, directions: np.ndarray, influence: np.ndarray, axes: np.ndarray,
                  pivots: np.ndarray, wrist: np.ndarray) -> np.ndarray:
    """(N, 51) motion of points (N, 3) along directions (N, 3) with the wrist's turn and place and with each angle of
    15 joints, from direction · (axis × lever) = axis · (lever × direction)."""
    turn = _cross(points - wrist, directions)
    levers = _cross(points[:, None] - pivots, directions[:, None])
    angles = (levers.transpose(1, 0, 2) @ axes).transpose(1, 0, 2) * influence[..., None]
    return np.concatenate([turn, directions, angles.reshape(len(points), 45)], 1)


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    a, b, c = first[..., 0], first[..., 1], first[..., 2]
    x, y, z = second[..., 0], second[..., 1], second[..., 2]
    return np.stack([b * z - c * y, c * x - a * z, a * y - b * x], -1)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals, each the mean of its triangles', weighted by their areas."""
    corners = vertices[faces]
    normals = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    summed = np.stack([np.bincount(faces.ravel(), np.repeat(normals[:, axis], 3), len(vertices))
                       for axis in range(3)], 1)
    return summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12)
