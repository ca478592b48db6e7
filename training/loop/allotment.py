# SPDX-License-Identifier: Apache-2.0
"""Chooses processes, threads and precision for the machine; options of the command line override each."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch

from training.cores import available_cores
from training.cores import has_amx
from training.errors import TrainingError


@dataclasses.dataclass(frozen=True)
class Allotment:
    """How the CPU cores are shared."""

    filling: int
    """Rendering processes while the training waits for samples."""
    beside: int
    """Rendering processes beside the training."""
    threads: int
    """CPU threads of each training process."""


def allot(accelerator: str = 'auto', devices: int = 1, workers: int = 0, threads: int = 0) -> Allotment:
    """Shares the cores between training and rendering, so that both together use each core once.

    Threads of PyTorch that share a core with a renderer wait for each other at the end of every layer. On the CPU a
    quarter of the cores renders beside the training; beside GPUs all cores render but two a device, which feed it.

    Args:
        accelerator, devices: of the training.
        workers: rendering processes; 0 chooses them.
        threads: CPU threads of each training process; 0 chooses them.

    Raises:
        TrainingError: there are not so many GPUs.
    """
    if accelerator in ('gpu', 'cuda') and torch.cuda.device_count() < max(devices, 1):
        raise TrainingError(
            f'--loop.accelerator {accelerator} with {devices} device(s), but PyTorch sees {torch.cuda.device_count()} '
            'GPU(s): install a build of PyTorch for CUDA and its driver, or leave the option out'
        )
    cores = available_cores()
    beside = workers or max(1, cores // 4 if trains_on_cpu(accelerator) else cores - 2 * devices)
    return Allotment(workers or cores, beside, threads or max(1, (cores - beside) // devices))


def trains_on_cpu(accelerator: str) -> bool:
    """Whether a training runs on the CPU."""
    if accelerator != 'auto':
        return accelerator == 'cpu'
    return not (torch.cuda.is_available() or torch.backends.mps.is_available())


def precision_of(accelerator: str) -> Literal['bf16-mixed', '32-true']:
    """bf16-mixed on accelerators and on CPUs with AMX. Other CPUs convert every number, and 32-true is several times as
    fast."""
    return '32-true' if trains_on_cpu(accelerator) and not has_amx() else 'bf16-mixed'


def machine(accelerator: str) -> str:
    """What trains: the GPU, or the cores of the CPU."""
    if trains_on_cpu(accelerator) or not torch.cuda.is_available():
        return f'{available_cores()} CPU cores'
    return torch.cuda.get_device_name()
