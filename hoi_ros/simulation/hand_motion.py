# SPDX-License-Identifier: Apache-2.0
"""A hand that moves before the simulated camera: opens, closes, grasps, turns its wrist, comes and goes; or holds a
thing all the while."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand import HandModel
from hoi_ros.hand.model import rotation_matrices
from hoi_ros.simulation.held_solid import grasp
from hoi_ros.simulation.held_solid import HeldSolid
from hoi_ros.simulation.held_solid import SimulatedGrasp
from hoi_ros.simulation.held_solid import Solid

# Share of the limits, thumb to little, of: flexion of the first, second and third joint; abduction.
_POSTURES = np.array(
    [
        # open
        [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0.4, 0.5, 0.1, -0.3, -0.5]],
        # around a bottle
        [[0.5, 0.5, 0.55, 0.55, 0.55], [0.3, 0.5, 0.5, 0.5, 0.5], [0.3, 0.3, 0.3, 0.3, 0.3], [0.2, 0, 0, 0, 0]],
        # relaxed
        [[0.2, 0.2, 0.2, 0.25, 0.25], [0.1, 0.25, 0.3, 0.3, 0.25], [0.1, 0.15, 0.15, 0.15, 0.15], [0, 0, 0, 0, 0]],
        # pinching
        [[0.5, 0.5, 0.2, 0.15, 0.1], [0.3, 0.45, 0.2, 0.15, 0.1], [0.3, 0.3, 0.1, 0.1, 0.1], [0, 0, 0, -0.2, -0.3]],
        # almost open
        [[0.1, 0.1, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1, 0.1], [0, 0.1, 0.1, 0.1, 0.1], [0.2, 0.2, 0, -0.1, -0.2]],
        # fist
        [[0.5, 0.85, 0.9, 0.9, 0.9], [0.3, 0.85, 0.85, 0.85, 0.85], [0.4, 0.55, 0.55, 0.55, 0.55], [-0.3, 0, 0, 0, 0]],
        # pointing
        [[0.7, 0, 0.85, 0.85, 0.85], [0.6, 0.05, 0.85, 0.85, 0.85], [0.4, 0, 0.55, 0.55, 0.55], [-0.2, 0, 0, 0, 0]],
        # around a ball
        [[0.2, 0.3, 0.3, 0.3, 0.3], [0.3, 0.4, 0.4, 0.4, 0.4], [0.3, 0.3, 0.3, 0.3, 0.3], [0.4, 0.4, 0.1, -0.3, -0.5]],
    ]
)
# The knuckle joint of each finger, thumb to little, in the order of the model's 16 joints.
_KNUCKLES = (13, 1, 4, 10, 7)
_FACING = np.diag([1.0, -1.0, -1.0])
"""A right hand with its fingers up and its palm to the camera."""
_MIRROR = np.diag([-1.0, 1.0, 1.0])
_HOLDING = (80.0, -50.0)
"""Degrees about its length and in the image by which a hand that holds a thing is turned, to be seen from the thumb."""

# A forearm's half widths across and through, by the distance from the wrist, metres.
_ALONG = (0.0, 0.03, 0.06, 0.1, 0.16, 0.24, 0.32)
_BROAD = (0.024, 0.0255, 0.027, 0.031, 0.037, 0.042, 0.044)
_THICK = (0.0165, 0.019, 0.021, 0.025, 0.031, 0.038, 0.041)
_CORNERS = 20


@dataclasses.dataclass(frozen=True)
class SimulatedHand:
    """The true hand of one moment in the camera's optical frame: the fields of an estimate.

    pose (48,) radians, shape (10,), translation (3,) and vertices (V, 3) metres belong to the hand model of
    `side`; joints is (21, 3); the scores are 1. arm_vertices (A, 3) and arm_faces (B, 3) are its forearm; held is what
    it holds.
    """

    side: str
    track_id: int
    score: float
    joints: np.ndarray
    joint_scores: np.ndarray
    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    vertices: np.ndarray
    arm_vertices: np.ndarray
    arm_faces: np.ndarray
    located_by: str = 'depth'
    side_score: float = 1.0
    held: HeldSolid | None = None


class HandMotion:
    """Where a hand is at any time; the motion repeats itself without a jump.

    Args:
        model: of the right hand.
        side: 'right' or 'left'; a left hand moves as the mirror image of a right one.
        seed: of the hand's shape, and of the order and the phases of its movements.
        period: seconds after which the motion repeats.
        aside: where the hand's place is, as a share of its distance: −0.2 is left of the image's centre.
        solid: what it holds, seen from the thumb rather than from the palm; None for nothing.
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
        self._side = side
        self._right = model
        self._model = model if side == 'right' else model.mirrored()
        self._period = period
        self._aside = aside
        self._postures = _POSTURES[np.concatenate([[0], 1 + rng.permutation(len(_POSTURES) - 1)])]
        self._phases = rng.uniform(0, 2 * np.pi, 8)
        self._shape = np.clip(rng.normal(0, 0.6, 10), -1.5, 1.5).astype(np.float32)
        self._grasp = grasp(model, self._shape, solid) if solid else None

    @property
    def model(self) -> HandModel:
        """The hand model of its side."""
        return self._model

    def __call__(self, time: float) -> SimulatedHand:
        """The hand at a time in seconds."""
        right = self._right
        yaw, roll = _HOLDING if self._grasp else (0, 0)
        turn = _facing_camera(
            yaw=yaw + self._swing(time, 0, 1, 35 if self._grasp else 65),
            pitch=self._swing(time, 1, 1, 25),
            roll=roll + self._swing(time, 2, 2, 30),
        )
        pose = right.pose_of(self._angles(time)).astype(np.float32)
        pose[:3] = _rotation_vector(turn)
        at_origin = right.forward(pose, self._shape, np.zeros(3, np.float32), vertices=False).keypoints
        distance = 0.575 + self._swing(time, 3, 1, 0.225)
        mirrored = self._side == 'left'
        across = (-self._aside if mirrored else self._aside) + self._swing(time, 4, 2, 0.12)
        centre = distance * np.array([across, self._swing(time, 5, 1, 0.06), 1])
        translation = (centre - at_origin.mean(0)).astype(np.float32)
        wrist_bend = np.array([self._swing(time, 6, 1, 30), 0, self._swing(time, 7, 1, 12)])
        arm_vertices, arm_faces = _forearm(
            right.joints[0] + translation, turn, turn @ rotation_matrices(np.radians(wrist_bend))
        )
        held = (
            _held(self._grasp, turn, right.joints[0] + right.joint_shape_basis[0] @ self._shape, translation, mirrored)
            if self._grasp
            else None
        )
        if mirrored:
            pose = pose * np.tile([1, -1, -1], 16).astype(np.float32)
            translation, arm_vertices = translation * [-1, 1, 1], arm_vertices @ _MIRROR
            arm_faces = arm_faces[:, ::-1]
        geometry = self._model.forward(pose, self._shape, translation.astype(np.float32))
        return SimulatedHand(
            self._side,
            int(mirrored),
            1.0,
            geometry.keypoints,
            np.ones(21, np.float32),
            pose,
            self._shape,
            translation.astype(np.float32),
            geometry.vertices,
            arm_vertices.astype(np.float32),
            arm_faces,
            held=held,
        )

    def _swing(self, time: float, which: int, times: int, reach: float) -> float:
        """Goes to and fro a whole number of times in a period."""
        return reach * float(np.sin(2 * np.pi * times * time / self._period + self._phases[which]))

    def _angles(self, time: float) -> np.ndarray:
        """(16, 3) flexion, abduction and twist: each posture is held a while, then turns into the next."""
        if self._grasp:
            return self._grasp.angles
        count = len(self._postures)
        place = time / self._period * count % count
        now, share = int(place), np.clip((place % 1 - 0.3) / 0.7, 0, 1)
        share = share * share * (3 - 2 * share)
        shares = self._postures[now] * (1 - share) + self._postures[(now + 1) % count] * share
        low, high = self._right.limits[..., 0], self._right.limits[..., 1]
        angles = np.zeros((16, 3))
        for finger, knuckle in enumerate(_KNUCKLES):
            joints = slice(knuckle, knuckle + 3)
            angles[joints, 0] = shares[:3, finger] * high[joints, 0]
            spread = shares[3, finger]
            angles[knuckle, 1] = spread * (high[knuckle, 1] if spread > 0 else -low[knuckle, 1])
        return angles


def _held(
    grasp: SimulatedGrasp, turn: np.ndarray, wrist: np.ndarray, translation: np.ndarray, mirrored: bool
) -> HeldSolid:
    """What the hand holds that is turned (3, 3) about its wrist (3,) and moved, in a right hand or its mirror image."""
    solid = grasp.solid
    rotation, position = turn @ grasp.rotation, turn @ (grasp.position - wrist) + wrist + translation
    if mirrored:
        rotation, position = _MIRROR @ rotation @ _MIRROR, _MIRROR @ position
    vertices = (solid.vertices @ rotation.T + position).astype(np.float32)
    return HeldSolid(
        1.0,
        vertices,
        position,
        Rotation.from_matrix(rotation).as_quat(),
        solid.size,
        grasp.gap,
        grasp.touching,
        solid.faces,
    )


def _facing_camera(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3) orientation of a hand turned about its length, towards the camera and in the image; degrees."""
    about_x, about_y, about_z = rotation_matrices(np.radians(np.diag([pitch, yaw, roll])))
    return about_z @ about_x @ about_y @ _FACING


def _rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """(3, 3) → (3,) radians."""
    return cv2.Rodrigues(matrix)[0][:, 0]


def _forearm(wrist: np.ndarray, hand: np.ndarray, arm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (A, 3) and faces (B, 3) of a tube from the wrist that turns into the arm's direction.

    Args:
        wrist: (3,) metres.
        hand, arm: (3, 3) orientations; x across, y to the fingers, z out of the palm.
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
