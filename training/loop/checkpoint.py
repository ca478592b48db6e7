# SPDX-License-Identifier: Apache-2.0
"""The checkpoint of a training: everything that the next step depends on."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.errors import TrainingError

_OPTIMIZER = '--loop.optimizer'


class CheckpointError(TrainingError):
    """A checkpoint is damaged or belongs to another training."""


@dataclasses.dataclass
class Progress:
    """Progress of a training over all runs that resumed it."""

    step: int = 0
    seconds: float = 0.0
    """Wall-clock seconds of all runs, preparation included."""
    samples: int = 0
    preparation: float = 0.0
    """Seconds before the first step of each run: rendering and loading."""
    validation: float = 0.0
    """Seconds of the last validation."""

    def share_of_time(self, budget: float) -> float:
        """Elapsed share of the time for steps, which is the budget less preparation and last validation."""
        return (self.seconds - self.preparation) / max(budget - self.preparation - self.validation, 1e-9)


@dataclasses.dataclass
class Checkpoint:
    """The file `checkpoint.pt` and the objects whose state it holds.

    Args:
        path: the file.
        network, average, optimizer: in place.
        options: that a resumed training should repeat, by name.
    """

    path: Path
    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    changed: list[str] = dataclasses.field(default_factory=list, init=False)
    """Options that differ from those of the file, as `name old → new`."""

    def load(self, device: torch.device) -> Progress | None:
        """Restores the state; None without a file.

        Raises:
            CheckpointError: the file is damaged or of another network.
        """
        if not self.path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self.path, map_location=device, weights_only=True)
        except Exception as error:  # a damaged file raises almost any exception
            raise CheckpointError(
                f'{self.path} is not a readable checkpoint ({error}): delete it to begin anew, or choose another '
                'folder (--loop.out)'
            ) from error
        before = state.get('options', {}).get(_OPTIMIZER)
        if before is not None and before != self.options.get(_OPTIMIZER, before):
            raise CheckpointError(
                f'{self.path} was trained with {_OPTIMIZER} {before}: repeat it, or choose another folder (--loop.out)'
            )
        try:
            self.network.load_state_dict(state['network'])
            self.average.load_state_dict(state['average'])
            self.optimizer.load_state_dict(state['optimizer'])
        except (RuntimeError, ValueError, KeyError) as error:
            raise CheckpointError(
                f'{self.path} holds another network or optimizer than the options ask for: repeat the options of its '
                f'training, or choose another folder (--loop.out). {str(error).splitlines()[0]}'
            ) from error
        if 'random' in state:
            _set_random_state(state['random'])
        self.changed = [
            f'{name} {before} → {self.options[name]}'
            for name, before in state.get('options', {}).items()
            if name in self.options and self.options[name] != before
        ]
        return Progress(**state['progress'])

    def save(self, progress: Progress) -> None:
        """Writes a new file and then renames it, so that a killed run never leaves half a checkpoint."""
        fresh = self.path.with_suffix('.new')
        torch.save(
            {
                'network': self.network.state_dict(),
                'average': self.average.state_dict(),
                'optimizer': self.optimizer.state_dict(),
                'progress': dataclasses.asdict(progress),
                'random': _random_state(),
                'options': dict(self.options),
            },
            fresh,
        )
        os.replace(fresh, self.path)


def _random_state() -> dict[str, Any]:
    return {'cpu': torch.get_rng_state(), 'cuda': torch.cuda.get_rng_state_all()}


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state['cpu'].cpu())
    if len(state['cuda']) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([part.cpu() for part in state['cuda']])
