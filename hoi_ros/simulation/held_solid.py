# SPDX-License-Identifier: Apache-2.0
"""What a simulated hand holds, and how its fingers close around it.

Fingers close link by link (as in Miller and Allen, "GraspIt!", 2004): the joints of a finger turn together; when a
link touches, the joints that carry it stop and the ones beyond go on.
"""

from __future__ import annotations

import abc
import dataclasses

import numpy as np

from hoi_ros.hand import HandModel
from hoi_ros.hand.skeleton import JOINT_NAMES
from hoi_ros.hand.skeleton import TIP_JOINTS

_FINGERS = np.array(
    [
        [joint, joint + 1, joint + 2]
        for joint in (
            JOINT_NAMES.index(name) for name in ('thumb_cmc', 'index_mcp', 'middle_mcp', 'ring_mcp', 'little_mcp')
        )
    ]
)
# Thumb to little, share of the limits: flexion of the three joints and abduction, of the hand before it closes and of
# the hand that met nothing. A negative share is one of the lower limit; the thumb's abduction is tried.
_OPEN = np.array(
    [[-0.3, 0.1, 0.1, 0.1, 0.1], [0, 0.1, 0.1, 0.1, 0.1], [0, 0.1, 0.1, 0.1, 0.1], [0, 0.1, 0, -0.1, -0.2]]
)
_CLOSED = np.array(
    [[1, 0.95, 0.95, 0.95, 0.95], [0.9, 0.95, 0.95, 0.95, 0.95], [0.8, 0.6, 0.6, 0.6, 0.6], [0, 0, 0, 0, 0]]
)
_THUMBS = ((1, 0.3), (1, 0.7), (0.6, 0.1), (0.2, -0.2))
"""Abductions of the thumb, open and closed."""
_STEPS = 40
_GIVES = 0.002
"""Metres that flesh gives before a link stops."""
_TOUCHING = 0.005
"""Metres between two surfaces that count as in contact."""
_DEEPEST = 0.004
"""Metres that a hand may lie inside of what it holds."""
_PLACES = np.linspace(0.05, 0.11, 7)
"""Where across the palm the object may lie: metres from the wrist towards the fingers."""
_FARTHEST, _HALVINGS = 0.2, 14


class Solid(abc.ABC):
    """A body in a frame of its own, whose centre is the origin, whose longest side lies along z and whose shortest
    along x.

    Attributes:
        size: (3,) metres, of the box around it.
        vertices: (M, 3) and faces (F, 3), counter-clockwise from outside, of its surface.
    """

    size: np.ndarray
    vertices: np.ndarray
    faces: np.ndarray

    @abc.abstractmethod
    def distance(self, points: np.ndarray) -> np.ndarray:
        """Signed distance (N,) of points (N, 3) to its surface, metres, negative inside."""


class Can(Solid):
    """A cylinder along z."""

    def __init__(self, radius: float = 0.033, length: float = 0.115, corners: int = 64) -> None:
        self._radius, self._half = radius, length / 2
        self.size = np.array([2 * radius, 2 * radius, length])
        turn = np.arange(corners) * 2 * np.pi / corners
        ring = radius * np.stack([np.cos(turn), np.sin(turn)], -1)
        ends = [np.column_stack([ring, np.full(corners, end)]) for end in (-self._half, self._half)]
        self.vertices = np.concatenate([*ends, [[0, 0, -self._half], [0, 0, self._half]]])
        here, there = np.arange(corners), (np.arange(corners) + 1) % corners
        bottom, top = np.full(corners, 2 * corners), np.full(corners, 2 * corners + 1)
        self.faces = np.concatenate(
            [
                np.stack(side, -1)
                for side in (
                    (here, there, corners + there),
                    (here, corners + there, corners + here),
                    (bottom, there, here),
                    (top, corners + here, corners + there),
                )
            ]
        )

    def distance(self, points: np.ndarray) -> np.ndarray:
        beyond = np.stack([np.hypot(points[:, 0], points[:, 1]) - self._radius, np.abs(points[:, 2]) - self._half], -1)
        return _outside_or_inside(beyond)


class Box(Solid):
    """A box with edges along the axes."""

    def __init__(self, size: tuple[float, float, float] = (0.045, 0.065, 0.12)) -> None:
        self.size = np.array(size)
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        self.vertices = corners * self.size / 2
        quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
        self.faces = np.array([[a, b, c] for a, b, c, _ in quads] + [[a, c, d] for a, _, c, d in quads])

    def distance(self, points: np.ndarray) -> np.ndarray:
        return _outside_or_inside(np.abs(points) - self.size / 2)


class Ball(Solid):
    """A sphere."""

    def __init__(self, radius: float = 0.036, rings: int = 24) -> None:
        self._radius = radius
        self.size = np.full(3, 2 * radius)
        polar = np.linspace(0, np.pi, rings + 1)[1:-1]
        turn = np.arange(2 * rings) * np.pi / rings
        grid = np.stack(
            [
                np.outer(np.sin(polar), np.cos(turn)),
                np.outer(np.sin(polar), np.sin(turn)),
                np.outer(np.cos(polar), np.ones(2 * rings)),
            ],
            -1,
        ).reshape(-1, 3)
        self.vertices = radius * np.concatenate([grid, [[0, 0, 1], [0, 0, -1]]])
        ring, here = np.meshgrid(np.arange(rings - 2), np.arange(2 * rings), indexing='ij')
        there = (here + 1) % (2 * rings)
        a, b, c, d = (
            ring * 2 * rings + here,
            ring * 2 * rings + there,
            (ring + 1) * 2 * rings + here,
            (ring + 1) * 2 * rings + there,
        )
        north, south, last = len(grid), len(grid) + 1, (rings - 2) * 2 * rings
        around, after = np.arange(2 * rings), (np.arange(2 * rings) + 1) % (2 * rings)
        self.faces = np.concatenate(
            [
                np.stack([a, c, d], -1).reshape(-1, 3),
                np.stack([a, d, b], -1).reshape(-1, 3),
                np.stack([np.full_like(around, north), around, after], -1),
                np.stack([np.full_like(around, south), last + after, last + around], -1),
            ]
        )

    def distance(self, points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points, axis=-1) - self._radius


SOLIDS: dict[str, type[Solid]] = {'can': Can, 'box': Box, 'ball': Ball}
"""What a simulated hand can hold, by name."""


@dataclasses.dataclass(frozen=True)
class HeldSolid:
    """The true object in a hand: the fields of an estimate. Position (3,), orientation (4,) x, y, z, w and size (3,)
    are those of its box, vertices (M, 3) and faces (F, 3) its surface, in one frame with the hand, metres; gap is the
    least distance of the hand's vertices from it, negative inside."""

    score: float
    vertices: np.ndarray
    position: np.ndarray
    orientation: np.ndarray
    size: np.ndarray
    gap: float
    touching: bool
    faces: np.ndarray


@dataclasses.dataclass(frozen=True)
class SimulatedGrasp:
    """A right hand closed around a solid.

    Attributes:
        angles: (16, 3) of the hand's joints as in `HandModel.anatomical`, radians.
        solid: what it holds.
        rotation: (3, 3) and position (3,), metres: from the solid's frame to that of the hand at rest.
        gap: least signed distance of the hand's vertices to the solid.
    """

    angles: np.ndarray
    solid: Solid
    rotation: np.ndarray
    position: np.ndarray
    gap: float

    @property
    def touching(self) -> bool:
        """Whether hand and object are in contact."""
        return self.gap < _TOUCHING


def grasp(model: HandModel, shape: np.ndarray, solid: Solid) -> SimulatedGrasp:
    """Lays a solid across the palm, its longest side to the thumb, and closes the fingers around it.

    Of several places the one is taken where the fingertips come nearest. Some hundreds of posed hands.

    Args:
        model: of the right hand.
        shape: (10,) of the hand.
        solid: what it is to hold.
    """
    rotation = np.array([[0, 0, 1], [0, -1, 0], [1, 0, 0]], float)
    best, least = None, np.inf
    for thumb in _THUMBS:
        hand = _ClosingHand(model, shape, thumb)
        for place in _PLACES:
            position = _onto_the_palm(hand, solid, rotation, np.array([0.0, place, 0.0]))
            angles, distance = _close(hand, solid, rotation, position)
            # A centimetre between a fingertip and the solid is as bad as a millimetre too much inside of it.
            amiss = sum(max(float(distance[hand.links == joint].min()), 0) for joint in TIP_JOINTS)
            amiss += 10 * max(-float(distance.min()) - _DEEPEST, 0)
            if amiss < least:
                best, least = SimulatedGrasp(angles, solid, rotation, position, float(distance.min())), amiss
    assert best is not None
    return best


class _ClosingHand:
    """The right hand of a shape, its joints between open and closed."""

    def __init__(self, model: HandModel, shape: np.ndarray, thumb: tuple[float, float]) -> None:
        self._model, self._shape = model, shape
        self.links = model.weights.argmax(1)
        self._open, self._closed = (_angles(model, shares, spread) for shares, spread in zip((_OPEN, _CLOSED), thumb))

    def angles(self, progress: np.ndarray) -> np.ndarray:
        """(16,) from 0, open, to 1, closed → (16, 3) radians."""
        return self._open + progress[:, None] * (self._closed - self._open)

    def vertices(self, progress: np.ndarray) -> np.ndarray:
        """(V, 3) in the frame of the hand at rest."""
        pose = self._model.pose_of(self.angles(progress)).astype(np.float32)
        return self._model.forward(pose, self._shape, np.zeros(3, np.float32)).vertices.astype(float)


def _angles(model: HandModel, shares: np.ndarray, thumb: float) -> np.ndarray:
    shares = shares.copy()
    shares[3, 0] = thumb
    low, high = model.limits[..., 0], model.limits[..., 1]
    angles = np.zeros((16, 3))
    for finger, joints in enumerate(_FINGERS):
        flexion, spread = shares[:3, finger], shares[3, finger]
        angles[joints, 0] = np.where(flexion > 0, flexion * high[joints, 0], -flexion * low[joints, 0])
        angles[joints[0], 1] = spread * high[joints[0], 1] if spread > 0 else -spread * low[joints[0], 1]
    return angles


def _onto_the_palm(hand: _ClosingHand, solid: Solid, rotation: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Brings the solid along the palm's normal until the open hand, but for its thumb, touches it."""
    vertices = hand.vertices(np.zeros(16))[~np.isin(hand.links, _FINGERS[0])]
    near, far = 0.0, _FARTHEST
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        gap = solid.distance((vertices - position - [0, 0, middle]) @ rotation).min()
        near, far = (near, middle) if gap > -_GIVES / 2 else (middle, far)
    return position + [0, 0, far]


def _close(
    hand: _ClosingHand, solid: Solid, rotation: np.ndarray, position: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The angles (16, 3) of the closed hand, and the distances (V,) of its vertices to the solid."""
    progress, stopped = np.zeros(16), np.zeros(16, bool)
    stopped[0] = True
    distance = solid.distance((hand.vertices(progress) - position) @ rotation)
    while not stopped.all():
        tried = np.where(stopped, progress, progress + 1 / _STEPS)
        found = solid.distance((hand.vertices(tried) - position) @ rotation)
        for joints in _FINGERS:
            moving = joints[~stopped[joints]]
            if not moving.size:
                continue
            deep = [joint for joint in moving if found[hand.links == joint].min() < -_GIVES]
            if deep:
                stopped[moving[moving <= deep[-1]]] = True
                continue
            own = np.isin(hand.links, joints)
            progress[joints], distance[own] = tried[joints], found[own]
            stopped[joints] |= progress[joints] >= 1 - 1e-9
    return hand.angles(progress), distance


def _outside_or_inside(beyond: np.ndarray) -> np.ndarray:
    """The distance (N,) to a product of intervals, from the distances (N, D) beyond each of them."""
    return np.linalg.norm(np.maximum(beyond, 0), axis=-1) + np.minimum(beyond.max(-1), 0)
