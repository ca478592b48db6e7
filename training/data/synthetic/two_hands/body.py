# SPDX-License-Identifier: Apache-2.0
"""How one person can hold both hands in front of the body: relative rotations of the wrists, and where the arms are.

Both arms are two links from shoulder to wrist. The elbow hangs down or outwards, the forearm rolls, the wrist bends and
deviates within its range, so that the hands meet as those of one person do. x to the person's right, y forwards, z up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from training.data.synthetic.two_hands.interactions import Interaction
from training.data.synthetic.two_hands.solver import PosedHand

FOREARM_RADIUS = 0.026
"""Of the forearm near the wrist, metres."""
_SHOULDER = np.array([0.18, 0.0, 0.0])
_UPPER_ARM, _FOREARM = 0.29, 0.25
"""Lengths, metres."""
_TO_PALM = 0.08
"""From the wrist to the middle of the hand, metres."""
_MIRROR = np.array([-1.0, 1.0, 1.0])


class Arms(NamedTuple):
    """Placements of two hands (N), in the frame of the left wrist.

    Attributes:
        turns: (N, 3, 3) rotation of the right wrist.
        right: (N, 3) unit direction from the right wrist to its elbow.
        left: (N, 3) from the left wrist to its elbow.
    """

    turns: np.ndarray
    right: np.ndarray
    left: np.ndarray


def sample_arms(rng: np.random.Generator, count: int) -> Arms:
    """Draws placements of two hands that meet in front of one body."""
    meeting = rng.normal([0, 0.33, -0.22], [0.06, 0.07, 0.12], (count, 3))
    right_hand, right_elbow = _arm(meeting, rng)
    left_hand, left_elbow = _arm(meeting * _MIRROR, rng)
    left_hand = _MIRROR[:, None] * left_hand * _MIRROR
    to_left = left_hand.swapaxes(-1, -2)
    return Arms(
        to_left @ right_hand,
        (to_left @ right_elbow[..., None])[..., 0],
        (to_left @ (left_elbow * _MIRROR)[..., None])[..., 0],
    )


def _arm(meeting: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Frames (N, 3, 3) of right hands about meeting points (N, 3), and unit directions (N, 3) to the elbows."""
    count = len(meeting)
    raised = rng.uniform(0.0, 1.4, (count, 1))
    roll = rng.uniform(-1.45, 1.5, count)
    bent = np.clip(rng.normal(0.0, 0.55, count), -1.1, 1.2)
    deviated = np.clip(rng.normal(0.0, 0.2, count), -0.5, 0.35)
    own = Rotation.from_euler('YXZ', np.stack([roll, bent, deviated], 1)).as_matrix()
    outwards = np.cos(raised) * [0, 0, -1] + np.sin(raised) * [1, -0.3, 0]
    wrist = meeting
    for _ in range(2):
        reach = wrist - _SHOULDER
        length = np.linalg.norm(reach, axis=1, keepdims=True)
        along = reach / length
        length = np.minimum(length, 0.98 * (_UPPER_ARM + _FOREARM))
        share = (length**2 + _UPPER_ARM**2 - _FOREARM**2) / (2 * length)
        aside = outwards - (outwards * along).sum(1, keepdims=True) * along
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        elbow = _SHOULDER + share * along + np.sqrt(np.maximum(_UPPER_ARM**2 - share**2, 1e-6)) * aside
        forearm = _SHOULDER + length * along - elbow
        forearm /= np.linalg.norm(forearm, axis=1, keepdims=True)
        # Neither pronated nor supinated, the thumb lies in the plane in which the elbow bends.
        thumb = _SHOULDER - elbow
        thumb -= (thumb * forearm).sum(1, keepdims=True) * forearm
        thumb /= np.linalg.norm(thumb, axis=1, keepdims=True)
        frame = np.stack([thumb, forearm, np.cross(thumb, forearm)], -1) @ own
        wrist = meeting - _TO_PALM * frame[..., 1]
    return frame, -forearm


def arms_apart(
    arms: Arms, right: PosedHand, left: PosedHand, kind: Interaction, place: np.ndarray | None = None
) -> bool:
    """Whether each hand is outside the other's forearm, and the forearms do not run through each other.

    Args:
        arms: of one placement.
        right: placed, or about its own wrist if `place` is given.
        left: the other hand.
        kind: tells whether a hand holds the second forearm.
        place: (3,) of the right wrist.
    """
    if place is None:
        turn, place = right.state.turn, right.state.place
        direction = turn @ arms.turns.T @ arms.right
        mine = right.vertices.T[::2]
    else:
        direction = arms.right
        mine = right.vertices.T[::6] @ arms.turns.T + place
    others = left.vertices.T[::2]
    radius = FOREARM_RADIUS - 0.004
    my_arm = place + np.array([[0.035], [0.24]]) * direction
    their_arm = np.array([[0.035 + kind.held], [0.24]]) * arms.left
    if _to_segment(mine, *their_arm).min() < radius or _to_segment(others, *my_arm).min() < radius:
        return False
    along = my_arm[0] + np.linspace(0, 1, 8)[:, None] * (my_arm[1] - my_arm[0])
    return bool(_to_segment(along, *their_arm).min() > 2 * radius)


def _to_segment(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(N,) distances of points (N, 3) from a segment."""
    along = end - start
    share = np.clip((points - start) @ along / (along @ along), 0, 1)
    off = points - start - share[:, None] * along
    distances: np.ndarray = np.sqrt((off * off).sum(1))
    return distances
