# SPDX-License-Identifier: Apache-2.0
"""Hand poses: named gestures, and random poses within the anatomical limits.

A posture is given as shares (4, 5): rows are the flexion of a finger's first, second and third joint and the abduction
of its first joint; columns are the fingers, thumb to little. 0 is straight or neutral, 1 the upper limit, −1 the lower
limit.
"""

from __future__ import annotations

import numpy as np

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import FINGER_JOINTS

GESTURES: dict[str, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = {
    'open': ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0)),
    'spread': ((-0.3, 0, 0, 0, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0), (0.6, 0.8, 0.1, -0.5, -0.9)),
    'closed_flat': ((0.4, 0, 0, 0, 0), (0.2, 0, 0, 0, 0), (0, 0, 0, 0, 0), (-0.4, -0.5, 0, 0.4, 0.8)),
    'relaxed': (
        (0.2, 0.25, 0.3, 0.35, 0.35),
        (0.15, 0.3, 0.35, 0.35, 0.3),
        (0.15, 0.2, 0.2, 0.2, 0.2),
        (0, 0, 0, 0, 0),
    ),
    'fist': (
        (0.5, 0.9, 0.95, 0.95, 0.95),
        (0.3, 0.92, 0.92, 0.92, 0.92),
        (0.4, 0.6, 0.6, 0.6, 0.6),
        (-0.3, 0, 0, 0, 0),
    ),
    'hook': ((0, 0.1, 0.1, 0.1, 0.1), (0.1, 0.85, 0.85, 0.85, 0.85), (0.1, 0.6, 0.6, 0.6, 0.6), (0, 0, 0, 0, 0)),
    'point': ((0.7, 0, 0.9, 0.9, 0.9), (0.6, 0.02, 0.9, 0.9, 0.9), (0.4, 0, 0.6, 0.6, 0.6), (-0.2, 0, 0, 0, 0)),
    'two': ((0.8, 0, 0, 0.9, 0.9), (0.7, 0, 0, 0.9, 0.9), (0.5, 0, 0, 0.6, 0.6), (0, 0.6, -0.4, 0, 0)),
    'three': ((0.8, 0, 0, 0, 0.9), (0.7, 0, 0, 0, 0.9), (0.5, 0, 0, 0, 0.6), (0, 0.5, 0, -0.4, 0)),
    'thumb_up': (
        (-0.4, 0.85, 0.9, 0.9, 0.9),
        (-0.5, 0.9, 0.9, 0.9, 0.9),
        (-0.3, 0.6, 0.6, 0.6, 0.6),
        (0.5, 0, 0, 0, 0),
    ),
    'call': ((-0.3, 0.9, 0.9, 0.9, 0), (0, 0.9, 0.9, 0.9, 0), (0, 0.6, 0.6, 0.6, 0), (0.5, 0, 0, 0, -0.8)),
    'horns': ((0.7, 0, 0.9, 0.9, 0), (0.6, 0, 0.9, 0.9, 0), (0.4, 0, 0.6, 0.6, 0), (0, 0.3, 0, 0, -0.5)),
    'pinch': (
        (0.55, 0.55, 0.2, 0.15, 0.1),
        (0.35, 0.45, 0.2, 0.15, 0.1),
        (0.3, 0.35, 0.1, 0.1, 0.1),
        (0, 0, 0, -0.2, -0.3),
    ),
    'tripod': (
        (0.55, 0.55, 0.6, 0.75, 0.8),
        (0.35, 0.42, 0.45, 0.75, 0.8),
        (0.3, 0.3, 0.3, 0.5, 0.5),
        (0, -0.2, 0, 0, 0),
    ),
    'power_cylinder': (
        (0.6, 0.55, 0.6, 0.6, 0.6),
        (0.3, 0.55, 0.58, 0.58, 0.55),
        (0.3, 0.35, 0.35, 0.35, 0.35),
        (0.2, 0, 0, 0, 0),
    ),
    'power_sphere': (
        (0.2, 0.3, 0.3, 0.3, 0.3),
        (0.3, 0.4, 0.42, 0.42, 0.4),
        (0.35, 0.35, 0.35, 0.35, 0.35),
        (0.4, 0.5, 0.1, -0.3, -0.6),
    ),
    'lateral': ((0.6, 0.6, 0.7, 0.7, 0.7), (0.2, 0.7, 0.75, 0.75, 0.75), (0.5, 0.4, 0.5, 0.5, 0.5), (-0.5, 0, 0, 0, 0)),
    'plate': ((0.5, 0.75, 0.75, 0.75, 0.75), (0.1, 0.03, 0.03, 0.03, 0.03), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0)),
}
"""Shares of the named gestures and natural grasps."""

_CLEARANCE = 0.0095
"""Least distance between the bone axes of two fingers, metres."""
_PALM_CLEARANCE = 0.012
"""Least distance between a finger's outer bones and the palm's bones, metres."""
_FIRST_JOINTS = FINGER_JOINTS[:, 0]
_HINGES = FINGER_JOINTS[:, 1:].ravel()


def joint_angles(model: HandModel, shares: np.ndarray, play: np.ndarray | None = None) -> np.ndarray:
    """Converts shares of the joints' ranges into angles within the limits.

    Args:
        model: the hand.
        shares: (4, 5) as in GESTURES.
        play: (16, 3) radians to add, for example abduction of the hinges and twist.

    Returns:
        (16, 3) flexion, abduction and twist, radians; the wrist's row is zero.
    """
    low, high = model.limits[..., 0], model.limits[..., 1]
    angles: np.ndarray = np.zeros((16, 3))
    flexion, abduction = shares[:3].T, shares[3]
    angles[FINGER_JOINTS, 0] = _angle(flexion, low[FINGER_JOINTS, 0], high[FINGER_JOINTS, 0])
    angles[_FIRST_JOINTS, 1] = _angle(abduction, low[_FIRST_JOINTS, 1], high[_FIRST_JOINTS, 1])
    if play is not None:
        angles += play
    angles = np.clip(angles, low, high)
    angles[0] = 0
    return angles


def gesture_angles(model: HandModel, name: str) -> np.ndarray:
    """Angles (16, 3) of a named gesture, radians.

    Raises:
        KeyError: no such gesture.
    """
    return joint_angles(model, np.array(GESTURES[name]))


def sample_angles(model: HandModel, rng: np.random.Generator, attempts: int = 6) -> np.ndarray:
    """Samples one pose of the fingers within the model's limits, whose fingers do not collide.

    A fifth of the poses is uniform over the limits. Two fifths lie between two gestures. Two fifths bend each finger by
    one number, with the joints coupled as tendons couple them. After `attempts` colliding poses the last one is used.

    Returns:
        (16, 3) flexion, abduction and twist, radians; the wrist's row is zero.
    """
    angles: np.ndarray = np.zeros((16, 3))
    for _ in range(attempts):
        kind = rng.random()
        if kind < 0.2:
            shares = _uniform(rng)
        elif kind < 0.6:
            shares = _between_gestures(rng)
        else:
            shares = _coupled(rng)
        angles = joint_angles(model, shares, _play(model, rng))
        if not _fingers_collide(model, angles):
            break
    return angles


def _angle(shares: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.where(shares >= 0, shares * high, -shares * low)


def _uniform(rng: np.random.Generator) -> np.ndarray:
    shares = rng.uniform(-0.25, 1, (4, 5))
    shares[2] = np.clip(shares[1] * 0.7 + rng.normal(0, 0.2, 5), -0.1, 1)
    shares[3] = rng.uniform(-1, 1, 5)
    return shares


def _between_gestures(rng: np.random.Generator) -> np.ndarray:
    names = list(GESTURES)
    first, second = (np.array(GESTURES[names[k]]) for k in rng.integers(len(names), size=2))
    share = rng.beta(0.4, 0.4, (1, 5)) if rng.random() < 0.3 else rng.beta(0.4, 0.4)
    return first * (1 - share) + second * share + rng.normal(0, 0.07, (4, 5))


def _coupled(rng: np.random.Generator) -> np.ndarray:
    curl = np.clip(rng.uniform(-0.1, 1) + rng.normal(0, rng.choice([0.08, 0.35]), 5), -0.15, 1)
    first = np.clip(curl + rng.normal(0, 0.2, 5), -0.5, 1)
    second = np.clip(curl + rng.normal(0, 0.15, 5), -0.05, 1)
    third = np.clip(0.65 * second + rng.normal(0, 0.1, 5), -0.1, 1)
    spread = rng.uniform(-0.4, 1) * np.array([0, 0.7, 0.1, -0.4, -0.8]) * (1 - np.abs(curl)) + rng.normal(0, 0.2, 5)
    return np.stack([first, second, third, spread])


def _play(model: HandModel, rng: np.random.Generator) -> np.ndarray:
    """(16, 3) random twist of every joint and random abduction of the hinges, radians."""
    play = rng.normal(0, 0.35, (16, 3)) * (model.limits[..., 1] - model.limits[..., 0]) / 2
    allowed = np.zeros((16, 3))
    allowed[:, 2] = allowed[_HINGES, 1] = 1
    return play * allowed


def _fingers_collide(model: HandModel, angles: np.ndarray) -> bool:
    """Whether the bone axes of two fingers are closer than a finger's thickness allows."""
    pose = model.pose_of(angles).astype(np.float32)
    points = model.forward(pose, np.zeros(10, np.float32), np.zeros(3, np.float32), vertices=False).keypoints
    chains = points[1:].reshape(5, 4, 3)
    shares = np.linspace(0, 1, 4)[:, None]
    bones = chains[:, :-1, None] * (1 - shares) + chains[:, 1:, None] * shares
    # The thumb's metacarpal lies in the palm; so do the first points of the fingers' proximal phalanges.
    fingers = [bones[0, 1:].reshape(-1, 3), *(finger.reshape(-1, 3)[1:] for finger in bones[1:])]
    flat = np.concatenate(fingers)
    owner = np.repeat(np.arange(5), [len(finger) for finger in fingers])
    gaps = ((flat[:, None] - flat[None]) ** 2).sum(-1)
    gaps[owner[:, None] == owner[None]] = 1
    palm = np.concatenate([points[[0]] * s + points[[5, 9, 13, 17]] * (1 - s) for s in (0.1, 0.35, 0.6, 0.85)])
    outer = bones[:, 1:].reshape(-1, 3)
    to_palm = ((outer[:, None] - palm[None]) ** 2).sum(-1)
    return bool(gaps.min() < _CLEARANCE**2 or to_palm.min() < _PALM_CLEARANCE**2)
