# SPDX-License-Identifier: Apache-2.0
"""A pool of generated samples that worker processes fill while training draws from it."""

from __future__ import annotations

import contextlib
import fcntl
import math
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from multiprocessing.queues import SimpleQueue
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Protocol

import numpy as np

from hoi_ros.hand.model import HandModel
from training.data import sources
from training.errors import TrainingError
from training.terminal import duration
from training.terminal import ProgressBar

GENERATORS = tuple(
    f'training.data.synthetic.{name}' for name in ('depth_crops', 'depth_frames', 'rgb_crops', 'rgb_frames')
)
"""Modules of the generated streams."""
_SEED = re.compile(r'\bseed (\d+),')
"""The seed in a key of `generator_key`."""
_COUNT = np.dtype(np.int32)
"""Of the file that counts how often each record was made."""
_RUN = 8
"""Successive samples that a worker makes: streams make what several of them share, such as a grasp, only once."""
_NICENESS = 5
"""Workers yield to the training, so that they together take one core where only one is left."""


class Samples(Protocol):
    """A stream of samples: index → record. Picklable, so that workers can hold it."""

    dtype: np.dtype

    def __getitem__(self, index: int) -> np.ndarray: ...


class PoolError(TrainingError):
    """A pool cannot be filled."""


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
        capacity: records.
        workers: processes that fill the pool.
        refresh: whether the workers continue beyond the capacity.
        beside: processes that continue once `wait` has returned, so that the others' cores train; all by default.

    Raises:
        PoolError: the disk lacks the space, or another training draws other samples from the file.
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
        beside: int | None = None,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        counts, label = path.with_suffix('.counts'), path.with_suffix('.key')
        key = _label(key, dtype, capacity)
        self._path, self._first = path, not int(os.environ.get('LOCAL_RANK', 0))
        if self._first:
            _require_space(path, capacity * dtype.itemsize)
        if self._first and not (path.is_file() and counts.is_file() and label.is_file() and label.read_text() == key):
            size = capacity * dtype.itemsize
            if label.is_file():
                _require_free(label)
                print(_outdated(path, label.read_text(), key), flush=True)
            print(f'{path}: {capacity:,} samples, {_megabytes(size)} on disk when full', flush=True)
            # Whoever still has the old files keeps them.
            path.unlink(missing_ok=True)
            counts.unlink(missing_ok=True)
            with open(path, 'wb') as file:
                file.truncate(size)
            with open(counts, 'wb') as file:
                file.truncate(capacity * _COUNT.itemsize)
            label.write_text(key)
        self._use = contextlib.ExitStack()
        if self._first:
            held = os.open(label, os.O_RDONLY)
            self._use.callback(os.close, held)
            fcntl.flock(held, fcntl.LOCK_SH)
        self.records = np.memmap(path, dtype, 'r+', shape=(capacity,))
        self._counts = np.memmap(counts, _COUNT, 'r+', shape=(capacity,))
        self._ready = 0
        context = multiprocessing.get_context('spawn')
        # The first sample that is missing; samples behind it that an interrupted run has made are not made again.
        first = int(self._counts.argmin())
        self._upcoming = context.Value('q', int(self._counts[first]) * capacity + first)
        self._beside, self._workers = workers if beside is None else min(beside, workers), []
        self._active, self._faults = context.Value('i', workers), context.SimpleQueue()
        if not self._first or (not refresh and self.ready == capacity):
            return
        with _as_workers():
            for number in range(workers):
                stream = make, dtype, path, counts, capacity, refresh
                shared = number, self._upcoming, self._active, self._faults
                self._workers.append(context.Process(target=_fill, daemon=True, args=(*stream, *shared)))
                self._workers[-1].start()

    @property
    def ready(self) -> int:
        """Number of records, from the first on, that may be drawn."""
        while self._ready < len(self._counts):
            made = self._counts[self._ready : self._ready + 4096] > 0
            self._ready += int(made.argmin()) or int(made[0]) * len(made)
            if not made.all():
                # A worker that died leaves a gap, beyond which nothing may be drawn.
                self._check_workers()
                break
        return self._ready

    @property
    def made(self) -> int:
        """Number of samples that the workers have generated."""
        return int(self._counts.sum(dtype=np.int64))

    def wait(self, count: int, least: int | None = None, until: float = math.inf) -> None:
        """Waits until `count` records may be drawn; all workers render meanwhile.

        Args:
            count: records.
            least: records that are enough after `until`; `count` by default.
            until: value of `time.monotonic()`.

        Raises:
            PoolError: the pool has a smaller capacity, or a worker was killed.
            Exception: of a stream, with the worker's traceback as a note.
        """
        if count > len(self.records):
            raise PoolError(_too_small(str(self._path), len(self.records), count))
        self._active.value = len(self._workers)
        began, before = time.monotonic(), self.ready
        title = f'filling the pool {self._path.name}'
        with ProgressBar(title, sys.stderr if self._first else None, every=10) as bar:
            while (ready := self.ready) < count:
                if least is not None and ready >= least and time.monotonic() >= until:
                    bar.say(
                        f'{title}: goes on with {ready} of {count} samples; the rest of the minutes is for the training'
                    )
                    break
                self._check_workers()
                rate = (ready - before) / (time.monotonic() - began + 1e-9)
                left = f', {duration((count - ready) / rate)} left' if rate else ''
                bar.show(ready / count, f'{ready}/{count}{left}')
                time.sleep(0.1)
            else:
                bar.show(1.0, f'{count}/{count}')
        self._active.value = self._beside

    def close(self) -> None:
        """Stops the workers; the file stays."""
        for worker in self._workers:
            worker.terminate()
            worker.join()
        self._workers = []
        self._use.close()

    def _check_workers(self) -> None:
        if not any(worker.exitcode for worker in self._workers):
            return
        if not self._faults.empty():
            raise pickle.loads(self._faults.get())
        if any(worker.exitcode == -signal.SIGBUS for worker in self._workers):
            raise PoolError(f'the disk of {self._path} is full: make room, or name another place (--pool)')
        raise PoolError(
            f'a process that fills {self._path} was killed, which happens when the memory is exhausted: use fewer '
            '(--workers)'
        )


def filled(
    make: Callable[[], Samples],
    dtype: np.dtype,
    path: Path,
    key: str,
    count: int,
    workers: int = 1,
    until: float = math.inf,
) -> np.ndarray:
    """The first `count` records of a stream, from a pool of that size; a later call reads them from the file, and so
    does one that needs fewer.

    Args:
        make, dtype, path, key, workers: as of `SamplePool`.
        count: records.
        until: value of `time.monotonic()` after which a sixteenth of the records is enough.

    Raises:
        PoolError: as `SamplePool`.
    """
    slots = len(made_slots(path))
    label = path.with_suffix('.key')
    larger = slots > count and label.is_file() and label.read_text() == _label(key, dtype, slots)
    pool = SamplePool(make, dtype, path, key, slots if larger else count, workers, refresh=False)
    try:
        pool.wait(count, -(-count // 16), until)
        return np.array(pool.records[: min(pool.ready, count)])
    finally:
        pool.close()


def _label(key: str, dtype: np.dtype, capacity: int) -> str:
    """What the file beside a pool holds."""
    return f'{key} {dtype.descr} {capacity} in any order'


def made_in(path: Path) -> int:
    """Number of samples in the file of a pool."""
    return int(made_slots(path).sum())


def made_slots(path: Path) -> np.ndarray:
    """(N,) which slots of a pool's file hold a sample: those of an interrupted run have gaps. Empty without a file."""
    counts = path.with_suffix('.counts')
    if not path.is_file() or not counts.is_file():
        return np.zeros(0, bool)
    return np.fromfile(counts, _COUNT) > 0


def require_capacity(capacity: int, count: int = 1, option: str = '--first') -> None:
    """Checks the size of a pool before anything is rendered.

    Args:
        capacity: samples in the pool.
        count: samples that a training begins with.
        option: that sets `count`.

    Raises:
        PoolError: the pool is smaller.
    """
    if capacity < 1:
        raise PoolError(f'--capacity is {capacity:,}, expected 1 sample or more')
    if capacity < count:
        raise PoolError(f'{_too_small("the pool", capacity, count)}, or lower {option}')


def _too_small(pool: str, capacity: int, count: int) -> str:
    return f'{pool} holds {capacity:,} samples, and the training begins with {count:,}: raise --capacity'


def _require_free(label: Path) -> None:
    """Raises a PoolError where a running training uses the pool: its file would be emptied under it."""
    with open(label) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PoolError(
                f'{label.with_suffix(".pool")} is in use by another training, whose samples are others: give this one '
                'a pool of its own (--pool)'
            ) from None


def _outdated(path: Path, before: str, now: str) -> str:
    """Why a pool is rendered anew."""
    seeds = [found.group(1) for key in (before, now) if (found := _SEED.search(key))]
    if len(seeds) == 2 and seeds[0] != seeds[1]:
        return (
            f'{path} holds samples of seed {seeds[0]} and is rendered anew for seed {seeds[1]}: a pool for each seed '
            '(--pool FILE) keeps both'
        )
    return f'{path} holds samples of other options or of another generator and is rendered anew'


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
    return f'seed {seed}, {split}, hand {hand.digest()}, code {sources.digest(modules)}'


def _fill(
    make: Callable[[], Samples],
    dtype: np.dtype,
    path: Path,
    counts: Path,
    capacity: int,
    refresh: bool,
    number: int,
    upcoming: Synchronized,
    active: Synchronized,
    faults: SimpleQueue,
) -> None:
    """Worker `number`: takes one run of indices after the other while fewer workers are active before it."""
    os.nice(_NICENESS)
    records = np.memmap(path, dtype, 'r+', shape=(capacity,))
    done = np.memmap(counts, _COUNT, 'r+', shape=(capacity,))
    parent = os.getppid()
    try:
        stream = make()
        while os.getppid() == parent:
            if number >= active.value:
                time.sleep(0.1)
                continue
            with upcoming.get_lock():
                first = upcoming.value
                upcoming.value += _RUN
            for index in range(first, first + _RUN):
                if os.getppid() != parent or (index >= capacity and not refresh):
                    return
                slot, turn = index % capacity, index // capacity
                if done[slot] <= turn:
                    records[slot] = stream[index]
                    done[slot] = turn + 1
    except Exception as error:
        faults.put(_portable(error))
        raise SystemExit(1) from None


def _portable(error: Exception) -> bytes:
    """An error for another process, with its traceback as a note."""
    trace = traceback.format_exc()
    try:
        copy = pickle.loads(pickle.dumps(error))
    except Exception:  # an error whose arguments are not those of its class
        copy = RuntimeError(f'{type(error).__name__}: {error}')
    copy.add_note(trace)
    return pickle.dumps(copy)


def _require_space(path: Path, size: int) -> None:
    """Raises a PoolError if the disk lacks the space for a file of `size` bytes; what the file takes now counts."""
    old = path.stat().st_blocks * 512 if path.is_file() else 0
    free = shutil.disk_usage(path.parent).free + old
    if size > free:
        raise PoolError(
            f'{path} needs {_megabytes(size)} on disk, and {path.parent.resolve()} has {_megabytes(free)} free: make '
            'room, put the pool on another disk (--pool FILE), or make it smaller (--capacity)'
        )


def _megabytes(size: int) -> str:
    return f'{size / 1e6:,.0f} MB'


@contextlib.contextmanager
def _as_workers() -> Iterator[None]:
    """Processes that start here compute on one thread each, since there is one a core, and ignore Ctrl-C, which reaches
    all processes of a terminal: the first one ends them."""
    names = 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENCV_FOR_THREADS_NUM'
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, '1'))
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
