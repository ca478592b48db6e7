# SPDX-License-Identifier: Apache-2.0
"""Desks under hands that face down, and keyboards and laptops under their fingers."""

from __future__ import annotations

import numpy as np

from hoi_ros.hand.skeleton import FINGERTIPS
from training.data.synthetic.scene_parts import Parts
from training.data.synthetic.scene_parts import SceneHand
from training.data.synthetic.solids import BOX
from training.data.synthetic.solids import plane
from training.data.synthetic.vectors import unit

FACING = 0.3
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
    if up @ unit(-hand.centre) < FACING:
        return False
    top = float((hand.vertices @ up).min()) - rng.choice([rng.uniform(0, 0.004), rng.uniform(0, 0.03)])
    if any((other.vertices @ up).min() < top for other in hands[1:]):
        return False
    level = top
    if rng.random() < 2 / 3:
        frame = _frame(middle - wrist, up, rng.normal(0, 0.2))
        tips = hand.keypoints[list(FINGERTIPS[1:])].mean(0)
        level = _add_keyboard(parts, tips - (tips @ up - top) * up, frame, rng)
    parts.add(*plane(up, level, hand.centre), -1, 'table')
    return True


def add_desk_below(parts: Parts, hands: list[SceneHand], up: np.ndarray, rng: np.random.Generator) -> None:
    """Adds a desk of the normal `up` (3,) below hands that lie on it, most often with a keyboard or a laptop below all
    of them."""
    level = min(float((hand.vertices @ up).min()) for hand in hands) - rng.uniform(0, 0.003)
    if rng.random() < 0.85:
        tips = np.array([hand.keypoints[list(FINGERTIPS[1:])].mean(0) for hand in hands], float)
        frame = _frame(sum(hand.keypoints[9] - hand.keypoints[0] for hand in hands), up, rng.normal(0, 0.05))
        middle = tips.mean(0)
        width = float(np.ptp(tips @ frame[0])) + 0.06
        place = middle - (middle @ up - level) * up
        level = _add_keyboard(parts, place, frame, rng, width, laptop=rng.random() < 0.5)
    parts.add(*plane(up, level, hands[0].centre), -1, 'table')


def _frame(ahead: np.ndarray, up: np.ndarray, turn: float) -> np.ndarray:
    """(3, 3) rows: across, away and up, for hands that point `ahead` (3,), turned about `up`."""
    along = unit(ahead - (ahead @ up) * up)
    along = np.cos(turn) * along + np.sin(turn) * np.cross(up, along)
    return np.stack([np.cross(along, up), along, up])


def _add_keyboard(
    parts: Parts,
    place: np.ndarray,
    frame: np.ndarray,
    rng: np.random.Generator,
    width: float = 0.0,
    laptop: bool = False,
) -> float:
    """Adds a keyboard whose keys end at a place (3,) near the fingertips; returns the desk's level below it.

    Args:
        parts: of the scene.
        place: on top of a key.
        frame: (3, 3) rows: across, away and up.
        rng: of the scene.
        width: of the keys, at least, about the place; metres.
        laptop: with a rest for the palms and a screen.
    """
    rows, columns = int(rng.integers(4, 7)), int(rng.integers(10, 19))
    columns = max(columns, int(width / 0.017) + 2)
    pitch, travel, body = rng.uniform(0.017, 0.02), rng.uniform(0.001, 0.006), rng.uniform(0.004, 0.02)
    side = pitch * rng.uniform(0.75, 0.95)
    edge = width / 2 / pitch
    first = rng.uniform(edge, columns - 1 - edge)
    across, away = np.meshgrid((np.arange(columns) - first) * pitch, np.arange(rows) * pitch)
    shift = 0.25 * pitch * np.arange(rows)[:, None]
    away = away - pitch * rng.uniform(0, rows - 1)
    keys = np.stack([(across + shift).ravel(), away.ravel(), np.full(across.size, -travel / 2)], 1)
    boxes = keys[:, None] + BOX[0] * [side / 2, side / 2, travel / 2]
    low, high = keys[:, :2].min(0) - 0.02, keys[:, :2].max(0) + 0.02
    if laptop:
        low[1] -= rng.uniform(0.07, 0.11)
    middle, half = (low + high) / 2, (high - low) / 2
    board = BOX[0] * [*half, body / 2] + [*middle, -travel - body / 2]
    faces = (BOX[1] + len(BOX[0]) * np.arange(len(keys))[:, None, None]).reshape(-1, 3)
    parts.add(boxes.reshape(-1, 3) @ frame + place, faces, -1, 'device')
    parts.add(board @ frame + place, BOX[1], -1, 'device')
    if laptop:
        height, open_by = rng.uniform(0.09, 0.125), np.radians(rng.uniform(5, 40))
        screen = BOX[0] * [half[0], 0.003, height] + [0, 0, height]
        back = screen[:, 1] * np.cos(open_by) + screen[:, 2] * np.sin(open_by)
        above = screen[:, 2] * np.cos(open_by) - screen[:, 1] * np.sin(open_by)
        screen = np.stack([screen[:, 0] + middle[0], back + high[1], above - travel], 1)
        parts.add(screen @ frame + place, BOX[1], -1, 'device')
    return float(place @ frame[2]) - travel - body
