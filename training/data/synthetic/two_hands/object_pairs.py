# SPDX-License-Identifier: Apache-2.0
"""Two hands on one object: training data of the object-conditional `two_hand_prior`.

A body stands before the object; each hand is placed alone, as a right hand or in the mirror, so that an arm of the body
reaches it, and a pair is kept if nothing penetrates anything: neither the hands each other or the object, nor their
forearms.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import HandParameters
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import vector_of
from hoi_ros.mesh.raycast import TriangleScene
from hoi_ros.mesh.sampling import even_places
from hoi_ros.mesh.surface import Surface
from hoi_ros.mesh.volumes import penetration_depth
from training.data.real.scans import ScannedObjects
from training.data.synthetic.grasps.anatomy import HandAnatomy
from training.data.synthetic.grasps.grips import GRIPS
from training.data.synthetic.objects import FAMILIES
from training.data.synthetic.objects import HELD_OUT
from training.data.synthetic.objects import ObjectShape
from training.data.synthetic.two_hands.reach import Body
from training.data.synthetic.two_hands.records import OBJECT_PAIR_DTYPE
from training.data.synthetic.two_hands.records import OBJECT_POINTS
from training.data.synthetic.two_hands.shared_objects import shared_object
from training.data.synthetic.two_hands.single_holds import before_touch
from training.data.synthetic.two_hands.single_holds import grip_object
from training.data.synthetic.two_hands.single_holds import PlacedHand
from training.data.synthetic.two_hands.single_holds import SharedObject
from training.data.synthetic.two_hands.single_holds import touch_object

KINDS: tuple[str, ...] = ('carried', 'by_the_ends', 'body_and_neck', 'in_line', 'supported', 'touched', 'approached')
"""How two hands meet at an object; the number of a record's kind counts in this list.

carried: pressed between both palms; by_the_ends: gripped at opposite ends; body_and_neck: one hand grips the body of a
bottle, one its neck or cap; in_line: both grip a handle, one after the other; supported: one grips or presses, one lies
below; touched: one holds, one touches or points; approached: one holds, one is on its way.
"""
DEEPEST = 0.0025
"""Penetration beyond which a pair is dropped, metres."""
SPLITS = {'train': 0, 'validation': 1, 'test': 2}
"""Number of each split in the random streams."""

_WEIGHTS = np.array([4, 4, 3, 2, 3, 3, 3]) / 22
_ANY = ('small', 'small', 'scan', 'scan', 'large bottle', 'board', 'pot')
_FAMILIES: dict[str, tuple[str, ...]] = {
    'carried': ('carton', 'carton', 'large ball', 'large ball', 'pot', 'scan', 'large bottle'),
    'by_the_ends': ('tray', 'tray', 'board', 'board', 'pot', 'bowl', 'scan'),
    'body_and_neck': ('large bottle', 'large bottle', 'large bottle', 'bottle', 'scan'),
    'in_line': ('long tool', 'long tool', 'scan'),
    'supported': (*_ANY, 'carton', 'large ball', 'tray'),
    'touched': _ANY,
    'approached': (*_ANY, 'carton', 'large ball', 'tray', 'long tool'),
}
"""Objects of each kind; 'small' is any family for one hand, 'scan' a scanned object, or a small one without scans."""
_ROLLING = ('large ball', 'long tool', 'tool', 'ball', 'blob', 'banana', 'spray')
"""Families that are held in any orientation; the others mostly upright."""
_TOUCHES = ['press', 'fingertips', 'point']
_WIDE = ('carton', 'large ball')
"""Families that no single hand grips."""
_FLAT = ('tray', 'board')
"""Families that no hand closes around."""
_PRECISE = ['palmar', 'tripod', 'pinch', 'lateral']
_DRAWS, _ROUNDS = 15, 40
"""Objects that are tried for one kind and family, and those for one record."""
_FLIP = np.array([-1, 1, 1])
_SPACING, _EVEN = 0.003, 4000
"""Distance in metres of measured points along the edges of an object's mesh, and number of those on its surface."""


class _Measured(NamedTuple):
    penetration: float
    gap: float


class ObjectPairs:
    """A stream of two hands on one object: index → record of `OBJECT_PAIR_DTYPE`.

    (seed, split, index) decide a record on every machine. The splits never share a random stream; 'test' also shows the
    families of objects that the other splits never do. A shape of hand belongs to both hands of a record.

    Args:
        seed: of the stream.
        split: 'train', 'validation' or 'test'.
        scans: scanned objects, which are a share of the objects; None for parametric ones only. 'test' shows the twelve
            that are held out, whatever their split.
        hand: the right hand; the default model if None.

    Raises:
        KeyError: no such split.
    """

    def __init__(
        self, seed: int = 0, split: str = 'train', scans: ScannedObjects | None = None, hand: HandModel | None = None
    ) -> None:
        self._anatomy = HandAnatomy(hand or HandModel.load())
        self._seed, self._split = seed, SPLITS[split]
        self._scans = scans and dataclasses.replace(scans, split='held_out' if split == 'test' else split)
        self._small = (*FAMILIES, *HELD_OUT) if split == 'test' else FAMILIES

    def __getitem__(self, index: int) -> np.ndarray:
        """One record."""
        return self.with_mesh(index)[0]

    def with_mesh(self, index: int) -> tuple[np.ndarray, ObjectShape]:
        """One record, and the object's mesh in the record's frame."""
        rng = np.random.default_rng([self._seed, self._split, index, 17])
        for _ in range(_ROUNDS):
            kind = KINDS[rng.choice(len(KINDS), p=_WEIGHTS)]
            family = str(rng.choice(_FAMILIES[kind]))
            for _ in range(_DRAWS):
                shape = self._object(kind, family, rng)
                thing = SharedObject(shape, _body(kind, shape, rng), rng)
                found = self._pair(kind, thing, rng)
                if found is not None:
                    return self._record(found, kind, shape, index), shape
        raise RuntimeError(f'record {index}: no two hands found on {_ROUNDS * _DRAWS} objects')

    def _object(self, kind: str, family: str, rng: np.random.Generator) -> ObjectShape:
        if family == 'scan':
            if self._scans is not None:
                return self._scans.draw(rng)
            family = {'by_the_ends': 'bowl', 'body_and_neck': 'bottle', 'in_line': 'long tool'}.get(kind, 'small')
        return shared_object(rng, str(rng.choice(self._small)) if family == 'small' else family)

    def _pair(
        self, kind: str, thing: SharedObject, rng: np.random.Generator
    ) -> tuple[PlacedHand, PlacedHand, _Measured] | None:
        """A right and a left hand of a kind on an object; None if no trial gives them."""
        shape = np.clip(rng.standard_normal(10), -2.5, 2.5).astype(np.float32)
        swapped = bool(rng.random() < 0.5)
        views = (thing.mirrored(), thing) if swapped else (thing, thing.mirrored())
        parts = _Parts(kind, thing, rng)
        for _ in range(3):
            first = self._first(kind, shape, views[0].part(parts.first), rng)
            if first is None:
                continue
            chosen = parts.second(first.middle * _FLIP if swapped else first.middle)
            if chosen.sum() < 8:
                continue
            for _ in range(3):
                second = self._second(kind, shape, views[1].part(chosen, first.arm.mirrored()), rng)
                if second is None:
                    continue
                right, left = (second, first) if swapped else (first, second)
                measured = self._measured(right, left, thing.shape)
                if measured is not None:
                    return right, left, measured
        return None

    def _first(self, kind: str, shape: np.ndarray, thing: SharedObject, rng: np.random.Generator) -> PlacedHand | None:
        if not len(thing.points):
            return None
        if kind == 'carried' or thing.shape.family in _WIDE or (kind == 'supported' and rng.random() < 0.3):
            return touch_object(self._anatomy, shape, thing, 'press', rng)
        return grip_object(self._anatomy, shape, thing, _grips(kind, thing), rng)

    def _second(self, kind: str, shape: np.ndarray, thing: SharedObject, rng: np.random.Generator) -> PlacedHand | None:
        if kind in ('carried', 'supported'):
            return touch_object(self._anatomy, shape, thing, 'press', rng)
        if kind == 'touched':
            return touch_object(self._anatomy, shape, thing, str(rng.choice(_TOUCHES)), rng)
        if kind == 'approached':
            name = rng.choice([*_TOUCHES, *([] if thing.shape.family in _WIDE else ['grip'] * 2)])
            if name == 'grip':
                placed = grip_object(self._anatomy, shape, thing, _grips(kind, thing), rng)
            else:
                placed = touch_object(self._anatomy, shape, thing, str(name), rng)
            return None if placed is None else before_touch(placed, thing, rng)
        return grip_object(self._anatomy, shape, thing, _grips(kind, thing), rng)

    def _measured(self, right: PlacedHand, left: PlacedHand, thing: ObjectShape) -> _Measured | None:
        """Penetration and gap of two hands; None if something penetrates something too deep."""
        arms = right.arm, left.arm.mirrored()
        if not all(one.leaves_room(other.wrist, other.elbow) for one, other in (arms, arms[::-1])):
            return None
        skins = arms[0].skin, arms[1].skin
        faces = self._anatomy.closed_faces
        turned = np.ascontiguousarray(faces[:, ::-1])
        first, second = Surface(skins[0], faces), Surface(skins[1], turned)
        depth, gap = 0.0, float(TriangleScene(skins[1], turned).distances(skins[0]).min())
        if (skins[0].min(0) < skins[1].max(0)).all() and (skins[1].min(0) < skins[0].max(0)).all():
            depth = max(penetration_depth(skins[0], second), penetration_depth(skins[1], first))
        if depth > DEEPEST:
            return None
        solid = Surface(thing.vertices, thing.faces)
        points = _surface_points(thing)
        for hand in (first, second):
            if penetration_depth(hand.vertices, solid) > DEEPEST or penetration_depth(points, hand) > DEEPEST:
                return None
        return _Measured(depth, 0.0 if depth > 0 else gap)

    def _record(
        self, found: tuple[PlacedHand, PlacedHand, _Measured], kind: str, thing: ObjectShape, index: int
    ) -> np.ndarray:
        right, left, measured = found
        vectors = []
        for placed in (right, left):
            pose, translation = placed.hand.parameters(placed.progress, placed.place)
            vectors.append(vector_of(self._anatomy.model, HandParameters(pose, placed.hand.shape, translation)))
        mesh = thing.vertices, thing.faces
        # Rounded, as robots do: the points must not depend on where the mesh lay.
        vertices = thing.vertices.astype(float)
        middle = (vertices.min(0) + vertices.max(0)) / 2
        places = even_places(np.round(vertices - middle, 6), thing.faces, OBJECT_POINTS)
        values = (
            vectors[0],
            mirrored(vectors[1]),
            KINDS.index(kind),
            measured.penetration,
            measured.gap,
            index,
            places.points(*mesh),
            places.normals(*mesh),
        )
        return np.array(values, OBJECT_PAIR_DTYPE)


class _Parts:
    """Points of an object that either hand of a kind may take."""

    def __init__(self, kind: str, thing: SharedObject, rng: np.random.Generator) -> None:
        self._kind, self._thing = kind, thing
        points, normals = thing.points, thing.normals
        self._axis = thing.body.direction(_unit(np.array([1, 0, 0]) + rng.normal(0, 0.12, 3)))
        self._up = thing.body.direction(np.array([0, 0, 1.0]))
        self.first = np.ones(len(points), bool)
        self._along = points @ self._axis
        if kind == 'carried':
            self._sign = 1.0 if rng.random() < 0.5 else -1.0
            self.first = self._sign * (normals @ self._axis) > 0.75
        elif kind == 'by_the_ends':
            self._sign = 1.0 if rng.random() < 0.5 else -1.0
            self.first = self._sign * self._along > 0.72 * np.abs(self._along).max()
        elif kind == 'in_line':
            self._along = points @ np.linalg.eigh(np.cov(points.T))[1][:, 2]
            low, high = self._along.min(), self._along.max()
            self._place = rng.uniform(low + 0.04, max(high - 0.04, low + 0.041))
            self.first = np.abs(self._along - self._place) < 0.025
        elif kind == 'body_and_neck':
            self._along = points[:, 2]
            self.first = self._along < -0.02
        self._step = rng.uniform(0.1, 0.15) * (1 if rng.random() < 0.5 else -1)
        self._apart = rng.uniform(0.05, 0.12)

    def second(self, middle: np.ndarray) -> np.ndarray:
        """Points (N,) bool for the second hand, once the first is at `middle` (3,)."""
        points, normals = self._thing.points, self._thing.normals
        if self._kind == 'carried':
            offset = points - middle
            beside = np.linalg.norm(offset - np.outer(offset @ self._axis, self._axis), axis=1)
            return (-self._sign * (normals @ self._axis) > 0.75) & (beside < 0.07)
        if self._kind == 'by_the_ends':
            return -self._sign * self._along > 0.72 * np.abs(self._along).max()
        if self._kind == 'body_and_neck':
            return self._along > 0.45 * self._along.max()
        if self._kind == 'in_line':
            return np.abs(self._along - self._place - self._step) < 0.025
        far = np.linalg.norm(points - middle, axis=1) > self._apart
        return far & (normals @ self._up < -0.6) if self._kind == 'supported' else far


def _grips(kind: str, thing: SharedObject) -> list[str]:
    """Names of the grips that suit a kind and an object."""
    if kind == 'in_line':
        return ['fist', 'wrap']
    return _PRECISE if thing.shape.family in _FLAT else list(GRIPS)


def _body(kind: str, shape: ObjectShape, rng: np.random.Generator) -> Body:
    """A body before an object: lengthwise across it where both ends are held, in any orientation where things roll."""
    yaw = rng.uniform(0, 2 * np.pi)
    if kind == 'by_the_ends' or shape.family in ('tray', 'board', 'pot'):
        longest = int(shape.extents[:2].argmax())
        yaw = rng.normal(0, 0.25) + np.pi * rng.integers(2) - (np.pi / 2 if longest == 1 else 0)
    elif shape.family == 'carton':
        yaw = rng.normal(0, 0.2) + np.pi / 2 * rng.integers(4)
    turn = Rotation.from_rotvec(rng.normal(0, 0.12, 3)) * Rotation.from_euler('z', yaw)
    if shape.family in _ROLLING or (kind != 'by_the_ends' and rng.random() < 0.3):
        turn = Rotation.random(random_state=rng)
    return Body.before(shape.extents, turn.as_matrix(), rng)


def _surface_points(thing: ObjectShape) -> np.ndarray:
    """(N, 3) points on a mesh and its edges: an edge is deepest in a hand, and a finger may cross a thin wall."""
    edges = np.unique(np.sort(thing.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)), axis=0)
    starts, ends = thing.vertices[edges[:, 0]], thing.vertices[edges[:, 1]]
    counts = np.ceil(np.linalg.norm(ends - starts, axis=1) / _SPACING).astype(int)
    which = np.repeat(np.arange(len(edges)), counts)
    share = (np.arange(len(which)) - np.repeat(counts.cumsum() - counts, counts)) / counts[which]
    places = even_places(thing.vertices, thing.faces, _EVEN).points(thing.vertices, thing.faces)
    return np.concatenate([starts[which] + share[:, None] * (ends - starts)[which], places])


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
