# SPDX-License-Identifier: Apache-2.0
"""weights.pt of a training: reads it and fills a network, with errors that name what the file is instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from hoi_ros.hand.model import HandModel
from training.errors import TrainingError


class WeightsError(TrainingError):
    """A file is missing or does not hold the weights of this network."""


def read_weights(path: Path, command: str, *entries: str, shipped: str = '') -> dict[str, Any]:
    """The content of a weights.pt.

    Args:
        path: the file.
        command: the training that writes it, `train NAME`.
        entries: that this training adds to those of all trainings.
        shipped: a model folder that can be given instead, if any.

    Raises:
        WeightsError: the file is missing, unreadable or of another kind.
    """
    wanted = f'expected the weights.pt of python -m training {command}'
    if path.is_dir():
        inside = path / 'weights.pt'
        raise WeightsError(f'{path} is a folder: ' + (f'give {inside}' if inside.is_file() else wanted))
    if not path.is_file():
        instead = f', or give --weights {shipped}' if shipped else ''
        raise WeightsError(f'{path}: no such file: train first (python -m training {command}){instead}')
    try:
        kept = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # a damaged file raises almost any exception
        raise WeightsError(f'{path} is not readable ({type(error).__name__}); {wanted}') from error
    if isinstance(kept, dict) and 'optimizer' in kept:
        raise WeightsError(
            f'{path} is the checkpoint of a training: run the training to its end, which writes weights.pt beside it'
        )
    lacking = [name for name in ('weights', *entries) if not isinstance(kept, dict) or name not in kept]
    if lacking:
        raise WeightsError(f'{path} lacks {", ".join(lacking)}; {wanted}{_origin(kept)}')
    return kept


def require_hand(kept: dict[str, Any], hand: HandModel, path: Path) -> None:
    """Compares the hand model that a training has used with another one.

    Args:
        kept: content of the weights.pt; with the entry `hand`, its digest.
        hand: the right hand that the network is to be used with.
        path: of the file.

    Raises:
        WeightsError: they differ.
    """
    if kept.get('hand', hand.digest()) != hand.digest():
        raise WeightsError(
            f'{path} was trained with another hand model: give --hand the file that the training was given'
        )


def fill(network: nn.Module, kept: dict[str, Any], path: Path, command: str) -> None:
    """Copies the weights into a network.

    Args:
        network: in place.
        kept: the content of the file.
        path: of the file.
        command: as of `read_weights`.

    Raises:
        WeightsError: the file holds another network.
    """
    own, weights = network.state_dict(), kept['weights']
    other = [name for name in own if name not in weights or weights[name].shape != own[name].shape]
    other += [name for name in weights if name not in own]
    if other:
        raise WeightsError(
            f'{path} holds another network than {type(network).__name__} ({len(other)} entries differ, the first is '
            f'{other[0]}); expected the weights.pt of python -m training {command}{_origin(kept)}'
        )
    network.load_state_dict(weights)


def _origin(kept: Any) -> str:
    return f'; this file is of {kept["command"]}' if isinstance(kept, dict) and 'command' in kept else ''
