# SPDX-License-Identifier: Apache-2.0
"""Brings two hands together: the relative root and the fingers of both, by least squares.

Pairs of surface points meet at a wanted gap with opposed normals; vertices of one hand inside the other are pushed out
along the normal of the nearest vertex (InterHandGen, equation 8); the fingers of one hand keep apart; a prior keeps
the fingers near the drawn posture and the root near its start. Gauss-Newton steps; joint limits by projection.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import cv2
import numpy as np
from scipy.linalg.lapack import dposv

from hoi_ros.hand.articulation import ANGLES
from hoi_ros.hand.articulation import Articulated
from hoi_ros.hand.articulation import Articulation
from hoi_ros.hand.articulation import PLACE
from hoi_ros.hand.articulation import TURN
from hoi_ros.hand.articulation import turned
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skinning import MOTION
from hoi_ros.hand.skinning import Skin
from training.data.synthetic.two_hands.clearance import FingerClearance

_UNKNOWNS = MOTION + 45
"""Turn and place of the right wrist, its fingers' angles, and those of the left."""
_LEFT = slice(MOTION, _UNKNOWNS)
_LONGEST = np.repeat([0.3, 0.03, 0.3], [3, 3, 90])
"""Longest step, radians or metres."""
_TOWARDS = -0.3
"""Cosine of a normal to the mean of the contacts' below which a push would be towards the other hand."""
_CLEAR = 0.02
"""Largest clearance that hands with a gap between them keep elsewhere, metres."""
_LEVER = 0.02
"""Arm along the normal at which opposed normals are compared, metres."""


@dataclasses.dataclass(frozen=True)
class SolverConfig:
    """Steps and noises of the fit. Metres, radians."""

    meeting_steps: int = 8
    """Steps in which the points meet; those that follow push what penetrates out, until nothing does."""
    steps: int = 18
    fading: float = 0.03
    """Share of the weight of the points that meet, while what penetrates is pushed out."""
    enough: float = 0.0007
    """Depth beyond `depth` at which it is out."""
    hopeless: float = 0.012
    """Depth from which pushing does not help."""
    rematch: int = 2
    """Steps between two searches for vertices inside the other hand."""
    normal_noise: float = 0.001
    """Standard deviation of the gap of a pair of points along the normal."""
    tangent_noise: float = 0.006
    """Along the surface."""
    lever_noise: float = 0.007
    """Of opposed normals, 2 cm above the surface."""
    depth: float = 0.0005
    """Depth to which vertices may be inside the other hand."""
    depth_noise: float = 0.0015
    deepest: int = 80
    """Vertices of each hand that are pushed out in one step at most."""
    clearance_noise: float = 0.002
    turn_noise: float = 0.35
    place_noise: float = 0.03
    angle_noise: tuple[float, float, float] = (0.3, 0.12, 0.06)
    """Of flexion, abduction and twist about the drawn posture."""


class Contacts(NamedTuple):
    """Pairs of vertices of the right (K,) and the left hand (K,), and their gaps (K,), metres."""

    right: np.ndarray
    left: np.ndarray
    gaps: np.ndarray


@dataclasses.dataclass(frozen=True, slots=True)
class PosedHand:
    """A posed hand: its skeleton, vertices (3, V) and unit normals (3, V)."""

    state: Articulated
    vertices: np.ndarray
    normals: np.ndarray


class PairSolver:
    """Fits pairs of one hand model.

    Args:
        right: the model.
        config: of the fit.

    Attributes:
        hands: the skeletons of the right and of the left hand.
        skins: their meshes.
    """

    def __init__(self, right: HandModel, config: SolverConfig | None = None) -> None:
        models = right, right.mirrored()
        self.hands = Articulation(models[0]), Articulation(models[1])
        self.skins = tuple(Skin(model) for model in models)
        self._config = config = config or SolverConfig()
        self._clearance = FingerClearance()
        angle = np.tile(config.angle_noise, 30)
        noise = np.concatenate([np.repeat([config.turn_noise, config.place_noise], 3), angle])
        self._prior = noise**-2

    def posed(self, side: int, turn: np.ndarray, place: np.ndarray, angles: np.ndarray, shape: np.ndarray) -> PosedHand:
        """A posed hand; side 0 is the right one, the other arguments as in `Articulated`."""
        state = self.hands[side].posed(turn, place, angles, shape)
        surface = self.skins[side].posed(state)
        length = np.sqrt((surface.normals * surface.normals).sum(0))
        normals = surface.normals / np.maximum(length, 1e-9)
        return PosedHand(state, surface.vertices, normals)

    def solve(
        self, right: PosedHand, left: PosedHand, contacts: Contacts, way: float, wraps: bool
    ) -> tuple[PosedHand, PosedHand] | None:
        """Fits the pair.

        Args:
            right, left: the start, whose fingers are the drawn posture. The left wrist stays where it is.
            contacts: pairs of points that meet.
            way: by which the start is farther apart than the points' gaps, metres; it shrinks step by step.
            wraps: whether one hand reaches around the other, so that it is pushed out on all sides; otherwise not
                towards the other hand.

        Returns:
            The pair; None where it remains too deep.
        """
        first_right, first_left, config = right.state, left.state, self._config
        lowest = min(0.8 * float(contacts.gaps.min()), _CLEAR) - config.depth
        for step in range(config.steps):
            pushing = step >= config.meeting_steps
            if step == config.meeting_steps:
                first_right, first_left = right.state, left.state
            if pushing or step % config.rematch == 0:
                inside = nearest_pairs(right, left, 1 if pushing else 2)
            left_over = max(0.0, way * (1 - (step + 1) / (config.meeting_steps - 2)))
            errors, weights, jacobian = self._between(right, left, contacts, left_over, inside, wraps, lowest)
            if pushing:
                weights[: 7 * len(contacts.right)] *= config.fading
                deepest = -errors[7 * len(contacts.right) :].min(initial=0)
                if deepest > config.hopeless:
                    return None
                if deepest < config.enough:
                    break
            weighted = jacobian * weights
            away = np.empty(_UNKNOWNS)
            away[TURN] = cv2.Rodrigues(right.state.turn @ first_right.turn.T)[0][:, 0]
            away[PLACE] = right.state.place - first_right.place
            away[ANGLES] = (right.state.angles - first_right.angles).ravel()
            away[_LEFT] = (left.state.angles - first_left.angles).ravel()
            normal = weighted @ jacobian.T
            normal.ravel()[:: _UNKNOWNS + 1] += self._prior
            gradient = weighted @ errors + self._prior * away
            for side, (hand, angles) in enumerate(((right, ANGLES), (left, _LEFT))):
                short, own = self._clearance.residuals(self.hands[side], hand.state)
                if len(short):
                    normal[angles, angles] += own @ own.T / config.clearance_noise**2
                    gradient[angles] += own @ short / config.clearance_noise**2
            short, mine, theirs = self._clearance.between(self.hands, right.state, left.state)
            if len(short):
                both = np.concatenate([mine, theirs])
                normal += both @ both.T / config.clearance_noise**2
                gradient += both @ short / config.clearance_noise**2
            change = -dposv(normal, gradient)[1]
            change = np.minimum(np.maximum(change, -_LONGEST), _LONGEST)
            right = self._moved(0, right, change[:MOTION])
            left = self._moved(1, left, np.concatenate([np.zeros(6), change[_LEFT]]))
        return right, left

    def _moved(self, side: int, hand: PosedHand, change: np.ndarray) -> PosedHand:
        skeleton, state = self.hands[side], hand.state
        angles = state.angles + change[ANGLES].reshape(5, 3, 3)
        return self.posed(
            side,
            turned(state.turn, change[TURN]) if side == 0 else state.turn,
            state.place + change[PLACE],
            np.minimum(np.maximum(angles, skeleton.low), skeleton.high),
            state.shape,
        )

    def _between(
        self,
        right: PosedHand,
        left: PosedHand,
        contacts: Contacts,
        way: float,
        inside: list[tuple[np.ndarray, np.ndarray]],
        wraps: bool,
        lowest: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Errors (N,), weights (N,) and Jacobian (96, N) of what meets and of what must keep apart."""
        config = self._config
        mine, others = right.vertices[:, contacts.right], left.vertices[:, contacts.left]
        my_normals, their_normals = right.normals[:, contacts.right], left.normals[:, contacts.left]
        facing = their_normals - my_normals
        facing /= np.maximum(np.sqrt((facing * facing).sum(0)), 1e-6)
        outwards = facing.mean(1)
        offset = mine - others - (contacts.gaps + way) * facing
        tilt = offset + _LEVER * (my_normals + their_normals)
        count = len(contacts.right)
        axes = np.repeat(np.eye(3), count, 1)
        points = [mine, mine, mine, mine, *[mine + _LEVER * my_normals] * 3]
        other_points = [others, others, others, others, *[others - _LEVER * their_normals] * 3]
        directions, errors = [facing, axes, axes], [(offset * facing).sum(0), offset.ravel(), tilt.ravel()]
        noise = [config.normal_noise, config.tangent_noise, config.lever_noise]
        noises = [np.repeat(noise, np.array([1, 3, 3]) * count)]
        which, others_which = [np.tile(contacts.right, 7)], [np.tile(contacts.left, 7)]
        # Vertices of each hand inside the other, along the normals of the nearest vertices.
        for inner_is_right, (first, second) in zip((True, False), inside, strict=True):
            normals = left.normals[:, second] if inner_is_right else -right.normals[:, first]
            above = ((right.vertices[:, first] - left.vertices[:, second]) * normals).sum(0)
            kept = np.flatnonzero((above < lowest) & (wraps | (normals.T @ outwards > _TOWARDS)))
            if len(kept) > config.deepest:
                kept = kept[np.argpartition(above[kept], config.deepest)[: config.deepest]]
            first, second = first[kept], second[kept]
            points.append(right.vertices[:, first])
            other_points.append(left.vertices[:, second])
            directions.append(normals[:, kept])
            errors.append(above[kept] - lowest)
            noises.append(np.full(len(kept), config.depth_noise))
            which.append(first)
            others_which.append(second)
        along = np.concatenate(directions, 1)
        jacobian = np.empty((_UNKNOWNS, along.shape[1]))
        jacobian[:MOTION] = self.skins[0].motion(right.state, np.concatenate(points, 1), along, np.concatenate(which))
        theirs = self.skins[1].motion(left.state, np.concatenate(other_points, 1), along, np.concatenate(others_which))
        np.negative(theirs[ANGLES], out=jacobian[_LEFT])
        return np.concatenate(errors), np.concatenate(noises) ** -2, jacobian


def nearest_pairs(
    one: PosedHand, other: PosedHand, stride: int = 1, reach: float = 0.01
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Vertices of two hands that are near each other's bounding box, and the nearest of the other hand.

    Args:
        one, other: the hands.
        stride: every `stride`-th vertex is asked for.
        reach: widens the boxes, metres.

    Returns:
        Vertices (N,) of the first hand with the nearest (N,) of the second; then the nearest (M,) of the first to
        vertices (M,) of the second.
    """
    low = np.maximum(one.vertices.min(1), other.vertices.min(1)) - reach
    high = np.minimum(one.vertices.max(1), other.vertices.max(1)) + reach
    first, second = (
        np.flatnonzero(((hand.vertices > low[:, None]) & (hand.vertices < high[:, None])).all(0))
        for hand in (one, other)
    )
    if not len(first) or not len(second):
        none = np.zeros(0, int)
        return [(none, none)] * 2
    mine, others = (
        (hand.vertices[:, rows] - low[:, None]).astype(np.float32) for hand, rows in ((one, first), (other, second))
    )
    rows = np.concatenate([-2 * mine, (mine * mine).sum(0, keepdims=True), np.ones((1, len(first)), np.float32)])
    columns = np.concatenate([others, np.ones((1, len(second)), np.float32), (others * others).sum(0, keepdims=True)])
    return [
        (first[::stride], second[(rows[:, ::stride].T @ columns).argmin(1)]),
        (first[(columns[:, ::stride].T @ rows).argmin(1)], second[::stride]),
    ]
