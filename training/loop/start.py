# SPDX-License-Identifier: Apache-2.0
"""The weights of `--start`: what they reached, so that a training says whether it improved them, and their share in the
result."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from torch import Tensor

from training.errors import TrainingError
from training.loop.fitting import is_first_process
from training.loop.fitting import LoopConfig
from training.worsening import worse_figures

_FILE = 'start_figures.json'
"""In the folder of the run, so that a resumed training knows them."""


def say_start(
    start: Path, network: nn.Module, loop: LoopConfig, validate: Callable[[nn.Module], dict[str, float]]
) -> None:
    """Prints the figures of the starting weights; a resumed training skips this.

    Args:
        start: of the command.
        network: with the weights of the start.
        loop: of the training, with its learning rate.
        validate: network in evaluation mode → named figures.
    """
    path = loop.out / _FILE
    if (loop.out / 'checkpoint.pt').is_file() or not is_first_process():
        return
    figures = validate(network.eval())
    print(f'starts from {start}: {_listed(figures)}; learning rate {loop.learning_rate:g}', flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures) + '\n')


def warn_if_worse(start: Path | None, loop: LoopConfig, figures: dict[str, float]) -> None:
    """Prints a warning if a training made the weights of its start worse."""
    path = loop.out / _FILE
    if start is None or not is_first_process() or not path.is_file():
        return
    worse = worse_figures(json.loads(path.read_text()), figures)
    if worse:
        print(
            f'warning: worse than {start}: {", ".join(worse)}: train longer, on more samples (--capacity) or with a '
            'lower --loop.learning-rate'
        )


def require_share(start: Path | None, share: float) -> None:
    """Checks `--start-share` before any sample is rendered.

    Raises:
        TrainingError: it is not between 0 and 1, or there is no start.
    """
    if not 0 <= share <= 1:
        raise TrainingError(f'--start-share is {share:g}, expected 0 to 1')
    if share and start is None:
        raise TrainingError('--start-share needs --start: name the weights that the result is mixed with')


def mix_with(network: nn.Module, before: Mapping[str, Tensor], share: float) -> None:
    """Moves a trained network back towards its start: a mean of both often does better on other images than either
    (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).

    Args:
        network: in place.
        before: the weights of the start, by name.
        share: of the start, 0 to 1.
    """
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                value.lerp_(before[name].to(value), share)


def _listed(figures: dict[str, float]) -> str:
    return ', '.join(f'{name} {value:.4g}' for name, value in figures.items())
