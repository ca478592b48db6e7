# SPDX-License-Identifier: Apache-2.0
"""Hands beside their true place, at the two noise levels of S²Contact (Table 1).

ContactOpt (Grady et al., CVPR 2021) perturbs ContactPose by σ 5 cm of translation, 0.1 rad of global rotation and 0.5
of MANO's principal components; the mean joint error is 82.9 mm. Here joints turn by a share of their range and stay
within their limits. The small level has the 8.9 mm of the unperturbed estimates of ContactPose.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel


@dataclasses.dataclass(frozen=True)
class Noise:
    """Standard deviations."""

    translation: float
    """Of each coordinate, metres."""
    rotation: float
    """Of each component of the rotation vector about the wrist, radians."""
    joints: float
    """Of each anatomical angle, as a share of the range between its limits."""


SMALL = Noise(translation=0.003, rotation=0.05, joints=0.035)
LARGE = Noise(translation=0.05, rotation=0.1, joints=0.15)
LEVELS = {'small': (SMALL, SMALL), 'large': (LARGE, LARGE), 'mixed': (SMALL, LARGE)}
"""Least and greatest noise; the logarithm of a hand's noise is uniform between them. Mean joint errors of 2,000
hands, copies of 150 grasps of the test split: small 9.0, large 82.8, mixed 29.0 mm."""
JITTER = 0.0005
"""Standard deviation of points on a surface, metres; ContactOpt's."""


def perturb(
    hand: HandModel, pose: np.ndarray, translation: np.ndarray, level: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Moves, turns and bends hands at random.

    Args:
        hand: of NumPy arrays.
        pose: (N, 48) axis-angle, radians.
        translation: (N, 3) metres.
        level: name in LEVELS.
        rng: source of the noise.

    Returns:
        pose (N, 48) and translation (N, 3), float32.

    Raises:
        KeyError: no such level.
    """
    least, greatest = (np.array(dataclasses.astuple(noise)) for noise in LEVELS[level])
    count = len(pose)
    share = rng.random((count, 1))
    deviation = least ** (1 - share) * greatest**share
    moved = translation + deviation[:, :1] * rng.standard_normal((count, 3))
    turn = Rotation.from_rotvec(deviation[:, 1:2] * rng.standard_normal((count, 3)))
    angles = hand.anatomical(np.asarray(pose, np.float64))
    low, high = hand.limits[..., 0], hand.limits[..., 1]
    bent = angles + deviation[:, 2, None, None] * (high - low) * rng.standard_normal((count, 16, 3))
    # An angle that is beyond its limit may stay there.
    perturbed = hand.pose_of(np.clip(bent, np.minimum(low, angles), np.maximum(high, angles)))
    perturbed[:, :3] = (turn * Rotation.from_rotvec(pose[:, :3])).as_rotvec()
    return perturbed.astype(np.float32), moved.astype(np.float32)


def jittered(points: np.ndarray, rng: np.random.Generator, deviation: float = JITTER) -> np.ndarray:
    """Points (..., 3) of an object with independent noise, float32."""
    return (points + deviation * rng.standard_normal(points.shape)).astype(np.float32)
