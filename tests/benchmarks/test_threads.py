# SPDX-License-Identifier: Apache-2.0
"""Linear algebra runs on one thread in benchmarks as in nodes: the networks need the cores."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import importlib, os, sys
importlib.import_module(sys.argv[1])
import numpy, scipy.linalg
print(len(os.listdir('/proc/self/task')))
"""


def threads(module, **variables):
    """Threads of a process that loads a module, then NumPy and SciPy: OpenBLAS starts its own when it is loaded."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith('_NUM_THREADS')}
    done = subprocess.run(
        [sys.executable, '-c', _PROGRAM, module],
        env=environment | variables,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.parametrize('module', ['hoi_ros', 'benchmarks'])
def test_linear_algebra_has_one_thread(module):
    assert threads(module) == 1


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason='needs two cores')
def test_the_user_s_number_of_threads_stays():
    if threads('os') == 1:
        pytest.skip('this NumPy starts no threads of its own')
    assert threads('benchmarks', OPENBLAS_NUM_THREADS='2') > 1
