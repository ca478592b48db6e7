# SPDX-License-Identifier: Apache-2.0
"""Speed of the synthetic generator as training runs it: worker processes fill a pool."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path

from training.cores import available_cores
from training.data.pool import SamplePool
from training.data.synthetic.depth_crops import DepthPatches
from training.data.synthetic.depth_crops import PATCH_DTYPE

_CAPACITY = 2048
"""Records a worker."""


@dataclasses.dataclass(frozen=True)
class GeneratorSpeed:
    """Crops of hands that all workers make together."""

    workers: int
    crops: int
    crops_a_second: float


def measure(seconds: float) -> GeneratorSpeed:
    """Runs one worker a core and counts for `seconds`, once every worker has begun."""
    workers = available_cores()
    with tempfile.TemporaryDirectory() as folder:
        pool = SamplePool(
            DepthPatches,
            PATCH_DTYPE,
            Path(folder) / 'crops.pool',
            key='benchmark',
            capacity=_CAPACITY * workers,
            workers=workers,
        )
        try:
            pool.wait(4 * workers)
            begun, before = time.perf_counter(), pool.made
            time.sleep(seconds)
            made, taken = pool.made - before, time.perf_counter() - begun
        finally:
            pool.close()
    return GeneratorSpeed(workers, made, made / taken)
