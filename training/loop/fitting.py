# SPDX-License-Identifier: Apache-2.0
"""The training loop of all recipes: budget, schedule, averaged weights, checkpoints and logs."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import nn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training.loop.muon import Muon


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """Budget and schedule of one training."""

    out: Path
    """Folder of checkpoints and logs; a run resumes from a checkpoint in it."""
    steps: int = 20_000
    """Most optimiser steps."""
    minutes: float = 60.0
    """Most wall-clock minutes; the schedule follows the budget that runs out first."""
    batch: int = 64
    """Samples of a batch on each device."""
    optimizer: Literal['adamw', 'muon'] = 'adamw'
    """muon: Muon for hidden layers, Adam for the layers in a network's `heads`."""
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warm_up: float = 0.02
    """Share of the budget over which the learning rate rises."""
    decay: bool = True
    """Cosine decay to zero over the budget; otherwise the learning rate is constant."""
    averaging: float = 0.999
    """Decay of the exponential moving average of the weights, which is the result of the training."""
    seed: int = 0
    """Seed of the weights and of the order and augmentation of the samples. A run that starts from another's weights
    needs another seed to receive other samples."""
    accelerator: str = 'auto'
    devices: int = 1
    precision: str = 'bf16-mixed'
    threads: int = 0
    """CPU threads; 0 leaves the number to PyTorch."""
    every: int = 500
    """Steps between two validations."""


@dataclasses.dataclass
class Progress:
    """Progress of a training."""

    step: int = 0
    seconds: float = 0.0
    samples: int = 0


def fit(
    network: nn.Module,
    config: LoopConfig,
    batch: Callable[[int], tuple[Tensor, ...]],
    loss: Callable[..., dict[str, Tensor]],
    validate: Callable[[nn.Module], dict[str, float]],
) -> Progress:
    """Trains a network, which ends up in evaluation mode with its averaged weights.

    Args:
        network: in place.
        config: budget and schedule.
        batch: number of a batch, different on each device → its tensors, on the CPU.
        loss: (forward, *batch) → named terms, whose sum is minimised. `forward` runs the network in the configured
            precision.
        validate: network in evaluation mode → named figures.

    Returns:
        The progress over all resumed runs.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    # Training one branch alone leaves the parameters of the others unused.
    strategy = 'ddp_find_unused_parameters_true' if config.devices > 1 else 'auto'
    fabric = Fabric(
        accelerator=config.accelerator, devices=config.devices, strategy=strategy, precision=config.precision
    )
    fabric.launch()
    fabric.seed_everything(config.seed, verbose=False)
    config.out.mkdir(parents=True, exist_ok=True)
    optimizer = _optimizer(network, config)
    network.to(memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(
        network, avg_fn=functools.partial(_average, config.averaging), use_buffers=True
    )
    average.to(fabric.device)
    wrapped, optimizer = fabric.setup(network, optimizer)
    progress = Progress()
    checkpoint = config.out / 'checkpoint.pt'
    if checkpoint.is_file():
        state = torch.load(checkpoint, map_location=fabric.device, weights_only=True)
        network.load_state_dict(state['network'])
        average.load_state_dict(state['average'])
        optimizer.load_state_dict(state['optimizer'])
        progress = Progress(**state['progress'])
    log = SummaryWriter(config.out) if fabric.is_global_zero else None

    started = time.monotonic() - progress.seconds

    def draw(step: int) -> tuple[Tensor, ...]:
        return batch(step * fabric.world_size + fabric.global_rank)

    # On an accelerator a thread draws the next batch during a step; on the CPU there is no core to spare.
    ahead = ThreadPoolExecutor(max_workers=1) if fabric.device.type != 'cpu' else None
    coming = ahead.submit(draw, progress.step) if ahead else None
    bar = tqdm(
        total=config.steps, initial=progress.step, unit='step', mininterval=10, disable=not fabric.is_global_zero
    )
    shown: dict[str, float] = {}
    while True:
        # The clock of the first process decides, so that all processes stop at the same step.
        progress.seconds = fabric.broadcast(time.monotonic() - started)
        done = max(progress.step / config.steps, progress.seconds / 60 / config.minutes)
        if done >= 1:
            break
        rise = min(1.0, done / config.warm_up) if config.warm_up else 1.0
        fall = 0.5 + 0.5 * math.cos(math.pi * done) if config.decay else 1.0
        for group in optimizer.param_groups:
            group['lr'] = config.learning_rate * max(rise, 0.01) * fall
        wrapped.train()
        drawn = coming.result() if coming else draw(progress.step)
        coming = ahead.submit(draw, progress.step + 1) if ahead else None
        terms = loss(wrapped, *(tensor.to(fabric.device) for tensor in drawn))
        total = sum(terms.values())
        optimizer.zero_grad()
        fabric.backward(total)
        fabric.clip_gradients(wrapped, optimizer, max_norm=5.0)
        optimizer.step()
        average.update_parameters(network)
        progress.step += 1
        progress.samples += config.batch * fabric.world_size
        bar.update()
        for name, value in terms.items():
            shown[name] = 0.98 * shown.get(name, value.item()) + 0.02 * value.item()
        if progress.step % config.every == 0 and log:
            figures = validate(average.module.eval())
            for name, value in {**shown, **figures}.items():
                log.add_scalar(name, value, progress.step)
            bar.set_postfix({name: f'{value:.4g}' for name, value in {**shown, **figures}.items()})
            _save(checkpoint, network, average, optimizer, progress)
    if ahead:
        ahead.shutdown()
    bar.close()
    if log:
        _save(checkpoint, network, average, optimizer, progress)
        log.close()
    network.load_state_dict(average.module.state_dict())
    network.eval()
    return progress


def save_weights(
    trained: nn.Module, config: LoopConfig, progress: Progress, figures: dict[str, float], **more: Any
) -> None:
    """Writes `<out>/weights.pt` for the export: weights, progress, figures and the recipe's own entries. Only the first
    of several processes writes."""
    if not is_first_process():
        return
    config.out.mkdir(parents=True, exist_ok=True)
    torch.save(
        {
            'weights': trained.cpu().state_dict(),
            'seed': config.seed,
            'progress': dataclasses.asdict(progress),
            'figures': figures,
            **more,
        },
        config.out / 'weights.pt',
    )
    print(
        f'{config.out}/weights.pt after {progress.samples} samples in {progress.seconds / 60:.0f} min: '
        + ', '.join(f'{name} {value:.4g}' for name, value in figures.items())
    )


def _optimizer(network: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    if config.optimizer == 'adamw':
        return torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    last = {weight for head in getattr(network, 'heads', ()) for weight in head.parameters()}
    groups = [
        {'params': [weight for weight in network.parameters() if weight not in last]},
        {'params': [weight for weight in network.parameters() if weight in last], 'matrices': False},
    ]
    return Muon([group for group in groups if group['params']], config.learning_rate, config.weight_decay)


def is_first_process() -> bool:
    """Whether this process writes files; the processes of further devices only train."""
    return not int(os.environ.get('RANK', os.environ.get('LOCAL_RANK', 0)))


def _average(decay: float, kept: Tensor, current: Tensor, count: Tensor) -> Tensor:
    # The decay is small at first, so that the average forgets the initial weights.
    share = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
    return kept + share * (current - kept) if kept.is_floating_point() else current


def _save(
    path: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Writes a new file and then renames it, so that a killed run never leaves half a checkpoint."""
    fresh = path.with_suffix('.new')
    torch.save(
        {
            'network': network.state_dict(),
            'average': average.state_dict(),
            'optimizer': optimizer.state_dict(),
            'progress': dataclasses.asdict(progress),
        },
        fresh,
    )
    os.replace(fresh, path)
