# SPDX-License-Identifier: Apache-2.0
"""Moves a hand and its object to a target contact, within a time budget.

The energy is that of `contact_energy` (Grady et al., "ContactOpt", CVPR 2021) and a term that keeps the wrist near the
input: weight · log(1 + move² + turn²), both in standard deviations of the prior. Instead of descending it, the hand is
fitted to pairs of points of both contact maps by Gauss-Newton with robust weights; vertices that should not touch are
kept outside the object. Rigid alignments of the two maps are further starts, and the result of least energy counts.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import cv2
import numpy as np
from scipy.spatial import cKDTree

from hoi_ros.hand.articulation import Articulation
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skinning import Skin
from hoi_ros.stages.parts.contact_alignment import aligned
from hoi_ros.stages.parts.contact_alignment import spread
from hoi_ros.stages.parts.contact_energy import discs_of_vertices
from hoi_ros.stages.parts.contact_energy import GraspEnergy
from hoi_ros.stages.parts.contact_energy import NEIGHBOURS
from hoi_ros.stages.parts.contact_energy import ObjectSurfacePoints
from hoi_ros.stages.parts.contact_least_squares import GraspLeastSquares
from hoi_ros.stages.parts.contact_least_squares import GraspState
from hoi_ros.stages.parts.contact_least_squares import RefinementConfig


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


class ContactRefiner:
    """Refines grasps of one side of a hand model; the caller mirrors a left hand and its object."""

    def __init__(self, model: HandModel, config: RefinementConfig | None = None) -> None:
        """Takes a HandModel held in NumPy arrays."""
        self.model, self._config = model, config or RefinementConfig()
        self._hand, self._skin, self._discs = Articulation(model), Skin(model), discs_of_vertices(model)
        template = model.template.astype(float)
        self._neighbours = cKDTree(template).query(template, min(NEIGHBOURS, len(template)))[1]

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
            hold_object: whether the object stays where it is; the configuration says whether the hand does.
            budget: seconds until the search ends; the step under way is finished. Infinite for results that do not
                depend on the machine's load.
            restarts: starts that are tried, and the input where none of them leads to less energy; more than one where
                the error may exceed a few centimetres.

        Raises:
            ValueError: an array has another shape, holds a number that is not finite, or contact is not in [0, 1].
        """
        began = time.perf_counter()
        self._check(pose, shape, translation, surface, hand_contact, object_contact)
        hand = self._hand
        start = hand.posed(
            cv2.Rodrigues(pose[:3].astype(float))[0],
            hand.place_of(translation.astype(float), shape.astype(float)),
            hand.angles_of(pose),
            shape.astype(float),
        )
        given = GraspState(start, np.eye(3), np.zeros(3))
        energy = GraspEnergy(self._discs, surface, hand_contact, object_contact, self._config.weights)
        problem = GraspLeastSquares(hand, self._skin, self._config, energy, self._neighbours, given, hold_object)

        def energy_of(state: GraspState) -> float:
            vertices, normals = problem.surface(state)
            return energy(vertices + problem.centre, normals) + self._nearness(given, state)

        measuring = time.perf_counter()
        before = energy_of(given)
        measuring = time.perf_counter() - measuring
        best, least, steps = given, before, 0
        for number, first in enumerate(() if problem.idle(given) else self._starts(problem, given, restarts)):
            if number >= restarts and best is not given:
                break
            left = began + budget - measuring - time.perf_counter()
            if left <= 0:
                break
            state, taken = problem.fit(first, time.perf_counter() + left)
            steps += taken
            reached = energy_of(state)
            if reached < (least if first is given else min(least, (1 - self._config.gain) * before)):
                best, least = state, reached
        motion = np.eye(4)
        if best is not given:
            pose, translation = hand.pose_of(best.hand), hand.translation_of(best.hand)
            motion[:3, :3] = best.turn
            motion[:3, 3] = problem.centre + best.shift - best.turn @ problem.centre
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

    def _starts(self, problem: GraspLeastSquares, given: GraspState, restarts: int) -> Iterator[GraspState]:
        """The input and the rigid alignments of the contact maps, the most promising first, one more than `restarts` or
        fewer; sets the problem's trust in the input before each. An input whose maps lie near each other is the only
        start unless more are asked for: alignments of such maps have little less energy and much more error."""
        mine, others = problem.on_hand, problem.on_object
        if self._config.hold_hand or not len(mine.rows) or not len(others.rows):
            problem.trust(self._config.near)
            yield given
            return
        vertices, normals = problem.surface(given)
        maps = (
            vertices[mine.rows],
            normals[mine.rows],
            mine,
            problem.points[others.rows],
            problem.normals[others.rows],
            others,
        )
        near = spread(*maps) < self._config.near_maps
        if near:
            problem.trust(self._config.near)
            yield given
            if restarts == 1:
                return
        # Far from the input its own pairs are wrong.
        problem.trust(self._config.far)
        hand, centre = given.hand, problem.centre
        for motion in aligned(*maps, restarts):
            place = motion[:3, :3] @ (hand.place - centre) + motion[:3, 3] + centre
            if np.linalg.norm(place - hand.place) < self._config.farthest:
                posed = self._hand.posed(motion[:3, :3] @ hand.turn, place, hand.angles, hand.shape)
                yield dataclasses.replace(given, hand=posed)
        if not near:
            problem.trust(self._config.near)
            yield given

    def _nearness(self, given: GraspState, state: GraspState) -> float:
        """The energy's term that keeps the hand near the input."""
        config = self._config
        move = np.linalg.norm(state.hand.place - given.hand.place) / config.far.place_noise
        turn = np.linalg.norm(cv2.Rodrigues(state.hand.turn @ given.hand.turn.T)[0]) / config.far.turn_noise
        return config.weights.nearness * float(np.log1p(move**2 + turn**2))

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
