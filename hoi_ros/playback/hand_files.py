# SPDX-License-Identifier: Apache-2.0
"""Reads a hand from what `python -m hoi_ros.image` and `python -m hoi_ros.replay` write."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.fitting import HandFitter
from hoi_ros.hand.model import HandModel

_MOST_BYTES = 100_000_000
_LONGEST = 0.5
"""Diagonal of the box around the joints of a hand, metres: millimetres exceed it."""


class HandFileError(ValueError):
    """A file that holds no usable hand."""


def read_hand(path: Path, models: Callable[[str], HandModel]) -> HandEstimate:
    """The hand with the highest score in a file: a JSON object with `hands`, a hand itself, or one of either a line.

    The file holds joints; the parameters are fitted to them.

    Args:
        path: of the file.
        models: the hand model of a side.

    Raises:
        HandFileError: the file cannot be read, or holds no hand in metres.
    """
    hands = [hand for record in _records(path) for hand in _hands(record)]
    if not hands:
        raise HandFileError(f'{path} holds no hand: give what hoi_ros.image or hoi_ros.replay writes of one')
    hands = [hand for hand in hands if hand.get('joints') is not None] or hands
    best = max(hands, key=lambda hand: _score(hand, path, 0.0))
    side, joints = best.get('side'), _array(best.get('joints'))
    if side not in ('left', 'right'):
        raise HandFileError(f'{path}: the side of the hand is {side!r}, expected left or right')
    if joints is None or joints.shape != (21, 3) or not np.isfinite(joints).all():
        raise HandFileError(f'{path}: expected 21 finite joints, x, y and z in metres, of the {side} hand')
    if (across := float(np.linalg.norm(np.ptp(joints, axis=0)))) > _LONGEST:
        raise HandFileError(
            f'{path}: the hand measures {across:.4g} m across, expected at most {_LONGEST:g} m: it seems to be in '
            'millimetres'
        )
    model = models(side)
    try:
        fit = HandFitter(model).fit(joints)
    except ValueError as error:
        raise HandFileError(f'{path}: {error}') from error
    posed = model.forward(fit.pose, fit.shape, fit.translation)
    scores = np.ones(21, np.float32)
    return HandEstimate(
        side, 0, _score(best, path, 1.0), fit.keypoints, scores, fit.pose, fit.shape, fit.translation, posed.vertices
    )


def _score(hand: Mapping[str, Any], path: Path, default: float) -> float:
    score = hand.get('score', default)
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise HandFileError(f'{path}: the score of a hand is {score!r}, expected a number')
    return float(score)


def _records(path: Path) -> list[Any]:
    """The content of a JSON file, or of each line of one."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise HandFileError(f'{path}: {path.stat().st_size} bytes, expected the estimates of a few images')
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise HandFileError(f'{path} cannot be read: {error}') from error
    try:
        return [json.loads(text)]
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise HandFileError(f'{path} is no JSON: {error}') from error


def _hands(record: Any) -> list[dict[str, Any]]:
    """The hands of a record."""
    if not isinstance(record, dict):
        return []
    hands = record.get('hands', [record] if 'joints' in record else [])
    return [hand for hand in hands if isinstance(hand, dict)] if isinstance(hands, list) else []


def _array(numbers: Any) -> np.ndarray | None:
    try:
        return np.asarray(numbers, float)
    except (TypeError, ValueError):
        return None
