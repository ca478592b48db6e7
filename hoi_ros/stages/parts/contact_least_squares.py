# SPDX-License-Identifier: Apache-2.0
"""Least squares that bring a hand's target contact onto an object's.

Points of the two contact maps are paired as in iterative closest points, with robust weights that narrow step by step
(Geman and McClure 1987); vertices inside the object, or too near where they should not touch, are pushed out; the
prior keeps joint angles, orientations and object near the input, the wrist's place near the start. Hand and object
move by Gauss-Newton steps; joint limits are held by projection.
"""

from __future__ import annotations

import dataclasses
import time
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
from hoi_ros.hand.skinning import MOTION
from hoi_ros.hand.skinning import Skin
from hoi_ros.mesh.normals import cross
from hoi_ros.stages.parts.contact_alignment import ContactPoints
from hoi_ros.stages.parts.contact_alignment import embedded
from hoi_ros.stages.parts.contact_energy import EnergyWeights
from hoi_ros.stages.parts.contact_energy import GraspEnergy

_OBJECT_TURN, _OBJECT_PLACE = slice(MOTION, MOTION + 3), slice(MOTION + 3, MOTION + 6)
_FULL_CONTACT = 0.6
"""Contact from which a point counts in full."""
_LONGEST = np.repeat([0.3, 0.03, 0.3, 0.3, 0.03], [3, 3, 45, 3, 3])
"""Longest step of every unknown, radians or metres."""
_CONVERGED = np.repeat([0.002, 0.0002, 0.005, 0.002, 0.0002], [3, 3, 45, 3, 3])
"""Steps below which a fit ends, radians or metres."""
_NEAR = 0.03
"""Distance from the object within which vertices are kept outside, metres."""


@dataclasses.dataclass(frozen=True)
class Trust:
    """How sure the input and the pairs of points are. Metres, radians."""

    turn_noise: float
    """Standard deviation of the wrist's orientation about the input's."""
    place_noise: float
    """Standard deviation of the wrist's place about that of the start."""
    angle_noise: float
    """Standard deviation of the joint angles."""
    strength: float
    """Number of independent pairs of points that each contact map is worth."""
    normal_noise: float = 0.0015
    """Standard deviation of the distance between paired surfaces."""
    tangent_noise: float = 0.004
    """Standard deviation of a pair of points along the surface."""
    outside: float = 0.5
    """Weight of a vertex inside the object, in pairs."""
    points: int = 128
    """Points of each contact map that are paired at most."""
    least: float = 0.2
    """Contact from which a point counts as touching."""


@dataclasses.dataclass(frozen=True)
class RefinementConfig:
    """How far a grasp moves for its contact. Metres, radians."""

    weights: EnergyWeights = dataclasses.field(default_factory=EnergyWeights)
    """Of the energy that chooses the result."""
    iterations: int = 16
    """Gauss-Newton steps of one start at most."""
    rematch: int = 2
    """Steps between two searches for pairs of points."""
    reach: float = 0.02
    """Distance of a pair at which its pull fades at first; after all steps it would be a quarter, and most fits end
    after six."""
    depth: float = 0.0005
    """Depth to which vertices that touch may enter the object."""
    clearance: float = 0.002
    """Distance of vertices that do not touch from the object."""
    hold_hand: bool = False
    """Whether the hand stays where it is, and only the object moves."""
    near: Trust = Trust(
        turn_noise=0.05,
        place_noise=0.003,
        angle_noise=0.05,
        strength=15.0,
        normal_noise=0.003,
        tangent_noise=0.008,
        outside=0.2,
        points=256,
        least=0.3,
    )
    """Where the contact maps lie near each other. At the true pose paired points of a network's maps are 1.5 to 5 mm
    apart along the normal, and 3 to 16 along the surface."""
    far: Trust = Trust(turn_noise=0.06, place_noise=0.006, angle_noise=0.12, strength=15.0)
    """Where they do not. Both were chosen on validation grasps with maps of a network."""
    near_maps: float = 0.03
    """Distance of the contact maps, see `spread`, below which they count as near. 95 % of 60 validation grasps with
    small noise are below 0.022, as many of those with large noise above 0.023; between the two, near does less harm."""
    object_turn_noise: float = 0.1
    """Standard deviation of the object's orientation, where it moves."""
    object_place_noise: float = 0.01
    """Standard deviation of the object's place."""
    gain: float = 0.05
    """Share of the input's energy by which another start than the input has to lower it."""
    farthest: float = 0.25
    """Way of the wrist beyond which an alignment of the contact maps is not believed."""


OBSERVED_HAND = RefinementConfig(
    weights=EnergyWeights(penetration=1000.0),
    iterations=8,
    hold_hand=True,
    near=Trust(turn_noise=0.03, place_noise=0.003, angle_noise=0.05, strength=15.0),
    object_turn_noise=0.02,
    object_place_noise=0.002,
)
"""For hands that have been fitted to an image, and objects whose hidden side is guessed. On 74 hands of 100 validation
images with depth every freedom of the hand made its joints worse, and every freedom of the object its surface."""


@dataclasses.dataclass(frozen=True, slots=True)
class GraspState:
    """A posed hand and a moved object, in the frame of the input."""

    hand: Articulated
    turn: np.ndarray
    """(3, 3) rotation of the object about the mean of its given points."""
    shift: np.ndarray
    """(3,) its translation, metres."""


class _Pairs(NamedTuple):
    """Vertices (K,) and object points (K,) that should touch, their weights (K,), and the wanted gaps (K,), metres."""

    vertices: np.ndarray
    points: np.ndarray
    strengths: np.ndarray
    gaps: np.ndarray


class _Rows(NamedTuple):
    """Residuals: vertices (K,), object points (K,), directions (K, 3) in the object's frame, errors (K,) along them,
    metres, and weights (K,)."""

    vertices: np.ndarray
    points: np.ndarray
    directions: np.ndarray
    errors: np.ndarray
    strengths: np.ndarray


class GraspLeastSquares:
    """The least-squares problem of one grasp.

    Attributes:
        centre: (3,) mean of the object's points.
        points, normals: (N, 3) of the object, about `centre`.
        on_hand, on_object: the points that should touch.

    Args:
        hand: the skeleton.
        skin: the mesh of the hand.
        energy: the object's points and the target contact of both.
        hand_neighbours: (V, K) each vertex and those nearest to it.
        given: the input.
        hold_object: whether the object stays where it is.
    """

    def __init__(
        self,
        hand: Articulation,
        skin: Skin,
        config: RefinementConfig,
        energy: GraspEnergy,
        hand_neighbours: np.ndarray,
        given: GraspState,
        hold_object: bool,
    ) -> None:
        self._hand, self._skin, self._config, self._start = hand, skin, config, given
        self._tree, self._posed = energy.tree, (given.hand, skin.posed(given.hand))
        self._unknown = slice(MOTION if config.hold_hand else 0, MOTION if hold_object else MOTION + 6)
        self.centre = energy.points.mean(0)
        self.points, self.normals = energy.points - self.centre, energy.normals
        self._tangents = _tangents(energy.normals)
        # A single point that contradicts its neighbours would be paired across the object.
        self._maps = (
            np.median(energy.hand_contact[hand_neighbours], 1),
            np.median(energy.object_contact[energy.neighbours], 1),
        )
        self.trust(config.far)

    def trust(self, trust: Trust) -> None:
        """Sets how far the hand may move from the input, and which points should touch."""
        config, self._trust = self._config, trust
        self.on_hand, self.on_object = (
            ContactPoints.of(contact, trust.least, _FULL_CONTACT, trust.points) for contact in self._maps
        )
        self._lowest = np.where(self._maps[0] >= trust.least, -config.depth, config.clearance)
        noise = [trust.turn_noise, trust.place_noise, trust.angle_noise]
        noise += [config.object_turn_noise, config.object_place_noise]
        self._prior = np.repeat(np.array(noise) ** -2.0, [3, 3, 45, 3, 3])[self._unknown]

    def surface(self, state: GraspState) -> tuple[np.ndarray, np.ndarray]:
        """(V, 3) vertices and unit normals of the hand, about `centre` in the frame of the moved object."""
        if state.hand is not self._posed[0]:
            self._posed = state.hand, self._skin.posed(state.hand)
        surface = self._posed[1]
        normals = surface.normals.T / np.maximum(np.linalg.norm(surface.normals.T, axis=1, keepdims=True), 1e-9)
        return (surface.vertices.T - self.centre - state.shift) @ state.turn, normals @ state.turn

    def idle(self, state: GraspState) -> bool:
        """Whether nothing should touch and no vertex is inside the object: then there is nothing to fit."""
        if len(self.on_hand.rows) and len(self.on_object.rows):
            return False
        vertices, _ = self.surface(state)
        near, nearest = self._near(vertices)
        return not (self._above(vertices, near, nearest) < self._lowest[near]).any()

    def fit(self, state: GraspState, end: float) -> tuple[GraspState, int]:
        """Takes steps until they are small, all are taken, or the next would end after `end`, time.perf_counter().

        Returns:
            The fitted state and the number of steps.
        """
        config, place, longest = self._config, state.hand.place, 0.0
        for step in range(config.iterations):
            began = time.perf_counter()
            vertices, normals = self.surface(state)
            if step % config.rematch == 0:
                pairs = self._paired(vertices, normals)
                near, nearest = self._near(vertices)
            fade = config.reach * 0.25 ** (step / max(config.iterations - 1, 1))
            rows = self._residuals(vertices, pairs, near, nearest, fade)
            if not len(rows.vertices):
                return state, step
            change = self._step(state, place, vertices, rows)
            state = self._moved(state, change)
            now = time.perf_counter()
            longest = max(longest, now - began)
            if now + longest > end or (step >= 4 and (np.abs(change) < _CONVERGED[self._unknown]).all()):
                return state, step + 1
        return state, config.iterations

    def _paired(self, vertices: np.ndarray, normals: np.ndarray) -> _Pairs:
        """Pairs of a vertex and an object point, each side's points with the nearest of the other side."""
        mine, others = self.on_hand, self.on_object
        if not len(mine.rows) or not len(others.rows):
            none = np.zeros(0, int)
            return _Pairs(none, none, np.zeros(0), np.zeros(0))
        first = embedded(vertices[mine.rows], normals[mine.rows], mine.contact)
        second = embedded(self.points[others.rows], -self.normals[others.rows], others.contact)
        distances = (second * second).sum(1) - 2 * first @ second.T + (first * first).sum(1)[:, None]
        to_object, to_hand = distances.argmin(1), distances.argmin(0)
        vertex = np.concatenate([mine.rows, mine.rows[to_hand]])
        point = np.concatenate([others.rows[to_object], others.rows])
        strength = self._trust.strength * np.concatenate([mine.shares, others.shares])
        contact = np.concatenate([mine.contact, others.contact])
        gap = 0.001 * (1 / np.maximum(contact, self._trust.least) - 1)
        return _Pairs(vertex, point, strength, gap)

    def _near(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vertices near the object, and the object points that are nearest to them."""
        distance, nearest = self._tree.query(vertices + self.centre, distance_upper_bound=_NEAR)
        near = np.flatnonzero(np.isfinite(distance))
        return near, nearest[near]

    def _above(self, vertices: np.ndarray, near: np.ndarray, nearest: np.ndarray) -> np.ndarray:
        """(K,) signed distances of near vertices to the planes of the object points nearest to them."""
        return np.einsum('ki,ki->k', vertices[near] - self.points[nearest], self.normals[nearest])

    def _residuals(
        self, vertices: np.ndarray, pairs: _Pairs, near: np.ndarray, nearest: np.ndarray, fade: float
    ) -> _Rows:
        trust = self._trust
        vertex, point, strength, gap = pairs
        normals, tangents = self.normals[point], self._tangents[point]
        offset = vertices[vertex] - self.points[point] - gap[:, None] * normals
        fading = strength / (1 + (offset * offset).sum(1) / fade**2) ** 2
        directions = np.concatenate([normals, tangents[:, 0], tangents[:, 1]])
        errors = (np.tile(offset, (3, 1)) * directions).sum(1)
        along = fading / trust.tangent_noise**2
        strengths = np.concatenate([fading / trust.normal_noise**2, along, along])
        short = self._above(vertices, near, nearest) - self._lowest[near]
        kept = np.flatnonzero(short < 0)
        inside, under = near[kept], nearest[kept]
        return _Rows(
            np.concatenate([vertex, vertex, vertex, inside]),
            np.concatenate([point, point, point, under]),
            np.concatenate([directions, self.normals[under]]),
            np.concatenate([errors, short[kept]]),
            np.concatenate([strengths, np.full(len(kept), trust.outside / trust.normal_noise**2)]),
        )

    def _step(self, state: GraspState, place: np.ndarray, vertices: np.ndarray, rows: _Rows) -> np.ndarray:
        """(U,) the Gauss-Newton step of what moves: the hand's unknowns, the object's turn and shift."""
        unknown, start = self._unknown, self._start
        directions = rows.directions @ state.turn.T
        jacobian, away = np.zeros((MOTION + 6, len(rows.vertices))), np.zeros(MOTION + 6)
        if unknown.start < MOTION:
            touched = vertices[rows.vertices] @ state.turn.T + self.centre + state.shift
            jacobian[:MOTION] = self._skin.motion(state.hand, touched.T, directions.T, rows.vertices)
            away[TURN] = cv2.Rodrigues(state.hand.turn @ start.hand.turn.T)[0][:, 0]
            away[PLACE] = state.hand.place - place
            away[ANGLES] = (state.hand.angles - start.hand.angles).ravel()
        if unknown.stop > MOTION:
            arms = vertices[rows.vertices] @ state.turn.T
            jacobian[_OBJECT_TURN] = -cross(arms, directions).T
            jacobian[_OBJECT_PLACE] = -directions.T
            away[_OBJECT_TURN] = cv2.Rodrigues(state.turn)[0][:, 0]
            away[_OBJECT_PLACE] = state.shift
        moving = jacobian[unknown]
        weighted = moving * rows.strengths
        normal = weighted @ moving.T
        right = -(weighted @ rows.errors) - self._prior * away[unknown]
        normal.ravel()[:: len(right) + 1] += self._prior
        change = dposv(normal, right)[1]
        longest = _LONGEST[unknown]
        return np.minimum(np.maximum(change, -longest), longest)

    def _moved(self, state: GraspState, change: np.ndarray) -> GraspState:
        """A state after a step of the unknowns."""
        hand, step = self._hand, np.zeros(MOTION + 6)
        step[self._unknown] = change
        if self._unknown.start < MOTION:
            angles = state.hand.angles + step[ANGLES].reshape(5, 3, 3)
            posed = hand.posed(
                turned(state.hand.turn, step[TURN]),
                state.hand.place + step[PLACE],
                np.minimum(np.maximum(angles, hand.low), hand.high),
                state.hand.shape,
            )
            state = dataclasses.replace(state, hand=posed)
        if self._unknown.stop > MOTION:
            turn, shift = turned(state.turn, step[_OBJECT_TURN]), state.shift + step[_OBJECT_PLACE]
            state = dataclasses.replace(state, turn=turn, shift=shift)
        return state


def _tangents(normals: np.ndarray) -> np.ndarray:
    """(N, 2, 3) two unit vectors at right angles to each of unit normals (N, 3) and to each other."""
    least = np.eye(3)[np.abs(normals).argmin(1)]
    first = cross(normals, least)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return np.stack([first, cross(normals, first)], 1)
