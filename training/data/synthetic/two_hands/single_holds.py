# SPDX-License-Identifier: Apache-2.0
"""One of two hands at an object: it grips, presses, touches, points, or is still on its way.

Everything is said of a right hand; a left hand is placed in the mirror.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.skeleton import FINGER_JOINTS
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.raycast import TriangleScene
from hoi_ros.simulation.finger_closing import close_fingers
from training.data.synthetic.grasps.anatomy import HandAnatomy
from training.data.synthetic.grasps.anatomy import PRESSING
from training.data.synthetic.grasps.approach import approach
from training.data.synthetic.grasps.approach import withdraw
from training.data.synthetic.grasps.closing import close_hand
from training.data.synthetic.grasps.closing import holds
from training.data.synthetic.grasps.grips import Grip
from training.data.synthetic.grasps.grips import GRIPS
from training.data.synthetic.grasps.hand import GraspingHand
from training.data.synthetic.grasps.held_object import CANDIDATES
from training.data.synthetic.grasps.held_object import HeldObject
from training.data.synthetic.grasps.held_object import WITHDRAWN
from training.data.synthetic.grasps.placement import aligned_frames
from training.data.synthetic.grasps.placement import Placement
from training.data.synthetic.grasps.placement import Tunnels
from training.data.synthetic.objects import ObjectShape
from training.data.synthetic.two_hands.reach import Arm
from training.data.synthetic.two_hands.reach import Body
from training.data.synthetic.two_hands.reach import forearm_meets

_FLIP = np.array([-1, 1, 1], np.float32)
_TUNNELS, _CORRIDOR = 300, 0.009
"""Tunnels between two sides of an object that are tried at once, and half the thickness of a finger, metres."""
_PLACES = 64
"""Places on the surface that are tried at once."""
_APPROACHES, _MISSES = 6, 3
"""Approaches of a gripping hand; after so many that failed it gives up."""
_START = 0.3
"""Distance at which a hand begins to move to the surface, metres."""
_PALM, _INDEX, _PADS = [6], [1], [1, 2, 3]
"""Landmarks of a hand that meet the surface."""


@dataclasses.dataclass(frozen=True)
class Touch:
    """A way to touch a surface from outside."""

    grip: Grip
    """Postures before and after the fingers close."""
    landmarks: list[int]
    """Landmarks whose middle is brought to the surface, as of `GraspingHand.landmarks`."""
    lean: tuple[float, float]
    """Range of the angle of the fingers to the surface, radians."""
    fingers: int
    """Fewest fingers, or palm, that touch."""
    index: bool = False
    """Whether the index finger touches first."""


def _touching(opened: tuple[tuple[float, ...], ...], closed: tuple[tuple[float, ...], ...]) -> Grip:
    return Grip('power', (1, 2, 3, 4), opened, closed, (0, 1), (0, 0), (0, 0), 0)


TOUCHES = {
    'press': Touch(
        _touching(
            (
                (-0.3, -0.15, -0.15, -0.15, -0.15),
                (-0.3, 0, 0, 0, 0),
                (-0.2, 0, 0, 0, 0),
                (0.8, 0.5, 0.1, -0.3, -0.6),
            ),
            (
                (0.7, 0.65, 0.65, 0.65, 0.65),
                (0.5, 0.5, 0.5, 0.5, 0.5),
                (0.4, 0.35, 0.35, 0.35, 0.35),
                (0.5, 0, 0, 0, 0),
            ),
        ),
        _PALM,
        (-0.1, 0.25),
        4,
    ),
    'fingertips': Touch(
        _touching(
            (
                (0, 0.2, 0.2, 0.2, 0.2),
                (0.1, 0.2, 0.2, 0.2, 0.2),
                (0.1, 0.15, 0.15, 0.15, 0.15),
                (0.6, 0.4, 0, -0.3, -0.6),
            ),
            ((0.8, 0.8, 0.8, 0.8, 0.8), (0.6, 0.5, 0.5, 0.5, 0.5), (0.4, 0.4, 0.4, 0.4, 0.4), (0.5, 0, 0, 0, 0)),
        ),
        _PADS,
        (0.2, 0.9),
        2,
    ),
    'point': Touch(
        _touching(
            ((0.6, 0.1, 0.8, 0.85, 0.85), (0.5, 0.1, 0.85, 0.9, 0.9), (0.4, 0.05, 0.6, 0.6, 0.6), (-0.1, 0, 0, 0, 0)),
            ((0.6, 0.4, 0.8, 0.85, 0.85), (0.5, 0.2, 0.85, 0.9, 0.9), (0.4, 0.2, 0.6, 0.6, 0.6), (-0.1, 0, 0, 0, 0)),
        ),
        _INDEX,
        (0.4, 1.2),
        1,
        index=True,
    ),
}


class SharedObject(HeldObject):
    """An object between two hands, seen in the mirror for the left one.

    Args:
        shape: the object.
        body: before which it is.
        rng: source of the points on it.
    """

    def __init__(self, shape: ObjectShape, body: Body, rng: np.random.Generator) -> None:
        super().__init__(shape, rng, 1600)
        self.body = body
        self._surface = self.points
        self._hand: GraspingHand | None = None
        self._other: Arm | None = None

    def mirrored(self) -> SharedObject:
        """The object and the body in the mirror, with the same points in the same order."""
        other = copy.copy(self)
        faces = np.ascontiguousarray(self.shape.faces[:, ::-1])
        other.shape = dataclasses.replace(self.shape, vertices=self.shape.vertices * _FLIP, faces=faces, texture=None)
        other.scene = TriangleScene(other.shape.vertices, faces)
        other._surface = self._surface * _FLIP
        other.points, other.normals, other.body = self.points * _FLIP, self.normals * _FLIP, self.body.mirrored()
        return other

    def part(self, chosen: np.ndarray, arm: Arm | None = None) -> SharedObject:
        """The object of which a hand takes chosen points (N,) only, and whose arm leaves the other arm alone."""
        other = copy.copy(self)
        other._other = arm
        other.points, other.normals = self.points[chosen], self.normals[chosen]
        return other

    def taken_by(self, hand: GraspingHand) -> SharedObject:
        """The object of which only those tunnels are offered that an arm reaches with this hand."""
        other = copy.copy(self)
        other._hand = hand
        return other

    def tunnels(self, grip: Grip, rng: np.random.Generator) -> Tunnels | None:
        """As of `HeldObject`, but only those that the arm reaches."""
        if self._hand is None:
            return super().tunnels(grip, rng)
        pairs, widths = self._sides(rng)
        fitting = np.flatnonzero((widths > grip.widths[0]) & (widths < grip.widths[1]))
        if not len(fitting):
            return None
        picked = rng.choice(fitting, _TUNNELS)
        pairs, widths = pairs[picked], widths[picked]
        frames = aligned_frames(pairs[:, 1] - pairs[:, 0], rng.standard_normal((_TUNNELS, 3)))
        _, own = self._hand.opened_for(np.median(widths, keepdims=True), rng)
        rotations = frames @ own.frames[0].T
        wrists = pairs.mean(1) + rotations @ (self._hand.wrist() - own.middles[0])
        reached = np.flatnonzero(self.body.elbows(rotations, wrists)[1].any(1))
        beside = pairs[reached] + _CORRIDOR * np.array([[-1], [1]]) * frames[reached, None, :, 0]
        if not len(reached):
            return None
        room = self.scene.cast(beside, -frames[reached, None, :, 1]).reach.min(1)
        free = reached[(room > WITHDRAWN) & ~self.scene.inside(beside).any(1)]
        if not len(free):
            return None
        chosen = rng.choice(free, CANDIDATES)
        return Tunnels(pairs[chosen].mean(1), widths[chosen], frames[chosen])

    def elbow(self, place: Placement, wrist: np.ndarray) -> np.ndarray | None:
        """(3,) an elbow of a hand's arm that leaves the object and the other arm alone; None without one."""
        at = place.of(wrist)
        elbows, possible = self.body.elbows(place.rotation[None], at[None])
        for elbow in elbows[0, possible[0]]:
            if self._other is not None and not self._other.leaves_room(at, elbow):
                continue
            if not forearm_meets(self._surface, at, elbow):
                return elbow
        return None


class PlacedHand(NamedTuple):
    """A right hand at an object, or a left one in the mirror.

    Attributes:
        hand: its postures.
        place: its place in the object's frame.
        progress: (16,) of its joints.
        elbow: (3,) in the object's frame, metres.
    """

    hand: GraspingHand
    place: Placement
    progress: np.ndarray
    elbow: np.ndarray

    @property
    def arm(self) -> Arm:
        """Its arm in the object's frame."""
        skin = self.place.of(self.hand.vertices(self.progress)).astype(float)
        return Arm(self.place.of(self.hand.wrist()).astype(float), self.elbow, skin)

    @property
    def middle(self) -> np.ndarray:
        """(3,) middle of the palm and the pads, metres."""
        return self.place.of(self.hand.landmarks(self.progress)).mean(0).astype(float)


def grip_object(
    anatomy: HandAnatomy, shape: np.ndarray, thing: SharedObject, names: list[str], rng: np.random.Generator
) -> PlacedHand | None:
    """Closes a hand (shape (10,)) around a part of an object in one of named grips; None if it cannot."""
    weights = np.array([GRIPS[name].weight for name in names])
    grip = GRIPS[names[rng.choice(len(names), p=weights / weights.sum())]]
    hand = _hand(anatomy, grip, shape, rng)
    reachable = thing.taken_by(hand)
    missed = 0
    for _ in range(_APPROACHES):
        place = approach(hand, reachable, rng)
        elbow = None if place is None else thing.elbow(place, hand.wrist())
        if place is None or elbow is None:
            missed += 1
            if missed == _MISSES:
                return None
            continue
        progress = close_hand(hand, thing, place, rng)
        if progress is None:
            continue
        gap = thing.gap(place.of(hand.vertices(progress)))
        if holds(anatomy.links_near(gap.distance, PRESSING), grip):
            return PlacedHand(hand, place, progress, elbow)
    return None


def touch_object(
    anatomy: HandAnatomy, shape: np.ndarray, thing: SharedObject, name: str, rng: np.random.Generator
) -> PlacedHand | None:
    """Brings a hand (shape (10,)) to the surface of a part of an object in the manner TOUCHES[name]; None if it cannot.

    The hand faces the surface, moves against its normal until it touches, and closes its fingers until they touch.
    """
    touch = TOUCHES[name]
    hand = _hand(anatomy, touch.grip, shape, rng)
    skin = hand.vertices(np.zeros(16))
    aim = hand.landmarks(np.zeros(16))[touch.landmarks].mean(0)
    picked = rng.integers(len(thing.points), size=_PLACES)
    points, normals = thing.points[picked], thing.normals[picked]
    rotations = _facing(normals, rng.uniform(*touch.lean, _PLACES), rng)
    wrist = hand.wrist()
    reached = points + (rotations @ (wrist - aim)[:, None])[..., 0] + 0.01 * normals
    possible = thing.body.elbows(rotations, reached)[1].any(1)
    for candidate in np.flatnonzero(possible)[:4]:
        start = points[candidate] - rotations[candidate] @ aim + _START * normals[candidate]
        place = Placement(rotations[candidate], start, -normals[candidate], 0.0)
        room = thing.scene.cast(place.of(skin), place.approach).reach
        first = int(room.argmin())
        if not 0.2 < room[first] < _START + 0.02 or (touch.index and not _of_index(anatomy, first)):
            continue
        place = place.moved(float(room[first]))
        elbow = thing.elbow(place, wrist)
        if elbow is None:
            continue
        progress = _closed(hand, thing, place)
        gap = thing.gap(place.of(hand.vertices(progress)))
        links = anatomy.links_near(gap.distance, PRESSING)
        if links[FINGER_JOINTS].any(1).sum() + links[0] < touch.fingers or hand.runs_into_itself(progress):
            continue
        return PlacedHand(hand, place, progress, elbow)
    return None


def before_touch(placed: PlacedHand, thing: SharedObject, rng: np.random.Generator) -> PlacedHand | None:
    """The hand shortly before it touches the object: up to 10 cm away, its fingers partly opened."""
    before = withdraw(placed.hand, thing, placed.place, placed.progress, rng)
    if before is None:
        return None
    progress, place, _ = before
    elbow = thing.elbow(place, placed.hand.wrist())
    if elbow is None or thing.gap(place.of(placed.hand.vertices(progress))).distance.min() < TOUCHING:
        return None
    return PlacedHand(placed.hand, place, progress, elbow)


def _hand(anatomy: HandAnatomy, grip: Grip, shape: np.ndarray, rng: np.random.Generator) -> GraspingHand:
    hand = GraspingHand(anatomy, grip, rng)
    hand.shape = shape
    return hand


def _facing(normals: np.ndarray, lean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, 3, 3) rotations of hands that face a surface with normals (N, 3), fingers leaning (N,) towards it."""
    beside = np.cross(normals, rng.standard_normal(normals.shape))
    beside /= np.linalg.norm(beside, axis=1, keepdims=True)
    cosine, sine = np.cos(lean)[:, None], np.sin(lean)[:, None]
    fingers = cosine * beside - sine * normals
    palm = -cosine * normals - sine * beside
    frames = np.stack([np.cross(fingers, palm), fingers, palm], -1)
    return frames @ Rotation.from_rotvec(rng.normal(0, 0.06, normals.shape)).as_matrix()


def _of_index(anatomy: HandAnatomy, vertex: int) -> bool:
    return bool(anatomy.is_fingertip[vertex]) and int(anatomy.model.weights[vertex].argmax()) in FINGER_JOINTS[1]


def _closed(hand: GraspingHand, thing: SharedObject, place: Placement) -> np.ndarray:
    """(16,) progress of a hand whose fingers close on the object; a finger that meets nothing follows the others."""
    fingers = hand.anatomy.all_fingers
    progress, touching = close_fingers(
        fingers, lambda ways: place.of(hand.fingers(fingers, ways)), thing.scene.inside, np.zeros(16)
    )
    held = touching[FINGER_JOINTS].any(1)
    for finger in range(5):
        if not held[finger]:
            others = held[1:] if finger else held[1:4]
            rows = FINGER_JOINTS[1 : 1 + len(others)][others]
            progress[FINGER_JOINTS[finger]] = progress[rows].mean() if len(rows) else 0.3
    return progress
