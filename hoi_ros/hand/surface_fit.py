# SPDX-License-Identifier: Apache-2.0
"""Moves a fitted hand onto the surface that a depth camera observed: a few steps of articulated ICP.

After Tagliasacchi et al., "Robust Articulated-ICP for Real-Time Hand Tracking" (SGP 2015): observed points are
matched to the nearest point of the posed mesh and pulled along its normal, while the inferred joints keep the rest
in place. Pose and shape move.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from scipy.linalg.lapack import dposv

from hoi_ros.hand.articulation import ANGLES
from hoi_ros.hand.articulation import Articulated
from hoi_ros.hand.articulation import Articulation
from hoi_ros.hand.articulation import JOINTS
from hoi_ros.hand.articulation import PLACE
from hoi_ros.hand.articulation import SHAPE
from hoi_ros.hand.articulation import TURN
from hoi_ros.hand.articulation import turned
from hoi_ros.hand.articulation import UNKNOWNS
from hoi_ros.hand.fitting import HandFit
from hoi_ros.hand.model import CROSS
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import KEYPOINT_SOURCES
from hoi_ros.mesh.normals import vertex_normals

_FEWEST = 40
"""Below this number of points on the hand a fit stays as it is."""
_ORDER = np.concatenate([[0], JOINTS.ravel()])
"""The 16 joints in MANO's numbers, wrist first, then finger by finger, thumb to little."""
_JOINT_KEYPOINTS = np.array([KEYPOINT_SOURCES.index(joint) for joint in _ORDER])
"""The keypoint that stands on each of them."""
_PARENTS = np.where(np.arange(15) % 3, np.arange(15), 0)
"""The row in `_ORDER` of each finger joint's parent."""
_RANKS = np.argsort(_ORDER)[1:] - 1
"""The finger joints' rows after the wrist, in MANO's order."""
_BOUNDED, _LONGEST = slice(0, SHAPE.start), 0.4
"""A step changes the turn, the place and the angles by at most 0.4 radians or metres each."""
_NEXT, _LAST = [1, 2, 0], [2, 0, 1]
"""Rows of a cross product: next · last − last · next."""


@dataclasses.dataclass(frozen=True)
class SurfaceFitConfig:
    """How strongly the surface pulls. Lengths in metres."""

    steps: int = 2
    reach: float = 0.012
    """Observed points further than this from the mesh belong to something else."""
    surface_noise: float = 0.003
    """Standard deviation of an observed point about the mesh; further off, its pull fades."""
    keypoint_noise: float = 0.012
    """Standard deviation of a keypoint of weight 1 that the network inferred."""
    angle_noise: float = 0.25
    """Standard deviation of the joints' angles about those of the fit, radians."""
    shape_noise: float = 1.0
    """Standard deviation of the shape about that of the fit."""


class SurfaceFitter:
    """Refines fits of one side of a hand model."""

    def __init__(self, model: HandModel, config: SurfaceFitConfig | None = None) -> None:
        """Takes a HandModel held in NumPy arrays, right or left."""
        self._hand = Articulation(model)
        self._config = config = config or SurfaceFitConfig()
        self._skin = _Skin(model)
        self._prior = np.repeat([0.0, config.angle_noise**-2, config.shape_noise**-2], [6, 45, 10])

    def refine(self, fit: HandFit, weights: np.ndarray, points: np.ndarray) -> HandFit:
        """Moves a fit towards observed points.

        Args:
            fit: the start; the surface does not move its keypoints far.
            weights: (21,) of the keypoints, 0 to 1.
            points: (N, 3) metres, observed points about the hand, in the camera's frame.

        Returns:
            The refined fit; the same fit where fewer than 40 points lie on the hand.
        """
        hand, config = self._hand, self._config
        start, shape = hand.angles_of(fit.pose), fit.shape.astype(float)
        turn = cv2.Rodrigues(fit.pose[:3].astype(float))[0]
        state = hand.posed(turn, hand.place_of(fit.translation, shape), start, shape)
        trust = np.repeat(weights / config.keypoint_noise**2, 3)
        observed = np.ascontiguousarray(points.T, float)
        for _ in range(config.steps):
            surface = self._skin.posed(state)
            strength, push, count = self._matched(surface, observed)
            if count < _FEWEST:
                return fit
            flat = hand.jacobian(state)
            matched = np.flatnonzero(strength)
            along = self._skin.along(surface, state, flat, matched)
            rows = np.concatenate([along, flat.T], 1)
            normal = (rows * np.concatenate([strength[matched], trust])) @ rows.T
            right = along @ push[matched] + (trust * (fit.keypoints - state.keypoints).ravel()) @ flat
            right[ANGLES] += self._prior[ANGLES] * (start - state.angles).ravel()
            right[SHAPE] += self._prior[SHAPE] * (fit.shape - state.shape)
            diagonal = normal.ravel()[:: UNKNOWNS + 1]
            diagonal += self._prior
            diagonal *= 1.0001
            change = dposv(normal.T, right, overwrite_a=True)[1]
            change[_BOUNDED] = np.minimum(np.maximum(change[_BOUNDED], -_LONGEST), _LONGEST)
            angles = state.angles + change[ANGLES].reshape(5, 3, 3)
            state = hand.posed(
                turned(state.turn, change[TURN]),
                state.place + change[PLACE],
                np.minimum(np.maximum(angles, hand.low), hand.high),
                np.minimum(np.maximum(state.shape + change[SHAPE], -3), 3),
            )
        return dataclasses.replace(
            fit,
            pose=hand.pose_of(state),
            shape=state.shape.astype(np.float32),
            translation=hand.translation_of(state),
            keypoints=state.keypoints.astype(np.float32),
        )

    def _matched(self, surface: _Surface, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """The pull of points (3, N) on the vertices that are nearest to them.

        Returns:
            Its strength (V,) and its strength times the distance along the normal (V,), and the number of points.
        """
        config, skin = self._config, self._skin
        # The camera sees only what faces it.
        facing = np.flatnonzero(np.einsum('iv,iv->v', surface.vertices, surface.normals) < 0)
        nearest = facing[_nearest(points, surface.vertices[:, facing])]
        gaps = points - surface.vertices[:, nearest]
        near = np.flatnonzero((np.einsum('in,in->n', gaps, gaps) < config.reach**2) & skin.hand[nearest])
        nearest, gaps = nearest[near], gaps[:, near]
        along = np.einsum('in,in->n', gaps, surface.normals[:, nearest])
        fading = 1 + (along * (0.5 / config.surface_noise)) ** 2
        pull = (1 / config.surface_noise**2) / (fading * fading)
        count = surface.vertices.shape[1]
        return np.bincount(nearest, pull, count), np.bincount(nearest, pull * along, count), len(nearest)


def _nearest(points: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """(N,) the nearest of vertices (3, V) to points (3, N): |p − v|² − |p|² = |v|² − 2 p·v, as one product."""
    if not vertices.size or not points.size:
        return np.zeros(0, int)
    origin = vertices[:, :1]
    factors, terms = np.ones((points.shape[1], 4), np.float32), np.empty((4, vertices.shape[1]), np.float32)
    np.subtract(points.T, origin.T, out=factors[:, :3], casting='same_kind')
    np.subtract(vertices, origin, out=terms[:3], casting='same_kind')
    np.einsum('iv,iv->v', terms[:3], terms[:3], out=terms[3])
    terms[:3] *= -2
    return (factors @ terms).argmin(1)


@dataclasses.dataclass(frozen=True, slots=True)
class _Surface:
    """The posed mesh: vertices and normals (3, V), and the joints' rotations (16, 3, 3)."""

    vertices: np.ndarray
    normals: np.ndarray
    rotations: np.ndarray


class _Skin:
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

    def posed(self, state: Articulated) -> _Surface:
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
        return _Surface(
            np.einsum('ikv,kv->iv', linear, rest) + blended[:, 3],
            np.einsum('ikv,kv->iv', linear, self._normals),
            rotations,
        )

    def along(self, surface: _Surface, state: Articulated, keypoints: np.ndarray, which: np.ndarray) -> np.ndarray:
        """(61, M) how far the unknowns move some vertices along their normals.

        Args:
            surface: the posed mesh.
            state: the posed skeleton.
            keypoints: (63, 61) its Jacobian.
            which: (M,) the vertices.
        """
        points = surface.vertices[:, which] - state.place[:, None]
        normals = surface.normals[:, which]
        result = np.empty((UNKNOWNS, len(which)))
        np.multiply(points[_NEXT], normals[_LAST], out=result[TURN])
        result[TURN] -= points[_LAST] * normals[_NEXT]
        result[PLACE] = normals
        # normal · (axis × (point − pivot)) = axis · ((point − wrist) × normal) + (axis × (wrist − pivot)) · normal.
        axes = state.axes.reshape(15, 3, 3).swapaxes(1, 2)
        pivots = state.keypoints[_JOINT_KEYPOINTS[1:]] - state.place
        levers = np.concatenate([axes, axes @ (pivots @ CROSS).reshape(15, 3, 3).swapaxes(1, 2)], 2).reshape(45, 6)
        np.matmul(levers, result[:6], out=result[ANGLES])
        result[ANGLES] *= self._influence[:, which]
        # The joints' own places move with the shape, and the shape of what they carry counts from there.
        growth = keypoints.reshape(21, 3, UNKNOWNS)[_JOINT_KEYPOINTS, :, SHAPE] - surface.rotations @ self._joint_basis
        carried = (self._weights[:, None, which] * normals).reshape(48, -1)
        np.matmul(growth.reshape(48, 10).T, carried, out=result[SHAPE])
        result[SHAPE] += self._swelling[:, which]
        return result
