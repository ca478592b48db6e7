# SPDX-License-Identifier: Apache-2.0
"""The solids that a simulated hand holds, and the hand that closes around one."""

from __future__ import annotations

import abc
import dataclasses

import numpy as np

from hoi_ros.hand import HandModel
from hoi_ros.hand.poses import joint_angles
from hoi_ros.hand.skeleton import FINGER_JOINTS
from hoi_ros.hand.skeleton import TIP_JOINTS
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.simulation.finger_closing import close_fingers
from hoi_ros.simulation.finger_closing import fingers_of

_OPENED = np.array(
    [[-0.3, 0.1, 0.1, 0.1, 0.1], [0, 0.1, 0.1, 0.1, 0.1], [0, 0.1, 0.1, 0.1, 0.1], [0, 0.1, 0, -0.1, -0.2]]
)
"""Posture of the hand before it closes, shares as in `hoi_ros.hand.poses`; _THUMBS has the thumb's abduction."""
_CLOSED = np.array(
    [[1, 0.95, 0.95, 0.95, 0.95], [0.9, 0.95, 0.95, 0.95, 0.95], [0.8, 0.6, 0.6, 0.6, 0.6], [0, 0, 0, 0, 0]]
)
"""Posture of the hand that closes without touching anything."""
_THUMBS = ((1, 0.3), (1, 0.7), (0.6, 0.1), (0.2, -0.2))
"""Abductions of the thumb to try: share when opened, share when closed."""
_GIVES = 0.002
"""Depth of the solid in the flesh at which a link stops, metres."""
_DEEPEST = 0.004
"""Depth of the hand in the solid beyond which a grasp is penalised, metres."""
_PLACES = np.linspace(0.05, 0.11, 7)
"""Places of the solid along the palm to try: metres from the wrist towards the fingers."""
_FARTHEST, _HALVINGS = 0.2, 14
"""Metres from the palm where the search for contact begins, and its bisections."""
_LYING = np.array([[0, 0, 1], [0, -1, 0], [1, 0, 0]], float)
"""Rotation from the solid's frame to the hand's at rest: its longest side across the palm, its shortest out of it."""


class Solid(abc.ABC):
    """A solid in its own frame: centred, its longest side along z, its shortest along x.

    Attributes:
        size: (3,) sides of its bounding box, metres.
        vertices: (M, 3) of its surface, metres.
        faces: (F, 3) triangles, counter-clockwise from outside.
    """

    size: np.ndarray
    vertices: np.ndarray
    faces: np.ndarray

    @abc.abstractmethod
    def distance(self, points: np.ndarray) -> np.ndarray:
        """Signed distances (...) of points (..., 3) to the surface, metres, negative inside."""


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
        beyond = np.stack(
            [np.hypot(points[..., 0], points[..., 1]) - self._radius, np.abs(points[..., 2]) - self._half], -1
        )
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
"""The solids that a simulated hand can hold, by name."""


@dataclasses.dataclass(frozen=True)
class SimulatedGrasp:
    """A right hand closed around a solid.

    Attributes:
        angles: (16, 3) joint angles as in `HandModel.anatomical`, radians.
        solid: the held solid.
        rotation: (3, 3) rotation from the solid's frame to that of the hand at rest.
        position: (3,) the solid's centre in the frame of the hand at rest, metres.
        gap: least signed distance of the hand's vertices to the solid, metres.
    """

    angles: np.ndarray
    solid: Solid
    rotation: np.ndarray
    position: np.ndarray
    gap: float

    @property
    def touching(self) -> bool:
        """Whether hand and solid are in contact."""
        return self.gap <= TOUCHING


def grasp(model: HandModel, shape: np.ndarray, solid: Solid) -> SimulatedGrasp:
    """Lays a solid across the palm, its longest side towards the thumb, and closes the fingers around it.

    Tries several places on the palm and several thumbs, and returns the grasp whose fingertips are nearest.

    Args:
        model: the right hand.
        shape: (10,) the hand's shape.
        solid: the solid to hold.
    """
    hands = [_ClosingHand(model, shape, thumb) for thumb in _THUMBS]
    tried = [hand.grasp(solid, np.array([0.0, place, 0.0])) for hand in hands for place in _PLACES]
    return min(tried, key=lambda pair: pair[1])[0]


class _ClosingHand:
    """A right hand whose joints move from an opened to a closed posture."""

    def __init__(self, model: HandModel, shape: np.ndarray, thumb: tuple[float, float]) -> None:
        self._model, self._shape = model, shape
        self._fingers = fingers_of(model)
        self._links = model.weights.argmax(1)
        self._opened, self._closed = (
            joint_angles(model, _with_thumb(shares, abduction)) for shares, abduction in zip((_OPENED, _CLOSED), thumb)
        )

    def grasp(self, solid: Solid, place: np.ndarray) -> tuple[SimulatedGrasp, float]:
        """Closes the hand around a solid at a place (3,) of the palm.

        Returns:
            The grasp, and its penalty in metres: the distances of the fingertips, and ten times the excess depth.
        """
        position = self._onto_the_palm(solid, place)

        def distances(points: np.ndarray) -> np.ndarray:
            return solid.distance((points - position) @ _LYING)

        progress = close_fingers(
            self._fingers,
            lambda ways: self._vertices(self._fingers.model, ways),
            lambda points: distances(points) < -_GIVES,
            np.zeros(16),
        ).progress
        distance = distances(self._vertices(self._model, progress))
        tips = [max(float(distance[self._links == joint].min()), 0) for joint in TIP_JOINTS]
        gap = float(distance.min())
        penalty = sum(tips) + 10 * max(-gap - _DEEPEST, 0)
        return SimulatedGrasp(self._angles(progress), solid, _LYING, position, gap), penalty

    def _onto_the_palm(self, solid: Solid, place: np.ndarray) -> np.ndarray:
        """Moves the solid along the palm's normal until it touches the opened hand without its thumb."""
        vertices = self._vertices(self._model, np.zeros(16))[~np.isin(self._links, FINGER_JOINTS[0])]
        near, far = 0.0, _FARTHEST
        for _ in range(_HALVINGS):
            middle = (near + far) / 2
            gap = solid.distance((vertices - place - [0, 0, middle]) @ _LYING).min()
            near, far = (near, middle) if gap > -_GIVES / 2 else (middle, far)
        return place + [0, 0, far]

    def _angles(self, progress: np.ndarray) -> np.ndarray:
        return self._opened + progress[..., None] * (self._closed - self._opened)

    def _vertices(self, model: HandModel, progress: np.ndarray) -> np.ndarray:
        """(..., V, 3) vertices for each joint's progress (..., 16), in the frame of the hand at rest."""
        pose = model.pose_of(self._angles(progress)).astype(np.float32)
        return model.forward(pose, self._shape, np.zeros((*progress.shape[:-1], 3), np.float32)).vertices


def _with_thumb(shares: np.ndarray, abduction: float) -> np.ndarray:
    shares = shares.copy()
    shares[3, 0] = abduction
    return shares


def _outside_or_inside(beyond: np.ndarray) -> np.ndarray:
    """Distances (...) to a product of intervals, from the distances (..., D) beyond each interval."""
    return np.linalg.norm(np.maximum(beyond, 0), axis=-1) + np.minimum(beyond.max(-1), 0)
