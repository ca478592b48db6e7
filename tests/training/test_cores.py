# SPDX-License-Identifier: Apache-2.0
"""The cores of a process: its affinity and the quotas of its control groups."""

import os
from pathlib import Path

import pytest

from training.cores import available_cores
from training.cores import has_amx

VERSION_2 = {'proc/self/cgroup': '0::/user/job', 'sys/fs/cgroup/user/job/cpu.max': 'max 100000'}
VERSION_1 = {
    'proc/self/cgroup': '4:memory:/job\n3:cpu,cpuacct:/job',
    'sys/fs/cgroup/cpu/job/cpu.cfs_period_us': '100000',
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + '\n')
    return root


@pytest.mark.parametrize(
    ('files', 'cores'),
    [
        ({}, 8),
        (VERSION_2, 8),
        (VERSION_2 | {'sys/fs/cgroup/user/job/cpu.max': '300000 100000'}, 3),
        (VERSION_2 | {'sys/fs/cgroup/user/cpu.max': '250000 100000'}, 2),
        (VERSION_2 | {'sys/fs/cgroup/user/job/cpu.max': '50000 100000'}, 1),
        (VERSION_2 | {'sys/fs/cgroup/user/job/cpu.max': '6400000 100000'}, 8),
        (VERSION_1 | {'sys/fs/cgroup/cpu/job/cpu.cfs_quota_us': '-1'}, 8),
        (VERSION_1 | {'sys/fs/cgroup/cpu/job/cpu.cfs_quota_us': '400000'}, 4),
    ],
)
def test_quotas_of_control_groups_limit_the_cores(
    files: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: set(range(8)))
    assert available_cores(write(tmp_path, files)) == cores


def test_the_affinity_limits_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: {1, 5})
    assert available_cores(tmp_path) == 2


def test_amx_is_a_flag_of_the_processor(tmp_path: Path) -> None:
    assert not has_amx(tmp_path)
    assert not has_amx(write(tmp_path, {'proc/cpuinfo': 'flags\t: fpu avx2 avx512_bf16'}))
    assert has_amx(write(tmp_path, {'proc/cpuinfo': 'flags\t: fpu avx512_bf16 amx_bf16 amx_tile'}))
