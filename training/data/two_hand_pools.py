# SPDX-License-Identifier: Apache-2.0
"""Pools of two-hand interactions, and of two hands on an object, that recipes and evaluations share."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hoi_ros.hand.model import HandModel
from training.cores import available_cores
from training.data.pool import filled
from training.data.pool import generator_key
from training.data.pool import made_slots
from training.data.pool import PoolError
from training.data.pool import SamplePool
from training.data.public.recorded import Source
from training.data.real.scans import scanned_objects
from training.data.real.scans import ScannedObjects
from training.data.synthetic.two_hands.postures import HAND_POSES
from training.data.synthetic.two_hands.postures import PostureLibrary
from training.data.synthetic.two_hands.records import OBJECT_PAIR_DTYPE
from training.data.synthetic.two_hands.records import PAIR_DTYPE


@dataclasses.dataclass(frozen=True)
class HeldOutPools:
    """Files of generated pairs of hands, one for each split."""

    pool: Path = Path('runs/two_hand_prior.pool')
    """File of the training's pairs. Held-out pairs are beside it, as <name>_<split>.pool, and pairs that hold objects,
    as <name>_objects.pool."""
    workers: int = 0
    """Processes that make pairs; 0 chooses them."""
    as_it_is: bool = False
    """Take the pairs in the files, whatever made them; none is made."""
    poses: Path | None = HAND_POSES
    """Folder of the poses of real hands; None draws from gestures and the joint limits only."""
    scans: Path | None = None
    """Folder of scanned objects; some of the pairs that hold objects hold them."""

    def held_out(self, split: str, count: int, with_object: bool = False, until: float = math.inf) -> np.ndarray:
        """The first pairs of a split.

        Args:
            split: train, validation or test.
            count: pairs, at most.
            with_object: whether the pairs hold an object.
            until: as of `filled`.

        Raises:
            PoolError: there are no pairs.
        """
        path, dtype = self._file(with_object), _dtype(with_object)
        path = path.with_stem(f'{path.stem}_{split}')
        if self.as_it_is:
            return kept_records(path, dtype)[:count]
        make, key, size = self._source(0, split, with_object, count)
        return filled(make, dtype, path, key, size, self.workers or available_cores(), until)

    def _file(self, with_object: bool) -> Path:
        return self.pool.with_stem(f'{self.pool.stem}_objects') if with_object else self.pool

    def _source(self, seed: int, split: str, with_object: bool, count: int) -> Source:
        """What makes the first records, at most `count`."""
        from training.data.synthetic.two_hands.generator import PairInteractions
        from training.data.synthetic.two_hands.object_pairs import ObjectPairs

        hand = self._hand()
        if not with_object:
            key = PostureLibrary.key(self.poses) + generator_key(seed, split, hand, [PairInteractions.__module__])
            return Source(functools.partial(PairInteractions, seed, split, hand, self.poses), key, count)
        scans = scanned_objects(self.scans, 'held_out' if split == 'test' else split)
        key = ScannedObjects.key(self.scans) + generator_key(seed, split, hand, [ObjectPairs.__module__])
        return Source(functools.partial(ObjectPairs, seed, split, scans, hand), key, count)

    def _hand(self) -> HandModel:
        """The right hand of the pairs."""
        return HandModel.load()


@dataclasses.dataclass(frozen=True)
class TwoHandPools(HeldOutPools):
    """Where the pairs of a training are kept, too."""

    capacity: int = 65_536
    """Pairs in the pool, which is reused."""
    refresh: bool = False
    """Keep making pairs once the pool is full, replacing the oldest ones."""
    first: int = 16_384
    """Pairs that must be ready before a training starts."""
    pairs_seed: int | None = None
    """Seed of the pairs; that of the training without it."""

    @contextlib.contextmanager
    def training(
        self, seed: int, with_object: bool, filling: int, beside: int, until: float = math.inf
    ) -> Iterator[Callable[[], np.ndarray]]:
        """While it is open, pairs of the training split are made; yields what returns those that may be drawn.

        Args:
            seed: of the stream, without `pairs_seed`.
            with_object: whether the pairs hold an object.
            filling, beside: processes before the training and beside it.
            until: value of `time.monotonic()` after which fewer than `first` are enough.

        Raises:
            PoolError: there are no pairs.
        """
        path, dtype = self._file(with_object), _dtype(with_object)
        if self.as_it_is:
            records = kept_records(path, dtype)
            yield lambda: records
            return
        seed = seed if self.pairs_seed is None else self.pairs_seed
        make, key, size = self._source(seed, 'train', with_object, self.capacity)
        pool = SamplePool(make, dtype, path, key, size, filling, self.refresh, beside)
        try:
            pool.wait(min(self.first, size), 1, until)
            yield lambda: pool.records[: pool.ready]
        finally:
            pool.close()


def _dtype(with_object: bool) -> np.dtype:
    return OBJECT_PAIR_DTYPE if with_object else PAIR_DTYPE


def kept_records(path: Path, dtype: np.dtype) -> np.ndarray:
    """The records in the file of a pool.

    Raises:
        PoolError: there are none.
    """
    made = made_slots(path)
    if not made.any():
        raise PoolError(f'{path}: no pairs in it, and --as-it-is makes none: name another --pool, or leave it out')
    return np.array(np.memmap(path, dtype, 'r')[made])
