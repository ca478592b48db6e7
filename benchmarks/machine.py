# SPDX-License-Identifier: Apache-2.0
"""The machine and the software of a result."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import psutil

_ROOT = Path(__file__).parents[1]
_PACKAGES = (
    'numpy',
    'scipy',
    'opencv-python-headless',
    'openvino',
    'onnxruntime',
    'torch',
    'open3d',
    'tensorrt',
    'ros-rclpy',
)


@dataclasses.dataclass(frozen=True)
class Machine:
    """Hardware, operating system and versions of the packages that matter."""

    cpu: str
    model: str
    """Family, model and stepping of the processor: virtual machines hide its name."""
    cores: int
    """Logical cores that this process may use."""
    memory_gb: float
    gpu: str
    """Name; empty without a GPU."""
    system: str
    kernel: str
    python: str
    versions: dict[str, str]

    @property
    def slug(self) -> str:
        """Name of the result file."""
        return re.sub(r'[^a-z0-9]+', '-', f'{self.cpu} {self.model} {self.cores} cores'.lower()).strip('-')


def this_machine() -> Machine:
    """Describes the machine of this process."""
    release = platform.freedesktop_os_release() if Path('/etc/os-release').is_file() else {}
    return Machine(
        cpu=_cpu(),
        model=' '.join(f'{name} {value}' for name in ('family', 'model', 'stepping') if (value := _said(name))),
        cores=_cores(),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        gpu=_gpu(),
        system=release.get('PRETTY_NAME', platform.system()),
        kernel=platform.release(),
        python=platform.python_version(),
        versions=dict(filter(None, map(_version, _PACKAGES))),
    )


def commit() -> str:
    """Hash of the source tree, with '+changes' where tracked files differ from it; empty outside a repository."""
    head = _output('git', 'rev-parse', '--short=12', 'HEAD')
    changed = _output('git', 'status', '--porcelain', '--untracked-files=no', '--', ':!benchmarks/results')
    return f'{head}+changes' if head and changed else head


def load() -> float:
    """Busy cores, mean of the last minute: other work slows a measurement."""
    return round(os.getloadavg()[0], 2)


def _cores() -> int:
    try:
        from training.cores import available_cores
    except ModuleNotFoundError:  # a robot need not have it
        return len(os.sched_getaffinity(0))
    return available_cores()


def _cpu() -> str:
    return re.sub(r'\(R\)|\(TM\)|@.*', '', _said('model name')).strip() or platform.machine()


def _said(name: str) -> str:
    """What the kernel says about the processor; empty where it does not."""
    for line in Path('/proc/cpuinfo').read_text().splitlines():
        key, _, value = line.partition(':')
        if key.strip().removeprefix('cpu ') == name:
            return value.strip()
    return ''


def _gpu() -> str:
    if not shutil.which('nvidia-smi'):
        return ''
    names = _output('nvidia-smi', '--query-gpu=name', '--format=csv,noheader')
    return names.splitlines()[0] if names else ''


def _version(package: str) -> tuple[str, str] | None:
    try:
        return package, importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _output(*command: str) -> str:
    """Standard output of a program; empty where it is missing or fails."""
    try:
        return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ''
