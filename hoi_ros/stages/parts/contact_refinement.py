# SPDX-License-Identifier: Apache-2.0
"""Moves a hand and its object to a target contact, within a time budget.

The energy is that of `contact_energy` (Grady et al., "ContactOpt", CVPR 2021). Instead of descending it, the hand is
fitted to pairs of points of both contact maps by Gauss-Newton with robust weights; vertices that should not touch are
kept outside the object. Starts that a rigid alignment of the two maps proposes are tried next to the input, and the
result of least energy counts.
"""

from __future__ import annotations

import dataclasses
import time

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
from hoi_ros.mesh.normals import cross
from hoi_ros.stages.parts.contact_alignment import aligned
from hoi_ros.stages.parts.contact_alignment import ContactPoints
from hoi_ros.stages.parts.contact_alignment import embedded
from hoi_ros.stages.parts.contact_energy import EnergyWeights
from hoi_ros.stages.parts.contact_energy import GraspEnergy
from hoi_ros.stages.parts.contact_energy import ObjectSurfacePoints

_OBJECT_TURN, _OBJECT_PLACE = slice(MOTION, MOTION + 3), slice(MOTION + 3, MOTION + 6)
_NO_CONTACT, _FULL_CONTACT = 0.2, 0.6
"""Contact from which a point counts as touching, and from which it counts in full."""
_LONGEST = np.repeat([0.3, 0.03, 0.3, 0.3, 0.03], [3, 3, 45, 3, 3])
"""Longest step of every unknown, radians or metres."""
_CONVERGED = np.repeat([0.002, 0.0002, 0.005, 0.002, 0.0002], [3, 3, 45, 3, 3])


@dataclasses.dataclass(frozen=True)
class RefinementConfig:
    """How far a grasp moves for its contact. Metres, radians."""

    weights: EnergyWeights = EnergyWeights()
    """Of the energy that chooses the result."""
    iterations: int = 16
    """Gauss-Newton steps of one start at most."""
    rematch: int = 2
    """Steps between two searches for pairs of points."""
    points: int = 256
    """Points of each contact map that are paired at most."""
    strength: float = 40.0
    """Number of independent pairs that each contact map is worth."""
    normal_noise: float = 0.0015
    """Standard deviation of the distance between paired surfaces."""
    tangent_noise: float = 0.006
    """Standard deviation of a pair of points along the surface."""
    reach: float = 0.02
    """Distance of a pair at which its pull fades at first; it ends at a quarter."""
    outside: float = 0.5
    """Weight of a vertex inside the object, in pairs."""
    depth: float = 0.0005
    """Depth to which vertices that touch may enter the object."""
    clearance: float = 0.002
    """Distance of vertices that do not touch from the object."""
    turn_noise: float = 0.1
    """Standard deviation of the wrist's orientation about the input's; larger errors are robustly allowed."""
    place_noise: float = 0.01
    """Standard deviation of the wrist's place."""
    angle_noise: float = 0.12
    """Standard deviation of the joint angles."""
    object_turn_noise: float = 0.1
    """Standard deviation of the object's orientation, where it moves."""
    object_place_noise: float = 0.01
    """Standard deviation of the object's place."""


@dataclasses.dataclass(frozen=True)
class RefinedGrasp:
    """A hand at an object, in the frame of the input, metres and radians."""

    pose: np.ndarray
    """(48,) float32."""
    translation: np.ndarray
    """(3,) float32."""
    vertices: np.ndarray
    """(V, 3) float32."""
    keypoints: np.ndarray
    """(21, 3) float32."""
    object_motion: np.ndarray
    """(4, 4) takes points of the given object to the refined one; the identity where it was held."""
    energy_before: float
    energy_after: float
    """Never above `energy_before`."""
    iterations: int
    """Gauss-Newton steps, all starts together."""
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class _State:
    hand: Articulated
    turn: np.ndarray
    """(3, 3) rotation of the object about the mean of its given points."""
    shift: np.ndarray
    """(3,) its translation."""


class ContactRefiner:
    """Refines grasps of one side of a hand model; the caller mirrors a left hand and its object."""

    def __init__(self, model: HandModel, config: RefinementConfig | None = None) -> None:
        """Takes a HandModel held in NumPy arrays."""
        self.model, self._config = model, config or RefinementConfig()
        self._hand, self._skin = Articulation(model), Skin(model)

    def __call__(
        self,
        pose: np.ndarray,
        shape: np.ndarray,
        translation: np.ndarray,
        surface: ObjectSurfacePoints,
        hand_contact: np.ndarray,
        object_contact: np.ndarray,
        *,
        hold_object: bool = False,
        budget: float = 0.06,
        restarts: int = 1,
    ) -> RefinedGrasp:
        """Refines one grasp.

        Args:
            pose: (48,) axis-angle, radians.
            shape: (10,).
            translation: (3,) metres.
            surface: points of the object in the same frame.
            hand_contact: (V,) target contact of the hand's vertices, 0 to 1.
            object_contact: (N,) target contact of the object's points.
            hold_object: whether the object stays where it is.
            budget: seconds until the search ends; the step under way is finished. Infinite for results that do not
                depend on the machine's load.
            restarts: starts that are tried; more than one where the error may exceed a few centimetres.

        Raises:
            ValueError: an array has another shape, holds a number that is not finite, or contact is not in [0, 1].
        """
        began = time.perf_counter()
        self._check(pose, shape, translation, surface, hand_contact, object_contact)
        hand = self._hand
        shape = shape.astype(float)
        start = hand.posed(
            cv2.Rodrigues(pose[:3].astype(float))[0],
            hand.place_of(translation.astype(float), shape),
            np.clip(hand.angles_of(pose), hand.low, hand.high),
            shape,
        )
        search = _Search(self._skin, hand, self.model, self._config, surface, hand_contact, object_contact, hold_object)
        return search.run(start, pose, translation, began, budget, restarts)

    def _check(
        self,
        pose: np.ndarray,
        shape: np.ndarray,
        translation: np.ndarray,
        surface: ObjectSurfacePoints,
        hand_contact: np.ndarray,
        object_contact: np.ndarray,
    ) -> None:
        expected = (
            ('pose', pose, (48,)),
            ('shape', shape, (10,)),
            ('translation', translation, (3,)),
            ('hand_contact', hand_contact, (len(self.model.template),)),
            ('object_contact', object_contact, (len(surface.points),)),
        )
        for name, array, size in expected:
            if array.shape != size:
                raise ValueError(f'{name} has shape {array.shape}, expected {size}')
            if not np.isfinite(array).all():
                bad = int((~np.isfinite(array)).sum())
                raise ValueError(f'{bad} of {array.size} numbers of {name} are not finite: leave this hand out')
        for name, array, _ in expected[3:]:
            if array.min() < 0 or array.max() > 1:
                raise ValueError(f'{name} lies in [{array.min():.3g}, {array.max():.3g}], expected in [0, 1]')


class _Search:
    """The search for one grasp."""

    def __init__(
        self,
        skin: Skin,
        hand: Articulation,
        model: HandModel,
        config: RefinementConfig,
        surface: ObjectSurfacePoints,
        hand_contact: np.ndarray,
        object_contact: np.ndarray,
        hold_object: bool,
    ) -> None:
        self._skin, self._hand, self._config = skin, hand, config
        self._energy = energy = GraspEnergy(model, surface, hand_contact, object_contact, config.weights)
        self._unknowns = MOTION if hold_object else MOTION + 6
        self._centre = energy.points.mean(0)
        self._points, self._normals = energy.points - self._centre, energy.normals
        self._tangents = _tangents(energy.normals)
        self._on_hand = ContactPoints.of(energy.hand_contact, _NO_CONTACT, _FULL_CONTACT, config.points)
        self._on_object = ContactPoints.of(energy.object_contact, _NO_CONTACT, _FULL_CONTACT, config.points)
        self._lowest = np.where(energy.hand_contact >= _NO_CONTACT, -config.depth, config.clearance)
        noise = [config.turn_noise, config.place_noise, config.angle_noise]
        noise += [config.object_turn_noise, config.object_place_noise]
        self._prior = np.repeat(np.array(noise) ** -2.0, [3, 3, 45, 3, 3])[: self._unknowns]

    def run(
        self,
        start: Articulated,
        pose: np.ndarray,
        translation: np.ndarray,
        began: float,
        budget: float,
        restarts: int,
    ) -> RefinedGrasp:
        given = _State(start, np.eye(3), np.zeros(3))
        self._start = given
        before = self._energy_of(given)
        best, least, steps = given, before, 0
        for first in self._starts(given, restarts):
            state, taken = self._fitted(first, began + budget)
            steps += taken
            energy = self._energy_of(state)
            if energy < least:
                best, least = state, energy
            if time.perf_counter() - began > budget:
                break
        hand = self._hand
        motion = np.eye(4)
        if best is not given:
            pose, translation = hand.pose_of(best.hand), hand.translation_of(best.hand)
            motion[:3, :3] = best.turn
            motion[:3, 3] = self._centre + best.shift - best.turn @ self._centre
        return RefinedGrasp(
            pose=pose.astype(np.float32),
            translation=translation.astype(np.float32),
            vertices=self._skin.posed(best.hand).vertices.T.astype(np.float32),
            keypoints=best.hand.keypoints.astype(np.float32),
            object_motion=motion,
            energy_before=before,
            energy_after=least,
            iterations=steps,
            seconds=time.perf_counter() - began,
        )

    def _starts(self, given: _State, restarts: int) -> list[_State]:
        if not len(self._on_hand.rows) or not len(self._on_object.rows):
            return [given]
        vertices, normals = self._local(given)
        motions = aligned(
            vertices[self._on_hand.rows],
            normals[self._on_hand.rows],
            self._on_hand,
            self._points[self._on_object.rows],
            self._normals[self._on_object.rows],
            self._on_object,
            restarts,
        )
        hand = given.hand
        starts = [given] if restarts == 1 else []
        for motion in motions:
            turn = motion[:3, :3] @ hand.turn
            place = motion[:3, :3] @ (hand.place - self._centre) + motion[:3, 3] + self._centre
            starts.append(dataclasses.replace(given, hand=self._hand.posed(turn, place, hand.angles, hand.shape)))
        return starts

    def _fitted(self, state: _State, end: float) -> tuple[_State, int]:
        """Gauss-Newton from one start."""
        config = self._config
        pairs = None
        for step in range(config.iterations):
            surface = self._skin.posed(state.hand)
            vertices = surface.vertices.T
            normals = surface.normals.T / np.linalg.norm(surface.normals.T, axis=1, keepdims=True)
            local = (vertices - self._centre - state.shift) @ state.turn
            if pairs is None or step % config.rematch == 0:
                pairs = self._pairs(local, normals @ state.turn)
                near, distances, nearest = self._near(local)
            fade = config.reach * 0.25 ** (step / max(config.iterations - 1, 1))
            rows, points, directions, errors, strengths = self._residuals(local, pairs, near, nearest, fade)
            change = self._step(state, vertices, rows, points, directions, errors, strengths)
            state = self._moved(state, change)
            if step >= 4 and (np.abs(change) < _CONVERGED[: len(change)]).all():
                return state, step + 1
            if time.perf_counter() > end:
                return state, step + 1
        return state, config.iterations

    def _pairs(self, local: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, ...]:
        """Pairs of a vertex and an object point, each side's points with the nearest of the other side."""
        mine, others = self._on_hand, self._on_object
        if not len(mine.rows) or not len(others.rows):
            none = np.zeros(0, int)
            return none, none, np.zeros(0), np.zeros(0)
        first = embedded(local[mine.rows], normals[mine.rows], mine.contact)
        second = embedded(self._points[others.rows], -self._normals[others.rows], others.contact)
        distances = (second * second).sum(1) - 2 * first @ second.T + (first * first).sum(1)[:, None]
        to_object, to_hand = distances.argmin(1), distances.argmin(0)
        vertex = np.concatenate([mine.rows, mine.rows[to_hand]])
        point = np.concatenate([others.rows[to_object], others.rows])
        strength = self._config.strength * np.concatenate([mine.shares, others.shares])
        contact = np.concatenate([mine.contact, others.contact])
        gap = 0.001 * (1 / np.maximum(contact, _NO_CONTACT) - 1)
        return vertex, point, strength, gap

    def _near(self, local: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        distance, nearest = self._energy.tree.query(local + self._centre, distance_upper_bound=0.03)
        near = np.flatnonzero(np.isfinite(distance))
        return near, distance[near], nearest[near]

    def _residuals(
        self,
        local: np.ndarray,
        pairs: tuple[np.ndarray, ...],
        near: np.ndarray,
        nearest: np.ndarray,
        fade: float,
    ) -> tuple[np.ndarray, ...]:
        """Vertices, object points (K, 3), directions (K, 3) in the object's frame, errors, and strengths."""
        config = self._config
        vertex, point, strength, gap = pairs
        normals, tangents = self._normals[point], self._tangents[point]
        offset = local[vertex] - self._points[point] - gap[:, None] * normals
        fading = strength / (1 + (offset * offset).sum(1) / fade**2) ** 2
        directions = np.concatenate([normals, tangents[:, 0], tangents[:, 1]])
        errors = (np.tile(offset, (3, 1)) * directions).sum(1)
        along = fading / config.tangent_noise**2
        strengths = np.concatenate([fading / config.normal_noise**2, along, along])
        above = ((local[near] - self._points[nearest]) * self._normals[nearest]).sum(1)
        short = above - self._lowest[near]
        kept = np.flatnonzero(short < 0)
        inside, under = near[kept], nearest[kept]
        return (
            np.concatenate([vertex, vertex, vertex, inside]),
            np.concatenate([point, point, point, under]),
            np.concatenate([directions, self._normals[under]]),
            np.concatenate([errors, short[kept]]),
            np.concatenate([strengths, np.full(len(kept), config.outside / config.normal_noise**2)]),
        )

    def _step(
        self,
        state: _State,
        vertices: np.ndarray,
        rows: np.ndarray,
        points: np.ndarray,
        directions: np.ndarray,
        errors: np.ndarray,
        strengths: np.ndarray,
    ) -> np.ndarray:
        directions = directions @ state.turn.T
        jacobian = np.empty((self._unknowns, len(rows)))
        jacobian[:MOTION] = self._skin.motion(state.hand, vertices[rows].T, directions.T, rows)
        if self._unknowns > MOTION:
            arms = self._points[points] @ state.turn.T
            jacobian[_OBJECT_TURN] = -cross(arms, directions).T
            jacobian[_OBJECT_PLACE] = -directions.T
        weighted = jacobian * strengths
        normal = weighted @ jacobian.T
        right = -(weighted @ errors)
        start = self._start
        away = np.zeros(self._unknowns)
        away[TURN] = cv2.Rodrigues(state.hand.turn @ start.hand.turn.T)[0][:, 0]
        away[PLACE] = state.hand.place - start.hand.place
        away[ANGLES] = (state.hand.angles - start.hand.angles).ravel()
        if self._unknowns > MOTION:
            away[_OBJECT_TURN] = cv2.Rodrigues(state.turn)[0][:, 0]
            away[_OBJECT_PLACE] = state.shift
        prior = self._prior.copy()
        for part in (TURN, PLACE):
            prior[part] /= 1 + self._prior[part] @ away[part] ** 2
        right -= prior * away
        normal.ravel()[:: self._unknowns + 1] += prior
        change = dposv(normal, right)[1]
        longest = _LONGEST[: self._unknowns]
        return np.minimum(np.maximum(change, -longest), longest)

    def _moved(self, state: _State, change: np.ndarray) -> _State:
        hand = self._hand
        angles = state.hand.angles + change[ANGLES].reshape(5, 3, 3)
        posed = hand.posed(
            turned(state.hand.turn, change[TURN]),
            state.hand.place + change[PLACE],
            np.minimum(np.maximum(angles, hand.low), hand.high),
            state.hand.shape,
        )
        if len(change) == MOTION:
            return dataclasses.replace(state, hand=posed)
        return _State(posed, turned(state.turn, change[_OBJECT_TURN]), state.shift + change[_OBJECT_PLACE])

    def _local(self, state: _State) -> tuple[np.ndarray, np.ndarray]:
        surface = self._skin.posed(state.hand)
        normals = surface.normals.T / np.linalg.norm(surface.normals.T, axis=1, keepdims=True)
        return (surface.vertices.T - self._centre - state.shift) @ state.turn, normals @ state.turn

    def _energy_of(self, state: _State) -> float:
        vertices, normals = self._local(state)
        return self._energy(vertices + self._centre, normals)


def _tangents(normals: np.ndarray) -> np.ndarray:
    """(N, 2, 3) two unit vectors at right angles to each of unit normals (N, 3) and to each other."""
    least = np.eye(3)[np.abs(normals).argmin(1)]
    first = cross(normals, least)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return np.stack([first, cross(normals, first)], 1)
