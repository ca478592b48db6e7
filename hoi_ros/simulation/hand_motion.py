# SPDX-License-Identifier: Apache-2.0
"""A hand that moves in front of the simulated camera: it opens, closes, turns, comes and goes, or holds a solid."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.hand.model import mirror_pose
from hoi_ros.hand.model import rotation_matrices
from hoi_ros.hand.poses import GESTURES
from hoi_ros.hand.poses import joint_angles
from hoi_ros.simulation.held_solid import grasp
from hoi_ros.simulation.held_solid import SimulatedGrasp
from hoi_ros.simulation.held_solid import Solid

_FIRST_POSTURE = 'spread'
_POSTURES = ('power_cylinder', 'relaxed', 'pinch', 'open', 'fist', 'point', 'power_sphere')
"""Gestures of the motion after the first, in an order that the seed decides."""
_REACHED = 0.9
"""Share of the way from the relaxed hand to a gesture that the moving hand reaches."""
_HELD_SHARE = 0.3
"""Share of a posture's time in which the hand keeps still."""
_FACING = np.diag([1.0, -1.0, -1.0])
"""Orientation of a right hand with its fingers up and its palm to the camera."""
_MIRROR = np.diag([-1.0, 1.0, 1.0])
_HOLDING = (80.0, -50.0)
"""Yaw and roll of a hand that holds a solid, degrees: the camera sees it from the thumb's side."""

_ALONG = (0.0, 0.03, 0.06, 0.1, 0.16, 0.24, 0.32)
"""Distances of the forearm's cross sections from the wrist, metres."""
_BROAD = (0.024, 0.0255, 0.027, 0.031, 0.037, 0.042, 0.044)
"""Half-axes of the cross sections across the palm, metres."""
_THICK = (0.0165, 0.019, 0.021, 0.025, 0.031, 0.038, 0.041)
"""Half-axes of the cross sections through the palm, metres."""
_CORNERS = 20


class HandMotion:
    """The true hand at any time; the motion repeats without a jump.

    Args:
        model: the right hand.
        side: 'right' or 'left'; a left hand moves as the mirror image of a right one.
        seed: seed of the hand's shape and of the order and phases of its movements.
        period: seconds after which the motion repeats.
        aside: horizontal place of the hand as a share of its distance; −0.2 is left of the image's centre.
        solid: the solid that the hand holds, seen from the thumb's side; None for an empty hand.

    Raises:
        ValueError: no such side.
    """

    def __init__(
        self,
        model: HandModel,
        side: str,
        seed: int = 0,
        period: float = 8.0,
        aside: float = 0.0,
        solid: Solid | None = None,
    ) -> None:
        if side not in ('right', 'left'):
            raise ValueError(f'side is {side!r}, expected right or left')
        rng = np.random.default_rng([seed, side == 'left'])
        self._mirrored = side == 'left'
        self._right = model
        self._model = model.mirrored() if self._mirrored else model
        self._period = period
        self._aside = aside
        order = (_FIRST_POSTURE, *rng.permutation(_POSTURES))
        relaxed = np.array(GESTURES['relaxed'])
        self._postures = relaxed + _REACHED * (np.array([GESTURES[name] for name in order]) - relaxed)
        self._phases = rng.uniform(0, 2 * np.pi, 8)
        self._shape = np.clip(rng.normal(0, 0.6, 10), -1.5, 1.5).astype(np.float32)
        self._grasp = grasp(model, self._shape, solid) if solid else None

    @property
    def model(self) -> HandModel:
        """The hand model of the motion's side."""
        return self._model

    @property
    def object_faces(self) -> np.ndarray | None:
        """(F, 3) triangles of the held object's vertices, counter-clockwise from outside; None for an empty hand."""
        return self._grasp.solid.faces if self._grasp else None

    def __call__(self, time: float) -> HandEstimate:
        """The true hand at a time in seconds, its scores 1, with the object that it holds."""
        pose, turn, translation = self._placed(time)
        held = self._held(self._grasp, turn, translation) if self._grasp else None
        if self._mirrored:
            pose, translation = mirror_pose(pose), translation * np.array([-1, 1, 1], np.float32)
        geometry = self._model.forward(pose, self._shape, translation)
        return HandEstimate(
            side=self._model.side,
            track_id=int(self._mirrored),
            score=1.0,
            joints=geometry.keypoints,
            joint_scores=np.ones(21, np.float32),
            pose=pose,
            shape=self._shape,
            translation=translation,
            vertices=geometry.vertices,
            held=held,
        )

    def forearm(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """The hand's forearm at a time in seconds, in the camera's optical frame.

        Returns:
            (A, 3) float32 vertices, metres, and (B, 3) triangles, counter-clockwise from outside.
        """
        _, turn, translation = self._placed(time)
        wrist_bend = np.array([self._swing(time, 6, 1, 30), 0, self._swing(time, 7, 1, 12)])
        vertices, faces = forearm_tube(
            self._right.joints[0] + translation, turn, turn @ rotation_matrices(np.radians(wrist_bend))
        )
        if self._mirrored:
            vertices, faces = vertices @ _MIRROR, faces[:, ::-1]
        return vertices.astype(np.float32), faces

    def _placed(self, time: float) -> _Placed:
        yaw, roll = _HOLDING if self._grasp else (0, 0)
        turn = _facing_camera(
            yaw=yaw + self._swing(time, 0, 1, 35 if self._grasp else 65),
            pitch=self._swing(time, 1, 1, 25),
            roll=roll + self._swing(time, 2, 2, 30),
        )
        pose = self._right.pose_of(self._angles(time)).astype(np.float32)
        pose[:3] = _rotation_vector(turn)
        at_origin = self._right.forward(pose, self._shape, np.zeros(3, np.float32), vertices=False).keypoints
        distance = 0.575 + self._swing(time, 3, 1, 0.225)
        across = (-self._aside if self._mirrored else self._aside) + self._swing(time, 4, 2, 0.12)
        centre = distance * np.array([across, self._swing(time, 5, 1, 0.06), 1])
        return _Placed(pose, turn, (centre - at_origin.mean(0)).astype(np.float32))

    def _swing(self, time: float, which: int, times: int, reach: float) -> float:
        """A sine of amplitude `reach` with a whole number of cycles in a period."""
        return reach * float(np.sin(2 * np.pi * times * time / self._period + self._phases[which]))

    def _angles(self, time: float) -> np.ndarray:
        """(16, 3) joint angles, radians: each posture is held, then blends into the next."""
        if self._grasp:
            return self._grasp.angles
        count = len(self._postures)
        place = time / self._period * count % count
        now, share = int(place), smooth_step((place % 1 - _HELD_SHARE) / (1 - _HELD_SHARE))
        return joint_angles(self._right, self._postures[now] * (1 - share) + self._postures[(now + 1) % count] * share)

    def _held(self, grasp: SimulatedGrasp, turn: np.ndarray, translation: np.ndarray) -> ObjectEstimate:
        """The solid in a right hand that is turned (3, 3) about its wrist and moved (3,), mirrored for a left hand."""
        solid = grasp.solid
        wrist = self._right.wrist(self._shape)
        rotation, position = turn @ grasp.rotation, turn @ (grasp.position - wrist) + wrist + translation
        if self._mirrored:
            rotation, position = _MIRROR @ rotation @ _MIRROR, _MIRROR @ position
        return ObjectEstimate(
            score=1.0,
            vertices=(solid.vertices @ rotation.T + position).astype(np.float32),
            position=position,
            orientation=Rotation.from_matrix(rotation).as_quat(),
            size=solid.size,
            gap=grasp.gap,
            touching=grasp.touching,
        )


class _Placed(NamedTuple):
    """A right hand: its pose (48,), its orientation (3, 3) and the model's translation (3,), metres."""

    pose: np.ndarray
    turn: np.ndarray
    translation: np.ndarray


def _facing_camera(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3) orientation of a hand turned about its length, towards the camera and in the image; degrees."""
    about_x, about_y, about_z = rotation_matrices(np.radians(np.diag([pitch, yaw, roll])))
    return about_z @ about_x @ about_y @ _FACING


def _rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """(3, 3) rotation matrix → (3,) rotation vector, radians."""
    return cv2.Rodrigues(matrix)[0][:, 0]


def smooth_step(share: float) -> float:
    """From 0 to 1, with both slopes 0."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


def forearm_tube(wrist: np.ndarray, hand: np.ndarray, arm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Builds a tube that leaves the wrist along the hand and bends into the arm's direction.

    Args:
        wrist: (3,) metres.
        hand, arm: (3, 3) orientations; x across, y towards the fingers, z out of the palm.

    Returns:
        (A, 3) vertices and (B, 3) triangles.
    """
    places, count = np.array(_ALONG), len(_ALONG)
    bent = np.clip(places / 0.06, 0, 1)[:, None]
    directions = -hand[:, 1] * (1 - bent) - arm[:, 1] * bent
    steps = np.diff(places, prepend=0)[:, None] * directions
    centres = wrist + 0.004 * hand[:, 1] + np.cumsum(steps, 0)
    turn = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    rings = (
        centres[:, None]
        + np.cos(turn)[None, :, None] * np.multiply.outer(_BROAD, arm[:, 0])[:, None]
        + np.sin(turn)[None, :, None] * np.multiply.outer(_THICK, arm[:, 2])[:, None]
    )
    ring, corner = np.meshgrid(np.arange(count - 1), np.arange(_CORNERS), indexing='ij')
    first, second = ring * _CORNERS + corner, ring * _CORNERS + (corner + 1) % _CORNERS
    sides = np.concatenate(
        [
            np.stack([first, second, first + _CORNERS], -1).reshape(-1, 3),
            np.stack([second, second + _CORNERS, first + _CORNERS], -1).reshape(-1, 3),
        ]
    )
    elbow = (count - 1) * _CORNERS
    around = np.arange(1, _CORNERS - 1)
    cap = np.stack([np.full_like(around, elbow), elbow + around, elbow + around + 1], -1)
    return rings.reshape(-1, 3), np.concatenate([sides, cap])
