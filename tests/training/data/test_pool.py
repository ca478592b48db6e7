# SPDX-License-Identifier: Apache-2.0
"""A pool holds the records of its stream, resumes where it stopped, and reports a failed worker."""

import functools
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

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


def test_waiting_for_a_failed_worker_raises(start: Start) -> None:
    five = functools.partial(np.arange, 5)
    pool = start(100, make=five)
    with pytest.raises(RuntimeError, match='a worker process of the sample pool .*numbers.pool failed'):
        pool.wait(100)
    np.testing.assert_array_equal(pool.records[:5], np.arange(5))
