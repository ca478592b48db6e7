# SPDX-License-Identifier: Apache-2.0
"""Desks under hands that face down, and keyboards under their fingers."""

from __future__ import annotations

import numpy as np

from hoi_ros.hand.skeleton import FINGERTIPS
from training.data.synthetic.scene_parts import Parts
from training.data.synthetic.scene_parts import SceneHand
from training.data.synthetic.solids import BOX
from training.data.synthetic.solids import plane
from training.data.synthetic.vectors import unit

_FACING = 0.3
"""Least cosine between the desk's normal and the direction to the camera."""


def add_desk(parts: Parts, hands: list[SceneHand], rng: np.random.Generator) -> bool:
    """Adds a desk below the first hand, in two of three cases with a keyboard.

    Args:
        parts: of the scene.
        hands: their vertices may include what they hold.
        rng: of the scene.

    Returns:
        False, and nothing is added, if the hand does not show its back or another hand would lie in the desk.
    """
    hand = hands[0]
    wrist, index, middle, little = hand.keypoints[[0, 5, 9, 17]].astype(float)
    palm = np.cross(index - wrist, little - wrist) * (1 if hand.side == 'right' else -1)
    up = unit(-unit(palm) + rng.normal(0, 0.12, 3))
    if up @ unit(-hand.centre) < _FACING:
        return False
    top = float((hand.vertices @ up).min()) - rng.choice([rng.uniform(0, 0.004), rng.uniform(0, 0.03)])
    if any((other.vertices @ up).min() < top for other in hands[1:]):
        return False
    level = top
    if rng.random() < 2 / 3:
        along = unit(middle - wrist - ((middle - wrist) @ up) * up)
        tips = hand.keypoints[list(FINGERTIPS[1:])].mean(0)
        turn = rng.normal(0, 0.2)
        along = np.cos(turn) * along + np.sin(turn) * np.cross(up, along)
        frame = np.stack([np.cross(along, up), along, up])
        vertices, faces, level = _keyboard(tips - (tips @ up - top) * up, frame, rng)
        parts.add(vertices, faces, -1)
    parts.add(*plane(up, level, hand.centre), -1, 'table')
    return True


def _keyboard(place: np.ndarray, frame: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """A keyboard whose keys end at a place (3,) near the fingertips: vertices, faces, and the desk's level below it.

    Args:
        place: on top of a key.
        frame: (3, 3) rows: across, away and up.
        rng: of the scene.
    """
    rows, columns = int(rng.integers(4, 7)), int(rng.integers(10, 19))
    pitch, travel, body = rng.uniform(0.017, 0.02), rng.uniform(0.001, 0.006), rng.uniform(0.004, 0.02)
    side = pitch * rng.uniform(0.75, 0.95)
    across, away = np.meshgrid((np.arange(columns) - rng.uniform(0, columns - 1)) * pitch, np.arange(rows) * pitch)
    shift = 0.25 * pitch * np.arange(rows)[:, None]
    away = away - pitch * rng.uniform(0, rows - 1)
    keys = np.stack([(across + shift).ravel(), away.ravel(), np.full(across.size, -travel / 2)], 1)
    boxes = keys[:, None] + BOX[0] * [side / 2, side / 2, travel / 2]
    low, high = keys[:, :2].min(0) - 0.02, keys[:, :2].max(0) + 0.02
    middle, half = (low + high) / 2, (high - low) / 2
    board = BOX[0] * [*half, body / 2] + [*middle, -travel - body / 2]
    vertices = np.concatenate([boxes.reshape(-1, 3), board]) @ frame + place
    count = len(keys) + 1
    faces = (BOX[1] + len(BOX[0]) * np.arange(count)[:, None, None]).reshape(-1, 3)
    return vertices, faces, float(place @ frame[2]) - travel - body
