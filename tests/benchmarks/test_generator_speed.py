# SPDX-License-Identifier: Apache-2.0
"""The benchmark counts the generator's crops."""

import os

import pytest

from benchmarks.generator_speed import measure


@pytest.mark.slow
def test_all_workers_make_crops():
    speed = measure(1.0)
    assert speed.workers == os.cpu_count()
    assert speed.crops > 0 and 0 < speed.crops_a_second <= speed.crops
