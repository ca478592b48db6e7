# SPDX-License-Identifier: Apache-2.0
"""Data that several tests of training share."""

import pickle
from collections.abc import Callable

import numpy as np
import pytest

from training.data.synthetic.rgb_scenes import RgbFrame


class FullPool:
    """A sample pool whose records are all rendered."""

    def __init__(self, records: np.ndarray, make: Callable, dtype: np.dtype) -> None:
        assert records.dtype == dtype
        pickle.loads(pickle.dumps(make))  # a worker process would receive it so
        self.records = records
        self.ready = len(records)

    def wait(self, count: int, least: int | None = None, until: float = 0.0) -> None:
        assert count <= self.ready

    def close(self) -> None:
        pass


@pytest.fixture
def full_pool() -> Callable[[np.ndarray], Callable]:
    """full_pool(records) replaces `SamplePool` in a recipe."""
    return lambda records: lambda make, dtype, *_, **__: FullPool(records, make, dtype)


@pytest.fixture(scope='session')
def validation_images() -> list[RgbFrame]:
    """Six validation images of 640×480."""
    from training.evaluation.reconstruction_stage import rendered

    return list(rendered('validation', 6, 1))
