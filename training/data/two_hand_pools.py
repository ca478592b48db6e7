# SPDX-License-Identifier: Apache-2.0
"""Pools of two-hand interactions, and of two hands on an object, that recipes and evaluations share."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hoi_ros.hand.model import HandModel
from training.data.pool import filled
from training.data.pool import generator_key
from training.data.pool import SamplePool
from training.data.pool import Samples
from training.data.real.scans import scanned_objects
from training.data.real.scans import ScannedObjects
from training.data.synthetic.two_hands.records import OBJECT_PAIR_DTYPE
from training.data.synthetic.two_hands.records import PAIR_DTYPE

HELD_OUT_SEED = 1000
"""Seed of the pairs that no training sees."""


@dataclasses.dataclass(frozen=True)
class TwoHandPools:
    """Where generated pairs of hands are kept."""

    pool: Path = Path('runs/two_hands.pool')
    """File of records; it grows to `capacity` and is reused. Pairs on objects and held-out pairs are beside it."""
    capacity: int = 65_536
    """Records in the pool."""
    workers: int = 0
    """Processes that make pairs; 0 chooses them."""
    refresh: bool = False
    """Keep making pairs once the pool is full, replacing the oldest records."""
    first: int = 4096
    """Records that must be ready before a training starts."""
    scans: Path | None = None
    """Folder of scanned objects; some of the pairs on objects hold them."""

    def training(self, seed: int, with_object: bool, filling: int, beside: int) -> SamplePool:
        """The pool of the training split; the caller waits for it and closes it.

        Args:
            seed: of the stream.
            with_object: whether the pairs hold an object.
            filling, beside: processes before the training and beside it.
        """
        make, dtype, key = self._stream(seed, 'train', with_object)
        path = self.pool.with_stem(f'{self.pool.stem}_objects') if with_object else self.pool
        return SamplePool(make, dtype, path, key, self.capacity, filling, self.refresh, beside)

    def held_out(self, split: str, count: int, with_object: bool = False, until: float = math.inf) -> np.ndarray:
        """The first records of the validation or test split.

        Args:
            split: validation or test.
            count: records.
            with_object: whether the pairs hold an object.
            until: as of `filled`.
        """
        make, dtype, key = self._stream(HELD_OUT_SEED, split, with_object)
        name = f'{self.pool.stem}{"_objects" if with_object else ""}_{split}_{count}'
        return filled(make, dtype, self.pool.with_stem(name), key, count, max(1, self.workers), until)

    def _stream(self, seed: int, split: str, with_object: bool) -> tuple[Callable[[], Samples], np.dtype, str]:
        """What makes the records, their type, and the key of their pool."""
        from training.data.synthetic.two_hands.generator import PairInteractions
        from training.data.synthetic.two_hands.object_pairs import ObjectPairs

        hand = HandModel.load()
        if not with_object:
            key = generator_key(seed, split, hand, [PairInteractions.__module__])
            return functools.partial(PairInteractions, seed, split, hand), PAIR_DTYPE, key
        scans = scanned_objects(self.scans, 'test' if split == 'test' else 'train')
        key = ScannedObjects.key(self.scans) + generator_key(seed, split, hand, [ObjectPairs.__module__])
        return functools.partial(ObjectPairs, seed, split, scans, hand), OBJECT_PAIR_DTYPE, key
