# SPDX-License-Identifier: Apache-2.0
"""Pairs of hands on objects in the batches of `two_hand_prior`, and the objects as the encoder takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import in_frame
from hoi_ros.hand.pair import mirrored
from hoi_ros.stages.parts.object_points import grouped
from hoi_ros.stages.parts.object_points import Groups
from hoi_ros.stages.parts.object_points import UNIT
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from training.data.synthetic.two_hands.records import PAIR_DTYPE
from training.networks.two_hand_prior.with_objects import HeldObjects

SAMPLES = 4
"""Samples of a batch on one object, each with a time, a noise and an anchor of its own: to encode an object costs as
much as to denoise ten hands."""
TURN = 0.25
"""Standard deviation of the turn of an object's frame about each axis, radians: few objects are drawn often, and those
of robots have their axes elsewhere."""
_PORTION = 256
"""Objects that are grouped together."""
_FLIP = np.array([-1, 1, 1], np.float32)


class _Kept(NamedTuple):
    """What is kept of N records."""

    index: np.ndarray
    right: np.ndarray
    left: np.ndarray
    points: np.ndarray
    groups: Groups


class ObjectPairDraws:
    """Draws pairs on objects, seeded by the step; half of them are mirrored, objects too.

    Args:
        records: returns the records of OBJECT_PAIR_DTYPE that may be drawn. An object is grouped once, when its record
            is read first: 8,000 take 20 s and 80 MB.
        whitening: of the hands' numbers.
        objects: of a draw.
        seed: of the order.
        turn: standard deviation of the turn of an object's frame about each axis, radians.

    Attributes:
        objects: of a draw.
    """

    def __init__(
        self,
        records: Callable[[], np.ndarray],
        whitening: PairWhitening,
        objects: int,
        seed: int,
        turn: float = TURN,
    ) -> None:
        self._records, self._whitening = records, whitening
        self.objects, self._seed, self._turn = objects, seed, turn
        self._kept = _read(records())

    def read(self) -> None:
        """Reads the records again."""
        self._kept = _read(self._records(), self._kept)

    def __call__(self, step: int) -> tuple[Tensor, Tensor, HeldObjects]:
        """Whitened right and left hands (SAMPLES · objects, 64), and their objects."""
        rng = np.random.default_rng([self._seed, 71, step])
        kept, rows = self._kept, rng.integers(len(self._kept.index), size=self.objects)
        right, left, points = kept.right[rows], kept.left[rows], kept.points[rows]
        swapped = rng.random(len(rows)) < 0.5
        right[swapped], left[swapped] = mirrored(left[swapped]), mirrored(right[swapped])
        points[swapped] *= _FLIP
        rotation = Rotation.from_rotvec(self._turn * rng.standard_normal((len(rows), 3))).as_matrix()
        turned = points @ rotation.astype(np.float32)
        shift = _middle(turned) - _middle(points) @ rotation
        origin = (rotation @ shift.swapaxes(1, 2))[..., 0]
        hands = [
            np.repeat(self._whitening.whiten(in_frame(hand, rotation, origin), True), SAMPLES, 0)
            for hand in (right, left)
        ]
        own = (turned - shift.astype(np.float32)) / np.float32(UNIT)
        groups = (torch.from_numpy(part[rows]) for part in kept.groups)
        number = torch.arange(len(rows)).repeat_interleave(SAMPLES)
        return *map(torch.from_numpy, hands), HeldObjects(number, torch.from_numpy(own), *groups)


def hands_about_objects(records: np.ndarray) -> np.ndarray:
    """(2 N, 64) right hands of records of OBJECT_PAIR_DTYPE and of their mirror images, about the objects."""
    return np.concatenate([records['right'], mirrored(records['left'])])


def without_objects(records: np.ndarray) -> np.ndarray:
    """Records (N,) of OBJECT_PAIR_DTYPE as PAIR_DTYPE: about the left wrists, without the objects."""
    pairs = np.zeros(len(records), PAIR_DTYPE)
    for name in set(PAIR_DTYPE.names) - {'right', 'left'}:
        pairs[name] = records[name]
    pairs['right'], pairs['left'] = about_anchor(records['right'], records['left']), anchored(records['left'])
    return pairs


def _read(records: np.ndarray, before: _Kept | None = None) -> _Kept:
    """What is kept of records, whose first ones may be those from before."""
    index = np.array(records['index'])
    known = 0
    if before is not None:
        alike = before.index[: len(index)] == index[: len(before.index)]
        known = len(alike) if alike.all() else int(alike.argmin())
    right, left, points = (np.array(records[name]) for name in ('right', 'left', 'object_points'))
    made = [grouped(points[start : start + _PORTION]) for start in range(known, len(points), _PORTION)]
    parts = ([Groups(*(part[:known] for part in before.groups))] if before and known else []) + made
    groups = Groups(*(np.concatenate(part).astype(np.int16) for part in zip(*parts)))
    return _Kept(index, right, left, points, groups)


def _middle(points: np.ndarray) -> np.ndarray:
    """(B, 1, 3) centres of the bounding boxes of points (B, N, 3)."""
    return (points.min(1, keepdims=True) + points.max(1, keepdims=True)) / 2
