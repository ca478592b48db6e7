# SPDX-License-Identifier: Apache-2.0
"""A pool of generated samples that worker processes keep filling while training draws from it."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import time
from pathlib import Path
from typing import Protocol

import numpy as np


class Samples(Protocol):
    """A stream of samples: index → record. Picklable, so that workers can hold it."""

    dtype: np.dtype

    def __getitem__(self, index: int) -> np.ndarray: ...


class SamplePool:
    """A file of `capacity` records that workers fill in order of index, then fill anew with later indices.

    Rendering is slower than training on a rendered sample, so each sample is drawn several times under other
    augmentations; the pool holds no more than its capacity on disk, and nothing is kept in git. Where several processes
    train on a machine, one to a device, the first of them, which starts the others, has the workers and all draw from
    its file.

    Args:
        make: called without arguments in each worker; returns the stream.
        dtype: of one record.
        path: of the file; it is reused where it was made under the same key, so that a killed run goes on at once.
        key: what the samples depend on beside their index: seed, split, the generator's version.
        capacity: records, a multiple of the workers.
        workers: processes.
        refresh: whether to go on past the capacity.
    """

    def __init__(
        self, make, dtype: np.dtype, path: Path, key: str, capacity: int, workers: int = 1, refresh: bool = True
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
        """How many records, from the first on, may be drawn."""
        workers = len(self._counts)
        return int(min(self._counts.min() * workers, len(self.records)))

    @property
    def made(self) -> int:
        """How many samples have been made in all."""
        return int(self._counts.sum())

    def wait(self, count: int) -> None:
        """Waits until `count` records may be drawn.

        Raises:
            ValueError: the pool never holds so many.
            RuntimeError: a worker died; its own error stands above.
        """
        if count > len(self.records):
            raise ValueError(f'{count} records are wanted of a pool of {len(self.records)}: give it more capacity')
        while self.ready < count:
            if any(worker.exitcode for worker in self._workers):
                raise RuntimeError('a process that makes samples ended with an error; see its message above')
            time.sleep(0.2)

    def close(self) -> None:
        for worker in self._workers:
            worker.terminate()
            worker.join()


def generator_key(seed: int, split: str) -> str:
    """What generated samples depend on: seed, split and the code that makes them."""
    root = Path(__file__).parents[2]
    sources = sorted((root / 'training' / 'data').glob('*.py')) + sorted(
        root / 'hoi_ros' / 'camera' / f'{name}.py' for name in ('crop', 'pinhole', 'raycast', 'sensor')
    )
    code = hashlib.sha256(b''.join(source.read_bytes() for source in sources)).hexdigest()
    return f'seed {seed}, {split}, code {code[:16]}'


def _fill(make, dtype, path, counts, capacity, number, workers, refresh) -> None:
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
