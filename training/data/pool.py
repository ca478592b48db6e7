# SPDX-License-Identifier: Apache-2.0
"""A pool of generated samples that worker processes fill while training draws from it."""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
import os
import time
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from hoi_ros.hand.model import HandModel
from training.data import sources

GENERATORS = tuple(
    f'training.data.synthetic.{name}' for name in ('depth_crops', 'depth_frames', 'rgb_crops', 'rgb_frames')
)
"""Modules of the generated streams."""


class Samples(Protocol):
    """A stream of samples: index → record. Picklable, so that workers can hold it."""

    dtype: np.dtype

    def __getitem__(self, index: int) -> np.ndarray: ...


class SamplePool:
    """A file of `capacity` records that workers fill in order of index, then refill with later indices.

    Rendering is slower than a training step, so each sample is drawn several times under other augmentations. The file
    never grows beyond its capacity. When several processes train on one machine, one per device, only the process of
    rank 0 runs the workers; all processes draw from its file.

    Args:
        make: called without arguments in each worker; returns the stream.
        dtype: of one record.
        path: the file; it is reused if it was filled under the same key, so that an interrupted run continues.
        key: what the samples depend on besides their index, see `generator_key`.
        capacity: records, a multiple of the workers.
        workers: processes.
        refresh: whether the workers continue beyond the capacity.

    Raises:
        ValueError: the capacity is not a multiple of the workers.
    """

    def __init__(
        self,
        make: Callable[[], Samples],
        dtype: np.dtype,
        path: Path,
        key: str,
        capacity: int,
        workers: int = 1,
        refresh: bool = True,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if capacity % workers:
            raise ValueError(f'a pool of {capacity} records cannot be shared by {workers} workers: make it a multiple')
        counts, label = path.with_suffix('.counts'), path.with_suffix('.key')
        key = f'{key} {dtype.descr} {capacity} {workers}'
        first = not int(os.environ.get('LOCAL_RANK', 0))
        if first and not (path.is_file() and counts.is_file() and label.is_file() and label.read_text() == key):
            with open(path, 'wb') as file:
                file.truncate(capacity * dtype.itemsize)
            counts.write_bytes(bytes(8 * workers))
            label.write_text(key)
        self.records = np.memmap(path, dtype, 'r+', shape=(capacity,))
        self._counts = np.memmap(counts, np.int64, 'r+', shape=(workers,))
        context = multiprocessing.get_context('spawn')
        self._workers = [
            context.Process(
                target=_fill, daemon=True, args=(make, dtype, path, counts, capacity, number, workers, refresh)
            )
            for number in range(workers if first else 0)
        ]
        for worker in self._workers:
            worker.start()

    @property
    def ready(self) -> int:
        """Number of records, from the first on, that may be drawn."""
        workers = len(self._counts)
        return int(min(self._counts.min() * workers, len(self.records)))

    @property
    def made(self) -> int:
        """Number of samples that the workers have generated."""
        return int(self._counts.sum())

    def wait(self, count: int) -> None:
        """Waits until `count` records may be drawn.

        Raises:
            ValueError: the pool has a smaller capacity.
            RuntimeError: a worker died; its own error is printed above.
        """
        if count > len(self.records):
            raise ValueError(f'{count} records are wanted of a pool of {len(self.records)}: give it more capacity')
        while self.ready < count:
            if any(worker.exitcode for worker in self._workers):
                raise RuntimeError('a worker process of the sample pool failed; see its error above')
            time.sleep(0.2)

    def close(self) -> None:
        """Stops the workers; the file stays."""
        for worker in self._workers:
            worker.terminate()
            worker.join()


def generator_key(seed: int, split: str, hand: HandModel | None = None, modules: Sequence[str] = GENERATORS) -> str:
    """The key of generated samples: seed, split, hand model, and the code that generates them.

    The code is every source file that the modules import, directly or not: cameras, crops, sensors, the hand model and
    the generators count; previews, adapters of public data sets and evaluation do not.

    Args:
        seed, split: of the stream.
        hand: the hand model of the samples; the default model if None.
        modules: dotted names of the modules that define the streams; all generators by default.
    """
    hand = hand or HandModel.load()
    model = hashlib.sha256(hand.side.encode())
    for field in dataclasses.fields(hand):
        value = getattr(hand, field.name)
        if isinstance(value, np.ndarray):
            model.update(f'{field.name} {value.dtype} {value.shape}'.encode() + value.tobytes())
    return f'seed {seed}, {split}, hand {model.hexdigest()[:16]}, code {sources.digest(modules)}'


def _fill(
    make: Callable[[], Samples],
    dtype: np.dtype,
    path: Path,
    counts: Path,
    capacity: int,
    number: int,
    workers: int,
    refresh: bool,
) -> None:
    """Worker `number`: fills every record whose index leaves that remainder."""
    records = np.memmap(path, dtype, 'r+', shape=(capacity,))
    done = np.memmap(counts, np.int64, 'r+', shape=(workers,))
    stream = make()
    parent = os.getppid()
    while os.getppid() == parent:
        index = int(done[number]) * workers + number
        if index >= capacity and not refresh:
            return
        records[index % capacity] = stream[index]
        done[number] += 1
