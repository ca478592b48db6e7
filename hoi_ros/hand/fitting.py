# SPDX-License-Identifier: Apache-2.0
"""21 keypoints → pose and shape of the hand model: closed form, then least squares under the limits."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import CROSS
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import KEYPOINT_NAMES
from hoi_ros.hand.skeleton import KEYPOINT_SOURCES

# The 20 keypoints beyond the wrist, as (finger, place along it); the first of each finger sits on the palm.
_FINGERS = np.array(KEYPOINT_SOURCES[1:]).reshape(5, 4)
_JOINTS = _FINGERS[:, :3]
_PALM = np.array([0, 1, 5, 9, 13, 17])
_BONES = np.array([(row - 1, row) for row in range(1, 21) if row not in _PALM])
_LENGTHS = np.concatenate([_BONES, _PALM[np.stack(np.triu_indices(6, 1), 1)]])

# The unknowns: turn and place of the wrist (3 each), angles (5 fingers, 3 joints, 3 axes), shape (10).
_TURN, _PLACE, _ANGLES, _SHAPE = slice(0, 3), slice(3, 6), slice(6, 51), slice(51, 61)
_UNKNOWNS = 61
_NEXT, _LAST = [1, 2, 0], [2, 0, 1]

_STEPS = 10
_LENGTH_NOISE = 0.004
_LEAST_NOISE = 0.0003
# Of three numbers a keypoint, pose and shape explain about 1.2: what is left of the noise is in the rest.
_FREE_NUMBERS = 1.8


@dataclasses.dataclass(frozen=True)
class HandFit:
    """The hand that explains a set of keypoints.

    Attributes:
        pose: (48,) axis-angle, radians, every finger joint inside the model's limits.
        shape: (10,).
        translation: (3,) metres.
        residual: mean distance between the given keypoints of non-zero weight and the fitted ones, metres.
        keypoints: (21, 3) of the fitted hand, metres.
    """

    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    residual: float
    keypoints: np.ndarray


@dataclasses.dataclass(frozen=True)
class _State:
    """A hand during the fit, with what its Jacobian needs: `before` and `after` are the world frames of the
    finger joints without and with their own rotation, `left` the left Jacobians of SO(3) of their angles."""

    turn: np.ndarray
    place: np.ndarray
    angles: np.ndarray
    shape: np.ndarray
    keypoints: np.ndarray
    before: np.ndarray
    after: np.ndarray
    left: np.ndarray


class HandFitter:
    """Fits one side of a hand model to 21 keypoints.

    The wrist's rotation comes from the palm (Kabsch 1976), the finger joints from the directions of their
    bones, the first shape from the lengths of the bones. Levenberg-Marquardt then minimises the weighted
    squared distances plus a Gaussian prior on shape and joint angles, which counts as much as the noise in
    the residual; joint limits are held by projection (Bertsekas, "Projected Newton methods for optimization
    problems with simple constraints", SIAM J. Control 20, 1982).
    """

    def __init__(self, model: HandModel) -> None:
        """Takes a HandModel held in NumPy arrays, right or left."""
        joints = np.concatenate([model.joints, model.tips]).astype(float)
        basis = np.concatenate([model.joint_shape_basis, model.tip_shape_basis]).astype(float)
        self._rest, self._rest_basis = joints[list(KEYPOINT_SOURCES)], basis[list(KEYPOINT_SOURCES)]
        self._axes = model.axes[_JOINTS].astype(float)
        self._connect = self._axes.copy()
        self._connect[:, 1:] = self._axes[:, :-1].swapaxes(-1, -2) @ self._axes[:, 1:]

        # Bones in the frame that carries them: the palm's in the wrist's, the others in their joint's own.
        frames = np.concatenate([np.broadcast_to(np.eye(3), (5, 1, 3, 3)), self._axes], 1).swapaxes(-1, -2)
        ends, ends_basis = joints[_FINGERS], basis[_FINGERS]
        starts = np.concatenate([np.broadcast_to(joints[0], (5, 1, 3)), ends[:, :3]], 1)
        starts_basis = np.concatenate([np.broadcast_to(basis[0], (5, 1, 3, 10)), ends_basis[:, :3]], 1)
        self._bones = (frames @ (ends - starts)[..., None])[..., 0]
        self._bones_basis = frames @ (ends_basis - starts_basis)

        spans = self._rest[_LENGTHS[:, 1]] - self._rest[_LENGTHS[:, 0]]
        spans_basis = self._rest_basis[_LENGTHS[:, 1]] - self._rest_basis[_LENGTHS[:, 0]]
        self._lengths = np.linalg.norm(spans, axis=1)
        self._lengths_basis = (spans[:, None] @ spans_basis)[:, 0] / self._lengths[:, None]

        limits = model.limits[_JOINTS].astype(float)
        self._low, self._high = limits[..., 0], limits[..., 1]
        spread = (self._high - self._low) * (1.0, 0.5, 0.5)
        self._mean = np.zeros(_UNKNOWNS)
        self._mean[_ANGLES] = np.clip(0, self._low, self._high).ravel()
        self._precision = np.zeros(_UNKNOWNS)
        self._precision[_ANGLES] = 1 / np.maximum(spread, 1e-3).ravel() ** 2
        self._precision[_SHAPE] = 1

        self._jacobian_of_place = np.zeros((63, _UNKNOWNS))
        self._jacobian_of_place[:, _PLACE] = np.tile(np.eye(3), (21, 1))
        self._moves = np.tril(np.ones((3, 3)))[None, :, :, None, None]  # joint (column) moves keypoint (row)

    def fit(self, keypoints: np.ndarray, weights: np.ndarray | None = None, initial: HandFit | None = None) -> HandFit:
        """Fits the hand.

        Args:
            keypoints: (21, 3) metres, in the order of KEYPOINT_NAMES, any frame of the hand's own handedness.
            weights: (21,) at least 0, the inverse of a keypoint's variance up to a common factor; 0 leaves
                the keypoint out.
            initial: the fit of the frame before. Its angles are the start where they explain the keypoints
                better than the closed form.

        Returns:
            The fit, float32, in the frame of the keypoints.

        Raises:
            ValueError: a shape is wrong, a number that counts is not finite, a weight is negative, or the
                palm's keypoints that count are fewer than three or lie on one point or line.
        """
        target, weights = _checked(keypoints, weights)
        shape = self._shape_of_lengths(target, weights) if initial is None else initial.shape.astype(float)
        turn, place = self._palm(target, weights, shape)
        state = self._closed_form(turn, place, shape, target, weights)
        error = _error(state, target, weights)
        if initial is not None:
            pose = initial.pose.reshape(16, 3)[_JOINTS][..., None].astype(float)
            angles = np.clip((self._axes.swapaxes(-1, -2) @ pose)[..., 0], self._low, self._high)
            warm = self._posed(turn, place, angles, shape)
            warm_error = _error(warm, target, weights)
            if warm_error < error:
                state, error = warm, warm_error
        state = self._refined(state, error, target, weights)

        pose = np.zeros((16, 3))
        pose[0] = Rotation.from_matrix(state.turn).as_rotvec()
        pose[_JOINTS] = (self._axes @ state.angles[..., None])[..., 0]
        distances = np.linalg.norm(state.keypoints - target, axis=1)[weights > 0]
        return HandFit(
            pose=pose.reshape(48).astype(np.float32),
            shape=state.shape.astype(np.float32),
            translation=(state.place - self._rest[0] - self._rest_basis[0] @ state.shape).astype(np.float32),
            residual=float(distances.mean()),
            keypoints=state.keypoints.astype(np.float32),
        )

    def _shape_of_lengths(self, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
        first, second = _LENGTHS.T
        spans = target[second] - target[first]
        longer = np.sqrt((spans * spans).sum(1)) - self._lengths
        weighted = self._lengths_basis.T * (weights[first] * weights[second])
        normal = weighted @ self._lengths_basis + _LENGTH_NOISE**2 * np.eye(10)
        return np.linalg.solve(normal, weighted @ longer)

    def _palm(self, target: np.ndarray, weights: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        share = weights[_PALM] / max(weights[_PALM].sum(), 1e-12)
        rest = self._rest[_PALM] + self._rest_basis[_PALM] @ shape
        rest_centre, centre = share @ rest, share @ target[_PALM]
        covariance = (target[_PALM] - centre).T @ ((rest - rest_centre) * share[:, None])
        left, spread, right = np.linalg.svd(covariance)
        if spread[1] < 1e-5:
            names = ', '.join(KEYPOINT_NAMES[row] for row in _PALM)
            raise ValueError(
                f'the palm has no direction: at least three of {names} must have a weight above '
                '0 and not lie on one point or line; leave this frame out'
            )
        left[:, 2] *= np.sign(np.linalg.det(left @ right))
        turn = left @ right
        return turn, centre + turn @ (self._rest[0] + self._rest_basis[0] @ shape - rest_centre)

    def _closed_form(
        self, turn: np.ndarray, place: np.ndarray, shape: np.ndarray, target: np.ndarray, weights: np.ndarray
    ) -> _State:
        points, seen = target[1:].reshape(5, 4, 3), weights[1:].reshape(5, 4) > 0
        observed = points[:, 1:] - points[:, :-1]
        lengths = np.sqrt((observed * observed).sum(-1, keepdims=True))
        observed = observed / np.maximum(lengths, 1e-9)
        seen = (seen[:, 1:] & seen[:, :-1])[..., None] & (lengths > 1e-6)
        bones = self._bones[:, 1:] + self._bones_basis[:, 1:] @ shape
        bones = bones / np.sqrt((bones * bones).sum(-1, keepdims=True))
        turned_over = (self._low + self._high)[..., :1] / 2 - np.pi

        angles = np.zeros((5, 3, 3))
        frame = turn
        for level in range(3):
            frame = frame @ self._connect[:, level]
            bone, wanted = bones[:, level], (observed[:, level, None] @ frame)[:, 0]
            axis = ((bone @ CROSS).reshape(5, 3, 3) @ wanted[..., None])[..., 0]
            sine = np.sqrt((axis * axis).sum(-1, keepdims=True))
            angle = np.arctan2(sine, (bone * wanted).sum(-1, keepdims=True))
            turned = axis * (angle / np.maximum(sine, 1e-9))
            # A joint bent back further than halfway is nearer to its limit the other way round.
            over = turned[:, :1] < turned_over[:, level]
            turned = np.where(over, turned * (1 - 2 * np.pi / np.maximum(angle, 1e-9)), turned)
            angles[:, level] = np.clip(turned * seen[:, level], self._low[:, level], self._high[:, level])
            frame = frame @ _exponential(angles[:, level])[0]
        return self._posed(turn, place, angles, shape)

    def _posed(self, turn: np.ndarray, place: np.ndarray, angles: np.ndarray, shape: np.ndarray) -> _State:
        rotations, left = _exponential(angles)
        before, after = np.empty((5, 3, 3, 3)), np.empty((5, 4, 3, 3))
        after[:, 0] = turn
        for level in range(3):
            before[:, level] = after[:, level] @ self._connect[:, level]
            after[:, level + 1] = before[:, level] @ rotations[:, level]
        bones = (after @ (self._bones + self._bones_basis @ shape)[..., None])[..., 0]
        keypoints = np.empty((21, 3))
        keypoints[0] = place
        keypoints[1:] = (place + bones.cumsum(1)).reshape(20, 3)
        return _State(turn, place, angles, shape, keypoints, before, after, left)

    def _jacobian(self, state: _State) -> np.ndarray:
        """(63, 61): the keypoints by the unknowns; the wrist turns by a small rotation in the world."""
        jacobian = self._jacobian_of_place.copy()
        beyond = jacobian[3:].reshape(5, 4, 3, _UNKNOWNS)
        points = state.keypoints[1:].reshape(5, 4, 3)
        beyond[..., _TURN] = ((state.place - points) @ CROSS).reshape(5, 4, 3, 3)
        beyond[..., _SHAPE] = (state.after @ self._bones_basis).cumsum(1)

        # Each joint's axes in the world, crossed with the way from the joint to each keypoint it moves.
        axes = (state.before @ state.left)[:, None]
        arm = (points[:, 1:, None] - points[:, None, :3])[..., None]
        moved = axes[..., _NEXT, :] * arm[..., _LAST, :] - axes[..., _LAST, :] * arm[..., _NEXT, :]
        own_finger = np.einsum('fkxfj->fkxj', beyond[:, 1:, :, _ANGLES].reshape(5, 3, 3, 5, 9))
        own_finger[...] = (moved * self._moves).swapaxes(2, 3).reshape(5, 3, 3, 9)
        return jacobian

    def _refined(self, state: _State, error: float, target: np.ndarray, weights: np.ndarray) -> _State:
        counted = np.count_nonzero(weights)
        rows = np.repeat(weights, 3)
        low, high = np.full(_UNKNOWNS, -np.inf), np.full(_UNKNOWNS, np.inf)
        low[_ANGLES], high[_ANGLES] = self._low.ravel(), self._high.ravel()
        unknowns = np.zeros(_UNKNOWNS)
        damping, accepted = 1e-3, True
        for _ in range(_STEPS):
            if accepted:
                unknowns[_ANGLES], unknowns[_SHAPE] = state.angles.ravel(), state.shape
                prior = max(error / (_FREE_NUMBERS * counted), _LEAST_NOISE**2) * self._precision
                off_mean = unknowns - self._mean
                cost = error + float(prior @ (off_mean * off_mean))
                jacobian = self._jacobian(state)
                weighted = jacobian.T * rows
                normal = weighted @ jacobian
                gradient = weighted @ (state.keypoints - target).ravel() + prior * off_mean
                held = ((unknowns <= low) & (gradient > 0)) | ((unknowns >= high) & (gradient < 0))
                gradient[held] = 0
                normal[held] = 0
                normal[:, held] = 0
                diagonal = normal.diagonal() + prior + held
            damped = normal.copy()
            damped.ravel()[:: _UNKNOWNS + 1] = diagonal * (1 + damping)
            step = np.linalg.solve(damped, -gradient)
            angles = np.clip(unknowns[_ANGLES] + step[_ANGLES], low[_ANGLES], high[_ANGLES]).reshape(5, 3, 3)
            trial = self._posed(
                _exponential(step[_TURN])[0] @ state.turn,
                state.place + step[_PLACE],
                angles,
                state.shape + step[_SHAPE],
            )
            off_mean[_ANGLES], off_mean[_SHAPE] = angles.ravel() - self._mean[_ANGLES], trial.shape
            trial_error = _error(trial, target, weights)
            trial_cost = trial_error + float(prior @ (off_mean * off_mean))
            accepted = trial_cost < cost
            if accepted:
                state, error, damping = trial, trial_error, damping / 10
                if trial_cost > 0.997 * cost:
                    break
            else:
                damping *= 10
        return state


def _checked(keypoints: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    keypoints = np.array(keypoints, float)
    if keypoints.shape != (21, 3):
        raise ValueError(f'keypoints have shape {keypoints.shape}, expected (21, 3), metres')
    weights = np.ones(21) if weights is None else np.asarray(weights, float)
    if weights.shape != (21,):
        raise ValueError(f'weights have shape {weights.shape}, expected (21,)')
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.max() > 0):
        raise ValueError(f'weights must be finite, at least 0 and not all 0, found {weights.tolist()}')
    unseen = weights == 0
    keypoints[unseen] = 0
    if not np.isfinite(keypoints).all():
        names = [KEYPOINT_NAMES[row] for row in np.flatnonzero(~np.isfinite(keypoints).all(1))]
        raise ValueError(f'keypoints {", ".join(names)} are not finite: give them weight 0 or leave this frame out')
    return keypoints, weights / weights.max()


def _error(state: _State, target: np.ndarray, weights: np.ndarray) -> float:
    off = state.keypoints - target
    return float(weights @ (off * off).sum(1))


def _exponential(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation vectors (..., 3) → rotation matrices and left Jacobians of SO(3), (..., 3, 3) each."""
    squared = np.maximum((vectors * vectors).sum(-1), 1e-8)[..., None, None]
    angle = np.sqrt(squared)
    cross = (vectors @ CROSS).reshape(*vectors.shape, 3)
    twice = cross @ cross
    sine, cosine = np.sin(angle) / angle, (1 - np.cos(angle)) / squared
    return (np.eye(3) + sine * cross + cosine * twice, np.eye(3) + cosine * cross + (1 - sine) / squared * twice)
