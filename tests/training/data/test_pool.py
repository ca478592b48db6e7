# SPDX-License-Identifier: Apache-2.0
"""A pool holds the records of its stream, resumes where it stopped, and reports a failed worker."""

import functools
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from training.data.pool import filled
from training.data.pool import PoolError
from training.data.pool import require_capacity
from training.data.pool import SamplePool
from training.data.pool import Samples

Start = Callable[..., SamplePool]
NUMBER = np.dtype(np.int64)
COUNTING = functools.partial(range, 10**15)
"""A stream in which every sample is its index."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """start(capacity, ...) → a pool in the test's folder, closed at its end."""
    pools = []

    def started(
        capacity: int, make: Callable[[], Samples] = COUNTING, workers: int = 1, refresh: bool = False
    ) -> SamplePool:
        pools.append(SamplePool(make, NUMBER, tmp_path / 'numbers.pool', 'seed 0', capacity, workers, refresh))
        return pools[-1]

    yield started
    for pool in pools:
        pool.close()


def test_workers_fill_the_pool_with_the_samples_of_the_stream(start: Start) -> None:
    pool = start(102, workers=2)
    pool.wait(100)
    assert pool.ready >= 100
    np.testing.assert_array_equal(pool.records[:100], np.arange(100))


def test_the_pool_of_a_running_training_is_not_emptied(start: Start, tmp_path: Path) -> None:
    pool = start(20)
    pool.wait(20)
    other = functools.partial(SamplePool, COUNTING, NUMBER, tmp_path / 'numbers.pool', 'seed 1', 20, 1, False)
    with pytest.raises(PoolError, match='in use by another training.*--pool'):
        other()
    np.testing.assert_array_equal(pool.records, np.arange(20))
    pool.close()
    other().close()


class Faulty:
    """A stream whose sample 40 cannot be made."""

    dtype = NUMBER

    def __getitem__(self, index: int) -> int:
        if index == 40:
            raise ArithmeticError('sample 40 is not there')
        return index


def test_a_worker_that_fails_while_the_training_runs_is_reported(start: Start) -> None:
    pool = start(100_000, make=Faulty, workers=2)
    pool.wait(16)

    def draw() -> None:
        for _ in range(200):
            assert pool.ready <= 40
            time.sleep(0.05)

    with pytest.raises(ArithmeticError, match='sample 40'):
        draw()


def test_a_full_pool_is_refreshed_with_later_samples(start: Start) -> None:
    pool = start(50, refresh=True)
    while pool.made < 500:
        pool.wait(50)
        time.sleep(0.05)
    pool.close()
    assert pool.ready == 50
    np.testing.assert_array_equal(pool.records % 50, np.arange(50))
    assert pool.records.min() >= 400
    assert np.ptp(pool.records) <= 50


def test_a_closed_pool_resumes_where_it_stopped(start: Start) -> None:
    capacity = 10**7
    first = start(capacity)
    first.wait(1000)
    first.close()
    made = first.made
    assert 1000 <= made < capacity
    first.records[:1000] = -1

    second = start(capacity)
    assert second.ready >= made
    second.wait(made + 1000)
    second.close()
    assert (second.records[:1000] == -1).all(), 'what was made is made again'
    np.testing.assert_array_equal(second.records[1000 : made + 1000], np.arange(1000, made + 1000))


def test_a_pool_of_another_size_starts_empty(start: Start) -> None:
    first = start(200)
    first.wait(200)
    first.close()
    second = start(100)
    second.wait(100)
    np.testing.assert_array_equal(second.records, np.arange(100))


def test_waiting_for_a_failed_worker_raises_its_error(start: Start) -> None:
    five = functools.partial(np.arange, 5)
    pool = start(100, make=five)
    with pytest.raises(IndexError, match='index 5 is out of bounds') as raised:
        pool.wait(100)
    assert 'in _fill' in raised.value.__notes__[0]
    np.testing.assert_array_equal(pool.records[:5], np.arange(5))


def test_any_number_of_workers_continues_a_pool(start: Start) -> None:
    first = start(40, workers=3)
    first.wait(40)
    first.close()
    second = start(40, workers=1, refresh=True)
    assert second.ready == 40
    while second.made < 90:
        second.wait(40)
        time.sleep(0.05)
    second.close()
    np.testing.assert_array_equal(second.records % 40, np.arange(40))
    assert np.ptp(second.records) <= 40, 'no sample is left out'


class Slow:
    """A stream whose samples name the process that made them."""

    def __getitem__(self, index: int) -> np.ndarray:
        time.sleep(0.02)
        return np.array(os.getpid())


def test_fewer_workers_continue_beside_the_training(tmp_path: Path) -> None:
    pool = SamplePool(Slow, NUMBER, tmp_path / 'slow.pool', 'key', 10_000, workers=2, beside=1)
    try:
        pool.wait(200)
        assert len(set(pool.records[: pool.ready].tolist())) == 2
        time.sleep(0.5)  # both end the sample that they had begun
        begun = pool.made
        while pool.made < begun + 20:
            time.sleep(0.05)
        beside = {int(maker) for maker in pool.records[begun + 2 : begun + 18]}
        assert len(beside) == 1
    finally:
        pool.close()


def test_a_file_that_holds_more_serves_fewer(tmp_path: Path) -> None:
    path = tmp_path / 'numbers.pool'
    filled(COUNTING, NUMBER, path, 'key', 50)
    before = path.stat()
    np.testing.assert_array_equal(filled(COUNTING, NUMBER, path, 'key', 20), np.arange(20))
    assert (path.stat().st_ino, path.stat().st_size) == (before.st_ino, before.st_size)
    # Of other samples no more are made than are asked for.
    assert len(filled(COUNTING, NUMBER, path, 'other key', 20)) == 20
    assert path.stat().st_size == 20 * NUMBER.itemsize


def test_a_wait_ends_when_its_time_is_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'slow.pool'
    records = filled(Slow, NUMBER, path, 'key', 3200, 1, until=0.0)
    assert 200 <= len(records) < 3200 and records.all()
    assert (
        f'goes on with {len(records)} of 3200 samples; the rest of the minutes is for the training'
        in capsys.readouterr().err.replace(',', '')
    )
    whole = filled(COUNTING, NUMBER, tmp_path / 'numbers.pool', 'key', 50)
    np.testing.assert_array_equal(whole, np.arange(50))


def test_the_size_on_disk_is_said_and_must_fit(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start(10**6).wait(10)
    assert 'numbers.pool: 1,000,000 samples, 8 MB on disk when full' in capsys.readouterr().out
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: SimpleNamespace(free=4_000_000))
    other = tmp_path / 'other.pool'
    with pytest.raises(PoolError, match='other.pool needs 8 MB on disk, and .* has 4 MB free: .*--capacity'):
        SamplePool(COUNTING, NUMBER, other, 'key', 10**6)
    assert not other.exists()


def test_a_pool_that_is_too_small_is_named(start: Start) -> None:
    with pytest.raises(PoolError, match='holds 10 samples, and the training begins with 20: raise --capacity'):
        start(10).wait(20)
    with pytest.raises(PoolError, match='holds 64 samples, .* with 1,024: raise --capacity, or lower --first'):
        require_capacity(64, 1024)
    with pytest.raises(PoolError, match='--capacity is 0, expected 1 sample or more'):
        require_capacity(0)


@pytest.mark.parametrize(
    ('key', 'said'),
    [
        ('seed 4, train', 'seed 3 and is rendered anew for seed 4: a pool for each seed .--pool FILE. keeps both'),
        ('window 9 seed 3, train', 'other options or of another generator and is rendered anew'),
        ('seed 3, train', None),
    ],
)
def test_a_pool_that_is_rendered_anew_says_why(
    key: str, said: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'numbers.pool'
    for label in ('seed 3, train', key):
        capsys.readouterr()
        filled(COUNTING, NUMBER, path, label, 5)
    printed = capsys.readouterr().out
    assert re.search(f'numbers.pool holds samples of .*{said}' if said else '^$', printed)


def test_a_killed_worker_is_named(tmp_path: Path) -> None:
    pool = SamplePool(Slow, NUMBER, tmp_path / 'slow.pool', 'key', 10_000)
    pool.wait(1)
    os.kill(int(pool.records[0]), signal.SIGKILL)
    with pytest.raises(PoolError, match='a process that fills .*slow.pool was killed'):
        pool.wait(10_000)


def test_workers_leave_one_core_each(tmp_path: Path) -> None:
    threads, niceness = filled(Surroundings, np.dtype('(2,)i8'), tmp_path / 'one.pool', 'key', 1)[0]
    assert threads == 1 and niceness > os.nice(0)


class Surroundings:
    """A stream that tells the threads and the priority of its worker."""

    def __getitem__(self, index: int) -> np.ndarray:
        return np.array([int(os.environ['OMP_NUM_THREADS']), os.nice(0)])
