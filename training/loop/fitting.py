# SPDX-License-Identifier: Apache-2.0
"""The training loop of all recipes: budget, schedule, averaged weights and logs."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import sys
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

from training.errors import TrainingError
from training.loop.allotment import allot
from training.loop.allotment import machine
from training.loop.allotment import precision_of
from training.loop.checkpoint import Checkpoint
from training.loop.checkpoint import Progress
from training.loop.command import command_line
from training.loop.interruption import deferred_interruption
from training.loop.interruption import TrainingStopped
from training.loop.muon import Muon
from training.loop.report import BudgetReport
from training.terminal import duration

_USUAL_RATE, _TRAINED_SHARE = 1e-3, 0.1
"""Learning rate by default, and the share of it from trained weights."""


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """Budget and schedule of one training."""

    out: Path
    """Folder of checkpoints and logs; a run resumes from a checkpoint in it."""
    steps: int = 20_000
    """Most optimiser steps."""
    minutes: float = 60.0
    """Most wall-clock minutes of the command, preparation included; the schedule follows the budget that runs out
    first."""
    batch: int = 64
    """Samples of a batch on each device."""
    optimizer: Literal['adamw', 'muon'] = 'adamw'
    """muon: Muon for hidden layers, Adam for the layers in a network's `heads`."""
    learning_rate: float | None = None
    """Highest learning rate; by default the recipe's own. Recipes that lower it for trained weights (--start) take a
    tenth of it."""
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
    precision: Literal['auto', '32-true', 'bf16-mixed', '16-mixed', 'bf16-true', '64-true'] = 'auto'
    """Of Lightning Fabric. auto: bf16-mixed on GPUs and on CPUs with AMX, else 32-true."""
    threads: int = 0
    """CPU threads; 0 takes the cores that the rendering processes leave."""
    every: int = 500
    """Steps between two validations; the first comes after a third of the minutes at the latest."""
    checkpoint_minutes: float = 2.0
    """Minutes between two checkpoints."""

    def after(self, share: float, started: float) -> float:
        """`time.monotonic()` after a share of the minutes of a command that began at `started`."""
        return started + 60 * self.minutes * share

    def with_rate(self, usual: float, trained: bool = False) -> LoopConfig:
        """The configuration with a learning rate if it has none: the usual one, or a tenth of it for trained weights,
        which larger steps would spoil before they improve them."""
        rate = usual * (_TRAINED_SHARE if trained else 1) if self.learning_rate is None else self.learning_rate
        return dataclasses.replace(self, learning_rate=rate)

    @property
    def lasting(self) -> dict[str, Any]:
        """Options of the command line that a resumed training should repeat, by name."""
        names = 'batch', 'optimizer', 'learning_rate', 'weight_decay', 'averaging', 'seed'
        return {f'--loop.{name.replace("_", "-")}': getattr(self, name) for name in names}


class BudgetError(TrainingError):
    """A budget is too small for one step."""


def fit(
    network: nn.Module,
    config: LoopConfig,
    batch: Callable[[int], tuple[Tensor, ...]],
    loss: Callable[..., dict[str, Tensor]],
    validate: Callable[[nn.Module], dict[str, float]],
    started: float | None = None,
    teach: Callable[[nn.Module], None] | None = None,
) -> Progress:
    """Trains a network, which ends up in evaluation mode with its averaged weights.

    Args:
        network: in place.
        config: budget and schedule.
        batch: number of a batch, different on each device → its tensors, on the CPU.
        loss: (forward, *batch) → named terms, whose sum is minimised. `forward` runs the network in the configured
            precision.
        validate: network in evaluation mode → named figures.
        started: `time.monotonic()` when the command began, from which its minutes count; by default they count from
            the first step.
        teach: is given the network of the averaged weights before the first step, in evaluation mode; it follows the
            training from the weights that are there, so that a loss can have it as the teacher (Tarvainen and Valpola,
            "Mean teachers", 2017).

    Returns:
        The progress over all resumed runs.

    Raises:
        TrainingStopped: SIGINT or SIGTERM arrived; the checkpoint is written.
        CheckpointError: the checkpoint in the folder is damaged or of another network.
    """
    config = config.with_rate(_USUAL_RATE)
    torch.set_num_threads(config.threads or allot(config.accelerator, config.devices).threads)
    # Training one branch alone leaves the parameters of the others unused.
    strategy = 'ddp_find_unused_parameters_true' if config.devices > 1 else 'auto'
    precision = precision_of(config.accelerator) if config.precision == 'auto' else config.precision
    fabric = Fabric(accelerator=config.accelerator, devices=config.devices, strategy=strategy, precision=precision)
    fabric.launch()
    fabric.seed_everything(config.seed, verbose=False)
    config.out.mkdir(parents=True, exist_ok=True)
    optimizer = _optimizer(network, config)
    network.to(memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(
        network, avg_fn=functools.partial(_average, config.averaging, bool(teach)), use_buffers=True
    )
    if teach:
        # A teacher starts as the network that is there; without one the first step replaces the initial weights.
        average.n_averaged.fill_(1)
    average.to(fabric.device)
    wrapped, optimizer = fabric.setup(network, optimizer)
    checkpoint = Checkpoint(config.out / 'checkpoint.pt', network, average, optimizer, config.lasting)
    resumed = checkpoint.load(fabric.device)
    progress = resumed or Progress()
    for group in optimizer.param_groups:
        group['weight_decay'] = config.weight_decay
    if teach:
        teach(average.module.eval())
    log = SummaryWriter(config.out) if fabric.is_global_zero else None
    saved = time.monotonic()
    began = saved if started is None else started
    progress.preparation += saved - began
    before = progress.seconds

    def draw(step: int) -> tuple[Tensor, ...]:
        return batch(step * fabric.world_size + fabric.global_rank)

    # On an accelerator a thread draws the next batch during a step; on the CPU there is no core to spare.
    ahead = ThreadPoolExecutor(max_workers=1) if fabric.device.type != 'cpu' else None
    coming = ahead.submit(draw, progress.step) if ahead else None
    shown: dict[str, float] = {}
    with (
        BudgetReport(config.steps, config.minutes, resumed, sys.stderr if log else None, checkpoint.changed) as report,
        deferred_interruption() as stop,
    ):
        while True:
            # Clock and signals of the first process decide, so that all processes stop at the same step.
            progress.seconds = before + time.monotonic() - began
            timed, stopped = fabric.broadcast((progress.share_of_time(60 * config.minutes), stop.number))
            done = max(progress.step / config.steps, timed)
            report.show(progress, done, shown)
            if done >= 1 or stopped:
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
            # In float16 a step may overflow; the gradient scaler then leaves it out.
            fabric.clip_gradients(wrapped, optimizer, max_norm=5.0, error_if_nonfinite=not precision.startswith('16'))
            optimizer.step()
            average.update_parameters(network)
            progress.step += 1
            progress.samples += config.batch * fabric.world_size
            for name, value in terms.items():
                shown[name] = 0.98 * shown.get(name, value.item()) + 0.02 * value.item()
            if log is None:
                continue
            validated = progress.step % config.every == 0 or (not progress.validation and timed > 1 / 3)
            if validated:
                asked = time.monotonic()
                figures = validate(average.module.eval())
                progress.validation = time.monotonic() - asked
                report.validated(progress, figures)
                for name, value in {**shown, **figures}.items():
                    log.add_scalar(name, value, progress.step)
            if validated or time.monotonic() - saved >= 60 * config.checkpoint_minutes:
                progress.seconds = before + time.monotonic() - began
                checkpoint.save(progress)
                saved = time.monotonic()
        if ahead:
            ahead.shutdown()
        if log:
            checkpoint.save(progress)
            log.close()
    if stopped:
        raise TrainingStopped(
            f'stopped at step {progress.step:,}, minute {progress.seconds / 60:.1f}; run the same command again to '
            f'go on from {checkpoint.path}',
            stopped,
        )
    network.load_state_dict(average.module.state_dict())
    network.eval()
    return progress


def save_weights(
    trained: nn.Module, config: LoopConfig, progress: Progress, figures: dict[str, float], **more: Any
) -> None:
    """Writes `<out>/weights.pt` for the export: weights, progress, figures and the recipe's own entries. Only the first
    of several processes writes.

    Raises:
        BudgetError: there was no step.
    """
    if not is_first_process():
        return
    if not progress.step:
        raise BudgetError(
            f'no step was possible within --loop.minutes {config.minutes:g}: preparation took '
            f'{progress.preparation / 60:.1f} minutes; the samples are kept: run the command again or give more minutes'
        )
    config.out.mkdir(parents=True, exist_ok=True)
    torch.save(
        {
            'weights': trained.cpu().state_dict(),
            'command': command_line(),
            'seed': config.seed,
            'machine': machine(config.accelerator),
            'progress': dataclasses.asdict(progress),
            'figures': figures,
            **more,
        },
        config.out / 'weights.pt',
    )
    print(
        f'{config.out}/weights.pt after {progress.step:,} steps ({progress.samples:,} samples) in '
        f'{duration(progress.seconds)}: ' + ', '.join(f'{name} {value:.4g}' for name, value in figures.items())
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


def _average(decay: float, teaches: bool, kept: Tensor, current: Tensor, count: Tensor) -> Tensor:
    # The decay is small at first, so that the average forgets the initial weights; those of a teacher are trained.
    share = 1 - (decay if teaches else min(decay, (1 + int(count)) / (10 + int(count))))
    return kept + share * (current - kept) if kept.is_floating_point() else current
