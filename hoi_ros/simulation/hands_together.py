# SPDX-License-Identifier: Apache-2.0
"""Two hands that come together before the simulated camera, touch in several ways, and part.

They meet along one axis. How far apart they touch is measured on their surfaces, so that neither passes into the other;
fingers that clasp close until they touch the other hand.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import rotation_matrices
from hoi_ros.hand.poses import GESTURES
from hoi_ros.hand.poses import joint_angles
from hoi_ros.mesh.contact import winding
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.simulation.finger_closing import close_fingers
from hoi_ros.simulation.finger_closing import fingers_of
from hoi_ros.simulation.hand_motion import forearm_tube
from hoi_ros.simulation.hand_motion import smooth_step

_FLAT, _OPEN, _FIST, _POINT = (np.array(GESTURES[name], float) for name in ('closed_flat', 'open', 'fist', 'point'))
_FLAT[[0, 3], 0], _OPEN[[0, 3], 0] = (0, -1), (-0.6, -0.9)  # no thumb stands in the way of the palms
_AROUND = np.array([[0.9, 0.8, 0.8, 0.8, 0.8], [0.6, 0.8, 0.8, 0.8, 0.8], [0.5, 0.5, 0.5, 0.5, 0.5], [0] * 5])
"""Posture of a hand that clasps, where nothing stops its fingers."""
_UPRIGHT = np.array([[0, 0, 1], [0, -1, 0], [1, 0, 0]], float)
"""Orientation of a right hand with its fingers up and its palm to the left hand: along x."""
_MIRROR = np.array([-1, 1, 1], float)
_PALM = [0, 5, 9, 13, 17]
"""Keypoints whose mean is the middle of the palm."""
_APART = 0.14
"""Distance between the surfaces when the hands are apart, metres."""
_GIVES = 0.001
"""Depth in the flesh at which a finger stops, metres."""
_CELL, _SPLITS = 0.002, 5
"""Edge of the cells in which surfaces are compared, metres; parts of a triangle's edge that are compared."""
_TURNS = np.array([12.0, 50.0, 10.0])
"""Reach of the turns of both hands together: up and down, to the sides, in the image; degrees."""
_NEAR, _FAR = 0.52, 0.08
"""Distance of both hands from the camera, and how far it swings, metres."""
_ELBOWS = 45.0
"""Angle by which the forearms of upright hands point outwards, degrees."""


@dataclasses.dataclass(frozen=True)
class _Meeting:
    """A way to touch. Pairs are the right and the left hand, each as it were a right one.

    Attributes:
        postures: shares as in `hoi_ros.hand.poses`.
        tilts: of the fingers away from the camera, degrees.
        bends: of the fingers towards the other hand, degrees.
        touches: the times of touch as shares of the meeting.
        clasps: whether the fingers close around the other hand.
    """

    postures: tuple[np.ndarray, np.ndarray]
    tilts: tuple[float, float]
    bends: tuple[float, float] = (0.0, 0.0)
    touches: tuple[tuple[float, float], ...] = ((0.35, 0.65),)
    clasps: bool = False


_MEETINGS = (
    _Meeting((_FLAT, _FLAT), (0, 0)),
    _Meeting((_OPEN, _OPEN), (22, -18), touches=((0.28, 0.32), (0.48, 0.52), (0.68, 0.72))),
    _Meeting((_OPEN, _OPEN), (48, -42), clasps=True),
    _Meeting((_FIST, _FLAT), (0, -40), (90, 0)),
    _Meeting((_POINT, _OPEN), (0, -30), (80, 0)),
)
"""Praying, applauding, clasping, a fist in the palm, a finger that points into the palm."""


class _Hand(NamedTuple):
    """A hand as a right one, in the frame in which both meet.

    Attributes:
        angles: (16, 3) of the joints.
        turn: (3, 3) orientation.
        place: (3,) middle of the palm, metres.
        elbow: angle between hand and forearm, degrees.
    """

    angles: np.ndarray
    turn: np.ndarray
    place: np.ndarray
    elbow: float


class HandsTogether:
    """The true hands at any time; the motion repeats without a jump.

    Args:
        model: the right hand.
        seed: seed of the shape of the hands, of the order in which they touch and of the phases of their movement.
        period: seconds after which the motion repeats.

    Attributes:
        hands: the right and the left hand, as `SimulatedCamera` takes them.
    """

    def __init__(self, model: HandModel, seed: int = 0, period: float = 8.0) -> None:
        rng = np.random.default_rng([seed, 2])
        self._right, self._period = model, period
        self._phases = rng.uniform(0, 2 * np.pi, 6)
        self.shape = np.clip(rng.normal(0, 0.6, 10), -1.5, 1.5).astype(np.float32)
        at_rest = model.forward(np.zeros(48, np.float32), self.shape, np.zeros(3, np.float32), vertices=False)
        self._wrist = model.wrist(self.shape)
        self._palm = at_rest.keypoints[_PALM].mean(0) - self._wrist
        self._meetings = [_MEETINGS[index] for index in rng.permutation(len(_MEETINGS))]
        self._opened = [[joint_angles(model, shares) for shares in each.postures] for each in self._meetings]
        self._closed = joint_angles(model, _AROUND)
        self._distances = [self._distance(index) for index in range(len(self._meetings))]
        self._progress = [
            self._clasped(index) if each.clasps else np.zeros((2, 16)) for index, each in enumerate(self._meetings)
        ]
        self.hands = OneOfTwo(self, 0, model), OneOfTwo(self, 1, model.mirrored())

    def at(self, time: float, which: int) -> tuple[_Hand, np.ndarray, np.ndarray]:
        """The right hand, 0, or the left one, 1, at a time in seconds; orientation (3, 3) and place (3,), in the
        camera's optical frame, of the frame in which both meet."""
        count = len(self._meetings)
        phase = time / self._period * count % count
        index, share = int(phase), phase % 1
        other = (index + (1 if share > 0.5 else -1)) % count
        weight = 0.5 + 0.5 * smooth_step(min(share, 1 - share) / 0.2)  # of this meeting; apart, the postures change
        away = min(max(begin - share, share - end, 0) for begin, end in self._meetings[index].touches)
        apart = smooth_step(away / 0.28)
        first, second = (self._hand(each, which, _APART * apart, share) for each in (index, other))
        mixed = _Hand(
            weight * first.angles + (1 - weight) * second.angles,
            Rotation.concatenate([Rotation.from_matrix(first.turn), Rotation.from_matrix(second.turn)])
            .mean([weight, 1 - weight])
            .as_matrix(),
            weight * first.place + (1 - weight) * second.place,
            weight * first.elbow + (1 - weight) * second.elbow,
        )
        swing = [float(np.sin(2 * np.pi * time / self._period + phase)) for phase in self._phases]
        pitch, yaw, roll = np.radians(_TURNS * swing[:3])
        about_x, about_y, about_z = rotation_matrices(np.diag([pitch, yaw, roll]))
        distance = _NEAR + _FAR * swing[3]
        return mixed, about_z @ about_x @ about_y, distance * np.array([0.05 * swing[4], 0.05 * swing[5], 1])

    def vertices(self, hand: _Hand, model: HandModel | None = None) -> np.ndarray:
        """(V, 3) of a hand as a right one, in the frame in which both meet; of `model`, a part of the right hand."""
        model = model or self._right
        pose = model.pose_of(hand.angles).astype(np.float32)
        pose[..., :3] = Rotation.from_matrix(hand.turn).as_rotvec()
        translation = np.broadcast_to(self.translation(hand), (*pose.shape[:-1], 3)).astype(np.float32)
        posed: np.ndarray = model.forward(pose, self.shape, translation).vertices
        return posed

    def translation(self, hand: _Hand) -> np.ndarray:
        """(3,) of the right hand's model."""
        place: np.ndarray = hand.place - hand.turn @ self._palm - self._wrist
        return place

    def _hand(self, index: int, which: int, apart: float, share: float) -> _Hand:
        meeting, opened = self._meetings[index], self._opened[index][which]
        angles = opened
        if meeting.clasps:
            # The left hand closes on the closed right one, and opens before it.
            begin, end = ((0.35, 0.45), (0.45, 0.53))[which]
            closing = min((share - begin) / (end - begin), (1 - begin - share) / (end - begin))
            way = np.minimum(smooth_step(closing), self._progress[index][which])
            angles = opened + way[:, None] * (self._closed - opened)
        return self._meeting_hand(index, which, self._distances[index] + apart)._replace(angles=angles)

    def _meeting_hand(self, index: int, which: int, distance: float) -> _Hand:
        meeting = self._meetings[index]
        tilt, bend = meeting.tilts[which], meeting.bends[which]
        about_normal, about_thumb = rotation_matrices(np.radians([[tilt, 0, 0], [bend, 0, 0]]))
        turn = about_normal @ _UPRIGHT @ about_thumb
        return _Hand(self._opened[index][which], turn, np.array([-distance / 2, 0, 0]), _ELBOWS * (1 - bend / 90))

    def _distance(self, index: int) -> float:
        """Distance of the palms at which the opened hands touch, metres."""
        right, left = (self.vertices(self._meeting_hand(index, which, 0.0)) for which in (0, 1))
        shares = [(i, j, _SPLITS - i - j) for i in range(_SPLITS + 1) for j in range(_SPLITS + 1 - i)]
        points = [
            np.einsum('sc,fcx->fsx', np.array(shares) / _SPLITS, hand[self._right.faces]).reshape(-1, 3)
            for hand in (right, left)
        ]
        low = np.minimum(*(each.min(0) for each in points))[1:]
        cells = [np.floor((each[:, 1:] - low) / _CELL).astype(int) for each in points]
        size = np.maximum(*(each.max(0) for each in cells)) + 1
        reach = np.full((2, *size), -np.inf)
        for which in (0, 1):
            np.maximum.at(reach[which], tuple(cells[which].T), points[which][:, 0])
        # Each hand as a right one reaches along x; the left one is the mirror image.
        return float(reach.sum(0).max()) - _GIVES

    def _clasped(self, index: int) -> np.ndarray:
        """(2, 16) progress of the joints of both hands, which close one after the other until they touch."""
        fingers, progress = fingers_of(self._right), np.zeros((2, 16))
        hands = [self._meeting_hand(index, which, self._distances[index]) for which in (0, 1)]
        for which in (0, 1):
            opened, other = self._opened[index][which], self.vertices(hands[1 - which])
            solid = (other - _GIVES * vertex_normals(other, self._right.faces)) * _MIRROR

            def posed(ways: np.ndarray, which: int = which, opened: np.ndarray = opened) -> np.ndarray:
                angles = opened + ways[..., None] * (self._closed - opened)
                return self.vertices(hands[which]._replace(angles=angles), fingers.model)

            def inside(points: np.ndarray, solid: np.ndarray = solid) -> np.ndarray:
                return (winding(points.reshape(-1, 3), solid, self._right.faces) != 0).reshape(points.shape[:-1])

            progress[which] = close_fingers(fingers, posed, inside, np.zeros(16)).progress
            hands[which] = hands[which]._replace(angles=opened + progress[which][:, None] * (self._closed - opened))
        return progress


class OneOfTwo:
    """One of the hands of `HandsTogether`.

    Args:
        pair: both.
        which: 0 for the right one, 1 for the left one.
        model: the hand model of its side.

    Attributes:
        object_faces: None; the hand holds no object.
    """

    object_faces: np.ndarray | None = None

    def __init__(self, pair: HandsTogether, which: int, model: HandModel) -> None:
        self._pair, self._which, self.model = pair, which, model

    def __call__(self, time: float) -> HandEstimate:
        """The true hand at a time in seconds, its scores 1."""
        hand, turn, place = self._pair.at(time, self._which)
        flip = _MIRROR if self._which else np.ones(3)
        pose = self.model.pose_of(hand.angles).astype(np.float32)
        pose[:3] = Rotation.from_matrix(turn @ (hand.turn * np.outer(flip, flip))).as_rotvec()
        wrist = self.model.wrist(self._pair.shape)
        own = self._pair.translation(hand) * flip + wrist
        translation = (turn @ own + place - wrist).astype(np.float32)
        geometry = self.model.forward(pose, self._pair.shape, translation)
        return HandEstimate(
            side=self.model.side,
            track_id=self._which,
            score=1.0,
            joints=geometry.keypoints,
            joint_scores=np.ones(21, np.float32),
            pose=pose,
            shape=self._pair.shape,
            translation=translation,
            vertices=geometry.vertices,
        )

    def forearm(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """As `HandMotion.forearm`."""
        hand, turn, place = self._pair.at(time, self._which)
        right = self._pair.hands[0].model
        wrist = right.wrist(self._pair.shape) + self._pair.translation(hand)
        bend = rotation_matrices(np.radians(np.array([[hand.elbow, 0, 0]])))[0]
        vertices, faces = forearm_tube(wrist, hand.turn, hand.turn @ bend)
        if self._which:
            vertices, faces = vertices * _MIRROR, faces[:, ::-1]
        return (vertices @ turn.T + place).astype(np.float32), faces
