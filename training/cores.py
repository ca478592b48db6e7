# SPDX-License-Identifier: Apache-2.0
"""How many CPU cores this process may use, and what they can do."""

from __future__ import annotations

import os
from pathlib import Path


def available_cores(root: Path = Path('/')) -> int:
    """Cores of the process's CPU affinity, reduced to the CPU quota of its control groups (v1 and v2); at least 1.

    Args:
        root: folder that holds `proc` and `sys`.
    """
    cores = len(os.sched_getaffinity(0))
    return max(1, int(min([cores, *_quotas(root)])))


def has_amx(root: Path = Path('/')) -> bool:
    """Whether the CPU multiplies matrices of bfloat16."""
    try:
        return 'amx_bf16' in (root / 'proc/cpuinfo').read_text()
    except OSError:
        return False


def _quotas(root: Path) -> list[float]:
    """Quotas of the process's control group and of all groups above it, cores."""
    try:
        groups = (root / 'proc/self/cgroup').read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in groups:
        _, controllers, name = line.split(':', 2)
        if controllers and 'cpu' not in controllers.split(','):
            continue
        top = root / 'sys/fs/cgroup' / ('cpu' if controllers else '')
        folder = top / name.lstrip('/')
        for group in (folder, *folder.parents):
            if not group.is_relative_to(top):
                break
            found += _quota_of(group)
    return found


def _quota_of(group: Path) -> list[float]:
    """The quota of one control group, in an empty list if it has none."""
    files = (group / 'cpu.max',), (group / 'cpu.cfs_quota_us', group / 'cpu.cfs_period_us')
    for paths in files:
        try:
            quota, period = ' '.join(path.read_text() for path in paths).split()
        except (OSError, ValueError):
            continue
        return [] if quota in ('max', '-1') else [float(quota) / float(period)]
    return []
