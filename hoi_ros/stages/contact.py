# SPDX-License-Identifier: Apache-2.0
"""Hands and the objects in them → where they touch, both refined until they do, and the grasp.

The contact network is that of Tse et al., "S²Contact: Graph-based Network for 3D Hand-Object Contact Estimation with
Semi-Supervised Learning" (ECCV 2022). It says how firmly each place of both surfaces is touched; hand and object are
then moved until they touch there and do not pass through each other.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.engines import Backend
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.model import mirror_pose
from hoi_ros.hand.wrist_frame import wrist_frame
from hoi_ros.mesh.closing import is_closed
from hoi_ros.mesh.contact import surface_gap
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.contact import winding
from hoi_ros.mesh.nearest import nearest_points
from hoi_ros.mesh.normals import cross
from hoi_ros.mesh.normals import face_normals
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.mesh.sampling import even_places
from hoi_ros.resources import model_dir
from hoi_ros.stages.parts.contact_energy import ObjectSurfacePoints
from hoi_ros.stages.parts.contact_least_squares import OBSERVED_HAND
from hoi_ros.stages.parts.contact_network import ContactNetwork
from hoi_ros.stages.parts.contact_points import ContactMeasure
from hoi_ros.stages.parts.contact_refinement import ContactRefiner
from hoi_ros.stages.parts.contact_refinement import RefinedGrasp
from hoi_ros.stages.parts.grasp_description import GraspDescription
from hoi_ros.stages.parts.object_carving import carved
from hoi_ros.stages.parts.object_claims import GAP_WITHIN

_FARTHEST = 0.1
"""Distance between hand and object beyond which they are not looked at, metres: twice the largest error that the
network has been trained on."""
_POINTS = 2048
"""Points on the object's surface, as in the paper."""
_LARGEST_HAND, _LARGEST_OBJECT, _SMALLEST_OBJECT = 0.5, 1.5, 0.005
"""Diagonals of the bounding boxes of a hand's joints and of an object, metres: millimetres exceed the first two, and
kilometres given for metres fall below the last."""
_MOST_FACES = 100_000
"""Triangles of an object: more take seconds."""
_INVERTED, _INVERTED_SHARE = 1e-6, 1e-4
"""Volume below 0 from which on a closed mesh is inside out, m³, and as a share of its area to the power of 1.5,
whichever is less: a folded mesh may be a little below 0, and a card has less than 1 cm³."""
_NEAREST, _AROUND = 3, 12
"""Points of the object whose contact a vertex of its mesh takes, weighted by their distance, of those around it."""
_FACING = 0.005
"""Metres that a unit of the difference of normals counts there: the far side of a thin plate is near."""
_MIRROR = np.array([-1, 1, 1])


class NoContact(Exception):
    """Why a hand gets no contact."""


class ContactStage:
    """Estimates contact, refines hands and objects, and describes grasps.

    Args:
        models: folder of the trained network and of the hand model; the package's own by default.
        backend: of the engine.
        threads: of the engine.
        refine: whether hands or objects are moved.
        budget: longest time of the refinement of a frame, all hands together, seconds.
        hold_object: whether the hand moves to the object, which stays where it is.
        restarts: starts of the refinement of a hand.
        observed: whether hands have been fitted to images: then their objects move to them, and give way where the hand
            is. Otherwise hand and object are as unsure of each other, and both move.

    Attributes:
        reasons: of the last call, why a hand that holds something got no contact, by its `track_id`.
        timings: seconds of each part of the last call.

    Raises:
        EngineError, HandModelError, ResourceError: a model is missing or damaged.
    """

    def __init__(
        self,
        models: Path | None = None,
        backend: Backend = 'auto',
        threads: int | None = None,
        refine: bool = True,
        budget: float = 0.06,
        hold_object: bool = False,
        restarts: int = 1,
        observed: bool = True,
    ) -> None:
        self.refine, self.budget, self.hold_object, self.restarts = refine, budget, hold_object, restarts
        self.timings: dict[str, float] = {}
        self.reasons: dict[int, str] = {}
        right = HandModel.load(model_dir('hand_model', models) / 'hand.npz')
        self._hands = {'right': right, 'left': right.mirrored()}
        self._network = ContactNetwork(model_dir('contact', models), right.template, backend, threads)
        self._observed = observed
        self._hand_refiner = ContactRefiner(right)
        self._refiner = ContactRefiner(right, OBSERVED_HAND) if observed else self._hand_refiner
        self._measures = {side: ContactMeasure(model) for side, model in self._hands.items()}
        self._describe = {side: GraspDescription(model) for side, model in self._hands.items()}

    def hand_model(self, side: str) -> HandModel:
        """The hand model of 'left' or 'right'."""
        return self._hands[side]

    def warm_up(self) -> None:
        """Runs everything once, so that the first frame takes as long as the others."""
        model = self._hands['right']
        pose, shape, place = np.zeros(48, np.float32), np.zeros(10, np.float32), np.array([0, 0, 0.5], np.float32)
        posed = model.forward(pose, shape, place)
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        vertices = posed.vertices.mean(0) + [0, 0, 0.03] + 0.02 * corners
        quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
        faces = np.array([[a, b, c] for a, b, c, _ in quads] + [[a, c, d] for a, _, c, d in quads])
        unknown = np.full(4, math.nan)
        held = ObjectEstimate(1.0, vertices.astype(np.float32), unknown[:3], unknown, unknown[:3], math.nan, False)
        scores = np.ones(21, np.float32)
        hand = HandEstimate('right', 0, 1.0, posed.keypoints, scores, pose, shape, place, posed.vertices, held=held)
        self([hand], faces, 0.0)
        self.reset()

    def reset(self) -> None:
        """Forgets the last call."""
        self.timings, self.reasons = {}, {}

    def __call__(self, hands: Sequence[HandEstimate], object_faces: np.ndarray, stamp: float) -> list[HandEstimate]:
        """Estimates the contact of the hands of one image.

        Args:
            hands: with their meshes, as `reconstruction` estimates them.
            object_faces: (F, 3) triangles of the meshes of what they hold, counter-clockwise from outside.
            stamp: seconds.

        Returns:
            The same hands in the same order. Those that hold something have `contact`, and `grasp` where they grasp it;
            with `refine` they are moved. The others are as they came; `reasons` says why.
        """
        begun = time.perf_counter()
        self.reset()
        self.timings = dict.fromkeys(('network', 'refine', 'describe'), 0.0)
        left = sum(hand.held is not None for hand in hands)
        results = []
        for hand in hands:
            if hand.held is not None:
                try:
                    share = (self.budget - self.timings['refine']) / left
                    hand = self._touching(hand, hand.held, object_faces, share)
                except NoContact as reason:
                    self.reasons[hand.track_id] = str(reason)
                left -= 1
            results.append(hand)
        self.timings['total'] = time.perf_counter() - begun
        return results

    def _touching(self, hand: HandEstimate, held: ObjectEstimate, faces: np.ndarray, budget: float) -> HandEstimate:
        """A hand with its contact and grasp.

        Raises:
            NoContact: hand and object do not allow it.
        """
        begun = time.perf_counter()
        self._check(hand, held, faces)
        # Networks and refinement see a right hand near the origin, where single precision is finest.
        origin = held.vertices.mean(0, dtype=np.float64)
        flip = _MIRROR if hand.side == 'left' else np.ones(3)
        turned = faces[:, ::-1] if hand.side == 'left' else faces
        mesh = (held.vertices - origin) * flip
        vertices, joints = (hand.vertices - origin) * flip, (hand.joints - origin) * flip
        try:
            # In the palm's frame their order, and what the network finds, does not depend on the camera's.
            places = even_places(mesh @ wrist_frame(joints, 'right'), turned, _POINTS)
        except ValueError as error:
            raise NoContact(f'its object has no usable mesh: {error}') from error
        surface = ObjectSurfacePoints(places.points(mesh, turned), places.normals(mesh, turned))
        _check_places(vertices, joints, mesh, turned, surface)
        normals = vertex_normals(vertices, self._hands['right'].faces)
        on_hand, on_points = self._network(vertices, normals, surface.points, surface.normals, joints)
        inferred = time.perf_counter()
        smooth = None
        if self.refine:
            refined = self._refined(hand, surface, on_hand, on_points, origin * flip, max(budget, 1e-3))
            hand, held = moved(hand, held, refined, origin, flip)
            if self._observed and not self.hold_object:
                smooth = held.vertices
                held = dataclasses.replace(held, vertices=carved(held.vertices, hand.vertices).astype(np.float32))
        settled = time.perf_counter()
        on_mesh = contact_of_vertices(mesh, turned, surface, on_points)
        gap = surface_gap(hand.vertices, held.vertices, faces)
        contact = self._measures[hand.side](hand.vertices, on_hand, held.vertices, faces, on_mesh, gap, smooth)
        held = _claimed(held, gap, closed=not math.isnan(contact.intersection))
        hand = dataclasses.replace(hand, held=held, contact=contact)
        hand = dataclasses.replace(hand, grasp=self._describe[hand.side](hand, held, contact))
        done = time.perf_counter()
        for part, seconds in (
            ('network', inferred - begun),
            ('refine', settled - inferred),
            ('describe', done - settled),
        ):
            self.timings[part] += seconds
        return hand

    def _check(self, hand: HandEstimate, held: ObjectEstimate, faces: np.ndarray) -> None:
        """Raises NoContact unless there are two meshes in metres."""
        count = len(self._hands[hand.side].template)
        if hand.vertices.shape != (count, 3) or len(held.vertices) == 0:
            raise NoContact(
                f'{len(hand.vertices)} vertices of the hand and {len(held.vertices)} of its object came, expected '
                f'{count} and some: publish the meshes'
            )
        if len(faces) > _MOST_FACES:
            raise NoContact(f'its object has {len(faces)} triangles, expected at most {_MOST_FACES}: decimate its mesh')
        if len(faces) and not 0 <= faces.min() <= faces.max() < len(held.vertices):
            raise NoContact(
                f'triangles of its object name vertices {faces.min()} to {faces.max()}, there are {len(held.vertices)}'
            )
        for name, array in (
            ('vertices of the hand', hand.vertices),
            ('joints', hand.joints),
            ('vertices of its object', held.vertices),
        ):
            if not np.isfinite(array).all():
                raise NoContact(f'{int((~np.isfinite(array).all(1)).sum())} of {len(array)} {name} are not finite')
        for name, array, most in (
            ('the hand', hand.joints, _LARGEST_HAND),
            ('its object', held.vertices, _LARGEST_OBJECT),
        ):
            if (across := float(np.linalg.norm(np.ptp(array, axis=0)))) > most:
                raise NoContact(
                    f'{name} measures {across:.4g} m across, expected at most {most:g} m: it seems to be in millimetres'
                )
        if across < _SMALLEST_OBJECT:
            raise NoContact(f'its object measures {across:.4g} m across, expected metres, {_SMALLEST_OBJECT:g} or more')

    def _refined(
        self,
        hand: HandEstimate,
        surface: ObjectSurfacePoints,
        on_hand: np.ndarray,
        on_points: np.ndarray,
        origin: np.ndarray,
        budget: float,
    ) -> RefinedGrasp:
        """The right hand of a hand, refined about an origin (3,) that is mirrored like the surface."""
        left = hand.side == 'left'
        pose = mirror_pose(hand.pose) if left else hand.pose
        translation = hand.translation * (_MIRROR if left else 1) - origin
        try:
            return (self._hand_refiner if self.hold_object else self._refiner)(
                pose,
                hand.shape,
                translation.astype(np.float32),
                surface,
                on_hand,
                on_points,
                hold_object=self.hold_object,
                budget=budget,
                restarts=self.restarts,
            )
        except ValueError as error:
            raise NoContact(str(error)) from error


def _check_places(
    hand: np.ndarray, joints: np.ndarray, mesh: np.ndarray, faces: np.ndarray, surface: ObjectSurfacePoints
) -> None:
    """Raises NoContact unless a hand is near the outside of its object's mesh, whose triangles face outwards."""
    some = hand[::8]
    apart = float(np.linalg.norm(some - surface.points[nearest_points(some, surface.points)], axis=1).min())
    if apart > _FARTHEST:
        raise NoContact(f'its object is {apart:.2f} m away from it, expected at most {_FARTHEST:.2f} m')
    corners = mesh[faces]
    volume = float((cross(corners[:, 0], corners[:, 1]) * corners[:, 2]).sum()) / 6
    area = float(np.linalg.norm(face_normals(mesh, faces), axis=1).sum()) / 2
    if volume < -min(_INVERTED, _INVERTED_SHARE * area**1.5) and is_closed(mesh, faces):
        raise NoContact(
            f'the triangles of its object face inwards (volume {1e6 * volume:.2g} cm³), expected counter-clockwise '
            'from outside'
        )
    within = ((joints > mesh.min(0)) & (joints < mesh.max(0))).all()
    if within and (winding(joints, mesh, faces) != 0).all() and is_closed(mesh, faces):
        raise NoContact('the whole hand lies inside its object')


def _claimed(held: ObjectEstimate, gap: float, closed: bool) -> ObjectEstimate:
    """An object with `gap` and `touching` of the hand's place.

    Withheld ones stay so, and both are withheld where the object's mesh is not closed. A claim that the refinement has
    turned into another one does not keep its confidence: that of the other touch is what remains to 1, and a gap that
    moved by more than the claim allows is withheld.

    Args:
        held: the object.
        gap: `surface_gap` of the hand.
        closed: whether the mesh is.
    """
    given, touching = held.confidence, gap <= TOUCHING
    touch = given.touching if touching == held.touching else 1 - given.touching
    sure = dataclasses.replace(
        given,
        touching=touch if closed and given.touching > 0 and touch >= min(given.touching, 0.5) else 0.0,
        gap=given.gap if closed and abs(gap - held.gap) <= GAP_WITHIN else 0.0,
    )
    return dataclasses.replace(
        held,
        gap=gap if sure.gap > 0 else math.nan,
        touching=touching and sure.touching > 0,
        confidence=sure,
    )


def moved(
    hand: HandEstimate, held: ObjectEstimate, refined: RefinedGrasp, origin: np.ndarray, flip: np.ndarray
) -> tuple[HandEstimate, ObjectEstimate]:
    """A hand and its object as they are refined.

    Args:
        hand: as it came, camera's frame.
        held: as it came.
        refined: of the right hand about the origin.
        origin: (3,) of the refinement in the camera's frame.
        flip: (3,) signs of the axes in the refinement.
    """
    turn = refined.object_motion[:3, :3] * np.outer(flip, flip)
    shift = refined.object_motion[:3, 3] * flip + origin - turn @ origin
    hand = dataclasses.replace(
        hand,
        joints=(refined.keypoints * flip + origin).astype(np.float32),
        pose=mirror_pose(refined.pose) if hand.side == 'left' else refined.pose,
        translation=(refined.translation * flip + origin).astype(np.float32),
        vertices=(refined.vertices * flip + origin).astype(np.float32),
    )
    orientation = held.orientation
    if np.isfinite(orientation).all():
        orientation = (Rotation.from_matrix(turn) * Rotation.from_quat(orientation)).as_quat()
    held = dataclasses.replace(
        held,
        vertices=(held.vertices @ turn.T + shift).astype(np.float32),
        position=turn @ held.position + shift,
        orientation=orientation,
    )
    return hand, held


def contact_of_vertices(
    vertices: np.ndarray, faces: np.ndarray, surface: ObjectSurfacePoints, contact: np.ndarray
) -> np.ndarray:
    """(M,) contact of the vertices of a mesh, float32, from that of points on it that face the vertex's way.

    Args:
        vertices, faces: (M, 3) and (F, 3) of the mesh.
        surface: N points on it.
        contact: (N,) of the points.
    """
    around = min(_AROUND, len(surface.points))
    distances, found = surface.tree.query(vertices, range(1, around + 1))
    apart = ((surface.normals[found] - vertex_normals(vertices, faces)[:, None]) ** 2).sum(-1)
    distances = np.sqrt(distances**2 + _FACING**2 * apart)
    chosen = np.argsort(distances, 1)[:, :_NEAREST]
    distances, found = (np.take_along_axis(part, chosen, 1) for part in (distances, found))
    weights = 1 / np.maximum(distances, 1e-6)
    return ((weights * contact[found]).sum(1) / weights.sum(1)).astype(np.float32)
