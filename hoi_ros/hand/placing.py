# SPDX-License-Identifier: Apache-2.0
"""Hands moved as rigid bodies."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel

_FACING = np.diag([1.0, -1.0, -1.0])
"""Orientation of a hand with its fingers up and its palm to the camera."""


def moved_hand(hand: HandEstimate, model: HandModel, rotation: np.ndarray, shift: np.ndarray) -> HandEstimate:
    """An empty hand turned by `rotation` (3, 3) about the origin, then moved by `shift` (3,), metres.

    Args:
        hand: the hand.
        model: of its side.
        rotation: of every direction.
        shift: of every place.
    """
    pose = np.array(hand.pose, np.float32)
    pose[:3] = (Rotation.from_matrix(rotation) * Rotation.from_rotvec(hand.pose[:3])).as_rotvec()
    wrist = model.wrist(hand.shape)
    return dataclasses.replace(
        hand,
        joints=(hand.joints @ rotation.T + shift).astype(np.float32),
        pose=pose,
        translation=(rotation @ (hand.translation + wrist) + shift - wrist).astype(np.float32),
        vertices=(hand.vertices @ rotation.T + shift).astype(np.float32),
    )


def before_camera(
    hands: Sequence[HandEstimate], models: Mapping[str, HandModel], distance: float
) -> list[HandEstimate]:
    """Hands of one sample, in the frame of a wrist, moved together before a camera: that wrist upright with its palm to
    the camera, and the mean of all joints on the optical axis.

    Args:
        hands: at least one.
        models: by side.
        distance: of that mean from the camera, metres.
    """
    middle = _FACING @ np.mean([hand.joints for hand in hands], (0, 1))
    shift = np.array([0, 0, distance]) - middle
    return [moved_hand(hand, models[hand.side], _FACING, shift) for hand in hands]
