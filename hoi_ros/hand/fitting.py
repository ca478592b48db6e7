# SPDX-License-Identifier: Apache-2.0
"""21 keypoints → pose and shape of the hand model: closed form, then least squares under the limits."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.linalg.lapack import dposv

from hoi_ros.hand.articulation import ANGLES
from hoi_ros.hand.articulation import Articulated
from hoi_ros.hand.articulation import Articulation
from hoi_ros.hand.articulation import exponential
from hoi_ros.hand.articulation import PLACE
from hoi_ros.hand.articulation import SHAPE
from hoi_ros.hand.articulation import TURN
from hoi_ros.hand.articulation import turned
from hoi_ros.hand.articulation import UNKNOWNS
from hoi_ros.hand.model import CROSS
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import KEYPOINT_NAMES
from hoi_ros.hand.skeleton import KEYPOINT_SOURCES

_PALM = np.array([0, 1, 5, 9, 13, 17])
_BONES = np.array([(row - 1, row) for row in range(1, 21) if row not in _PALM])
_LENGTHS = np.concatenate([_BONES, _PALM[np.stack(np.triu_indices(6, 1), 1)]])

_STEPS = 10
"""Levenberg-Marquardt steps at most, by default."""
_CONVERGED = 0.8
"""The fit ends when a step leaves more than this share of the cost."""
_NEAR = 0.01
"""Root mean square distance below which the angles of the frame before are the start, metres."""
_LENGTH_NOISE = 0.004
"""Standard deviation of the distance between two keypoints, metres."""
_LEAST_NOISE = 0.0003
"""Lowest standard deviation of a keypoint's coordinate, metres."""
_FREE_NUMBERS = 1.8
"""Share of a keypoint's three numbers that pose and shape do not explain, in numbers."""


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


class HandFitter:
    """Fits one side of a hand model to 21 keypoints.

    Attributes:
        articulation: the skeleton that it poses.

    The wrist's rotation comes from the palm (Kabsch 1976), the finger joints from the directions of their
    bones, the first shape from the lengths of the bones. Levenberg-Marquardt then minimises the weighted
    squared distances plus a Gaussian prior on shape and joint angles, which counts as much as the noise in
    the residual; joint limits are held by projection (Bertsekas, "Projected Newton methods for optimization
    problems with simple constraints", SIAM J. Control 20, 1982).
    """

    def __init__(self, model: HandModel) -> None:
        """Takes a HandModel held in NumPy arrays, right or left."""
        self.articulation = hand = Articulation(model)
        joints = np.concatenate([model.joints, model.tips]).astype(float)
        basis = np.concatenate([model.joint_shape_basis, model.tip_shape_basis]).astype(float)
        rest, rest_basis = joints[list(KEYPOINT_SOURCES)], basis[list(KEYPOINT_SOURCES)]
        self._palm_rest, self._palm_basis = rest[_PALM], rest_basis[_PALM]

        spans = rest[_LENGTHS[:, 1]] - rest[_LENGTHS[:, 0]]
        spans_basis = rest_basis[_LENGTHS[:, 1]] - rest_basis[_LENGTHS[:, 0]]
        self._lengths = np.linalg.norm(spans, axis=1)
        self._lengths_basis = (spans[:, None] @ spans_basis)[:, 0] / self._lengths[:, None]

        self._turned_over = (hand.low + hand.high)[..., :1] / 2 - np.pi
        spread = (hand.high - hand.low) * (1.0, 0.5, 0.5)
        self._lowest, self._highest = np.full(UNKNOWNS, -np.inf), np.full(UNKNOWNS, np.inf)
        self._lowest[ANGLES], self._highest[ANGLES] = hand.low.ravel(), hand.high.ravel()
        self._mean = np.zeros(UNKNOWNS)
        self._mean[ANGLES] = np.clip(0, hand.low, hand.high).ravel()
        self._precision = np.zeros(UNKNOWNS)
        self._precision[ANGLES] = 1 / np.maximum(spread, 1e-3).ravel() ** 2
        self._precision[SHAPE] = 1

    def fit(
        self,
        keypoints: np.ndarray,
        weights: np.ndarray | None = None,
        initial: HandFit | None = None,
        steps: int | None = None,
    ) -> HandFit:
        """Fits the hand.

        Args:
            keypoints: (21, 3) metres, in the order of KEYPOINT_NAMES, any frame of the hand's own handedness.
            weights: (21,) at least 0, the inverse of a keypoint's variance up to a common factor; 0 leaves
                the keypoint out.
            initial: the fit of the frame before. Its angles are the start where they lie near the keypoints
                or explain them better than the closed form.
            steps: of the least squares at most, by default until it converges; fewer stay closer to the start.

        Returns:
            The fit, float32, in the frame of the keypoints.

        Raises:
            ValueError: a shape is wrong, a number that counts is not finite, a weight is negative, or the
                palm's keypoints that count are fewer than three or lie on one point or line.
        """
        target, weights = _checked(keypoints, weights)
        shape = self._shape_of_lengths(target, weights) if initial is None else initial.shape.astype(float)
        turn, place = self._palm(target, weights, shape)
        state, error = self._start(turn, place, shape, target, weights, initial)
        state = self._refined(state, error, target, weights, steps or _STEPS)
        distances = np.sqrt(((state.keypoints - target) ** 2).sum(1))[weights > 0]
        return HandFit(
            pose=self.articulation.pose_of(state),
            shape=state.shape.astype(np.float32),
            translation=self.articulation.translation_of(state),
            residual=float(distances.mean()),
            keypoints=state.keypoints.astype(np.float32),
        )

    def _shape_of_lengths(self, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(10,) shape whose bones and palm are as long as those between the keypoints."""
        first, second = _LENGTHS.T
        spans = target[second] - target[first]
        longer = np.sqrt((spans * spans).sum(1)) - self._lengths
        weighted = self._lengths_basis.T * (weights[first] * weights[second])
        normal = weighted @ self._lengths_basis + _LENGTH_NOISE**2 * np.eye(10)
        return np.linalg.solve(normal, weighted @ longer)

    def _palm(self, target: np.ndarray, weights: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rotation (3, 3) and place (3,) of the wrist that bring the palm onto its keypoints."""
        share, palm = weights[_PALM], target[_PALM]
        share = share / max(float(share.sum()), 1e-12)
        rest = self._palm_rest + self._palm_basis @ shape
        rest_centre, centre = share @ rest, share @ palm
        covariance = (palm - centre).T @ ((rest - rest_centre) * share[:, None])
        left, spread, right = np.linalg.svd(covariance)
        if spread[1] < 1e-5:
            names = ', '.join(KEYPOINT_NAMES[row] for row in _PALM)
            raise ValueError(
                f'the palm has no direction: at least three of {names} must have a weight above '
                '0 and not lie on one point or line; leave this frame out'
            )
        left[:, 2] *= np.sign(np.linalg.det(left @ right))
        turn = left @ right
        return turn, centre + turn @ (rest[0] - rest_centre)

    def _start(
        self,
        turn: np.ndarray,
        place: np.ndarray,
        shape: np.ndarray,
        target: np.ndarray,
        weights: np.ndarray,
        initial: HandFit | None,
    ) -> tuple[Articulated, float]:
        """The skeleton at the start, and its weighted squared distance from the target."""
        hand = self.articulation
        warm, warm_error = None, np.inf
        if initial is not None:
            angles = np.minimum(np.maximum(hand.angles_of(initial.pose), hand.low), hand.high)
            warm = hand.posed(turn, place, angles, shape)
            warm_error = _error(warm, target, weights)
            if warm_error < _NEAR**2 * weights.sum():
                return warm, warm_error
        state = hand.posed(turn, place, self._closed_form(turn, shape, target, weights), shape)
        error = _error(state, target, weights)
        return (warm, warm_error) if warm is not None and warm_error < error else (state, error)

    def _closed_form(self, turn: np.ndarray, shape: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(5, 3, 3) angles that point each bone in the direction of its keypoints, joint after joint."""
        hand = self.articulation
        points, seen = target[1:].reshape(5, 4, 3), weights[1:].reshape(5, 4) > 0
        observed = points[:, 1:] - points[:, :-1]
        lengths = np.sqrt((observed * observed).sum(-1, keepdims=True))
        observed = observed / np.maximum(lengths, 1e-9)
        seen = (seen[:, 1:] & seen[:, :-1])[..., None] & (lengths > 1e-6)
        bones = hand.bones[:, 1:] + hand.bones_basis[:, 1:] @ shape
        bones = bones / np.sqrt((bones * bones).sum(-1, keepdims=True))
        across = (bones @ CROSS).reshape(5, 3, 3, 3)

        angles = np.zeros((5, 3, 3))
        frame = turn
        for level in range(3):
            frame = frame @ hand.connect[:, level]
            wanted = (observed[:, level, None] @ frame)[:, 0]
            axis = (across[:, level] @ wanted[..., None])[..., 0]
            sine = np.sqrt((axis * axis).sum(-1, keepdims=True))
            angle = np.arctan2(sine, (bones[:, level] * wanted).sum(-1, keepdims=True))
            bent = axis * (angle / np.maximum(sine, 1e-9))
            # A joint bent back further than halfway is nearer to its limit the other way round.
            over = bent[:, :1] < self._turned_over[:, level]
            if over.any():
                bent = np.where(over, bent * (1 - 2 * np.pi / np.maximum(angle, 1e-9)), bent)
            angles[:, level] = np.minimum(np.maximum(bent * seen[:, level], hand.low[:, level]), hand.high[:, level])
            if level < 2:
                frame = frame @ exponential(angles[:, level])[..., :3]
        return angles

    def _refined(
        self, state: Articulated, error: float, target: np.ndarray, weights: np.ndarray, steps: int
    ) -> Articulated:
        """Levenberg-Marquardt from a state whose weighted squared distance from the target is `error`."""
        hand = self.articulation
        counted = np.count_nonzero(weights)
        rows = np.repeat(weights, 3)
        low, high = self._lowest, self._highest
        unknowns = np.zeros(UNKNOWNS)
        damping, accepted = 1e-3, True
        for _ in range(steps):
            if accepted:
                unknowns[ANGLES], unknowns[SHAPE] = state.angles.ravel(), state.shape
                prior = max(error / (_FREE_NUMBERS * counted), _LEAST_NOISE**2) * self._precision
                off_mean = unknowns - self._mean
                pull = prior * off_mean
                cost = error + float(pull @ off_mean)
                jacobian = hand.jacobian(state)
                weighted = jacobian * rows[:, None]
                gradient = (state.keypoints - target).ravel() @ weighted + pull
                free = ((unknowns > low) | (gradient < 0)) & ((unknowns < high) | (gradient > 0))
                gradient *= free
                jacobian *= free
                normal = weighted.T @ jacobian
                normal *= free[:, None]
                diagonal = normal.diagonal() + prior + ~free
            damped = normal.copy()
            damped.ravel()[:: UNKNOWNS + 1] = diagonal * (1 + damping)
            step = -dposv(damped.T, gradient)[1]
            angles = np.minimum(np.maximum(unknowns[ANGLES] + step[ANGLES], low[ANGLES]), high[ANGLES])
            trial = hand.posed(
                turned(state.turn, step[TURN]),
                state.place + step[PLACE],
                angles.reshape(5, 3, 3),
                state.shape + step[SHAPE],
            )
            off_mean[ANGLES], off_mean[SHAPE] = angles - self._mean[ANGLES], trial.shape
            trial_error = _error(trial, target, weights)
            trial_cost = trial_error + float(prior @ (off_mean * off_mean))
            accepted = trial_cost < cost
            if accepted:
                state, error, damping = trial, trial_error, damping / 10
                if trial_cost > _CONVERGED * cost:
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
    keypoints[weights == 0] = 0
    if not np.isfinite(keypoints).all():
        names = [KEYPOINT_NAMES[row] for row in np.flatnonzero(~np.isfinite(keypoints).all(1))]
        raise ValueError(f'keypoints {", ".join(names)} are not finite: give them weight 0 or leave this frame out')
    return keypoints, weights / weights.max()


def _error(state: Articulated, target: np.ndarray, weights: np.ndarray) -> float:
    off = state.keypoints - target
    return float(weights @ (off * off).sum(1))
