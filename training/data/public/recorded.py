# SPDX-License-Identifier: Apache-2.0
"""Some records of a public data set, as what fills a pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from typing import Protocol

import numpy as np

from training.data.pool import Samples


class Source(NamedTuple):
    """What fills a pool: the factory of the stream, the key of `SamplePool`, and the number of records."""

    make: Callable[[], Samples]
    key: str
    size: int


class Choice(Protocol):
    """A data set with splits."""

    def stream(self, split: str) -> Samples: ...


class SomeRecords:
    """Some records of a split, in order.

    Args:
        data: the data set.
        split: of it.
        numbers: (N,) of the records in the split; `index` of a record is that number.
    """

    def __init__(self, data: Choice, split: str, numbers: np.ndarray) -> None:
        self._stream, self._numbers = data.stream(split), numbers
        self.dtype = self._stream.dtype

    def __getitem__(self, index: int) -> np.ndarray:
        return self._stream[int(self._numbers[index % len(self._numbers)])]


def spread(count: int, most: int | None = None) -> np.ndarray:
    """(N,) numbers below `count`, all of them or `most` that are evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most or count)).astype(int))
