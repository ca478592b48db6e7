# SPDX-License-Identifier: Apache-2.0
"""The networks of two hands by name, and weights.pt of their trainings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_args
from typing import Literal

from torch import nn

from training.networks.two_hand_prior.denoiser import Denoiser
from training.networks.two_hand_prior.denoiser import SeparateDenoisers
from training.networks.two_hand_prior.joint import JointTransformer
from training.networks.two_hand_prior.joint import PairAutoencoder
from training.networks.two_hand_prior.joint import ParallelDenoisers
from training.networks.two_hand_prior.joint import WholePairDenoiser
from training.networks.two_hand_prior.object_encoder import ObjectEncoder
from training.networks.two_hand_prior.trunk import PAPER
from training.networks.two_hand_prior.trunk import SMALL
from training.networks.two_hand_prior.with_objects import WithObjects
from training.networks.weights_file import fill
from training.networks.weights_file import read_weights

TwoHandNetwork = Literal['small', 'paper', 'no_attention', 'separate', 'whole', 'joint', 'parallel', 'vae']
"""small: the denoiser that robots run; paper: the same at the paper's widths; no_attention: without self-attention;
separate: two denoisers, with anchor and without; whole: one for both hands' numbers; joint: a transformer over both
hands; parallel: two that communicate; vae: an autoencoder of both hands."""
NETWORKS: tuple[TwoHandNetwork, ...] = get_args(TwoHandNetwork)
CASCADES: tuple[TwoHandNetwork, ...] = ('small', 'paper', 'no_attention', 'separate')
"""Those that make one hand after the other."""
COMMAND = 'train two_hand_prior'
ENCODER = 'object_encoder'
"""Entry of weights.pt: the weights of the encoder of objects."""
_SMALL_ENCODER = 128, 32
"""Embedding and first layer of the encoder beside the small networks."""
_CLASSES: dict[str, type[nn.Module]] = {
    'separate': SeparateDenoisers,
    'whole': WholePairDenoiser,
    'joint': JointTransformer,
    'parallel': ParallelDenoisers,
    'vae': PairAutoencoder,
}


def two_hand_network(name: TwoHandNetwork, object_width: int = 0) -> nn.Module:
    """A network with new weights.

    Args:
        name: of the network.
        object_width: of the embedding of an object; 0 for a network that takes no object.
    """
    config = dataclasses.replace(PAPER if name == 'paper' else SMALL, object_width=object_width)
    if name == 'no_attention':
        config = dataclasses.replace(config, blocks=0)
    return _CLASSES.get(name, Denoiser)(config)


def with_objects(name: TwoHandNetwork) -> WithObjects:
    """A network that takes objects, and their encoder, with new weights: in the paper's widths, or small ones."""
    encoder = ObjectEncoder() if name == 'paper' else ObjectEncoder(*_SMALL_ENCODER)
    return WithObjects(two_hand_network(name, encoder.last.out_features), encoder)


def start_from(network: nn.Module, weights: Path) -> None:
    """Copies the weights of an earlier training of the same network.

    Args:
        network: in place; with its encoder if it takes objects.
        weights: weights.pt of a training.

    Raises:
        WeightsError: the file is missing or holds another network.
    """
    held = isinstance(network, WithObjects)
    kept = read_weights(weights, COMMAND, *([ENCODER] if held else []))
    fill(network.network if held else network, kept, weights, COMMAND)
    if held:
        fill(network.encoder, {**kept, 'weights': kept[ENCODER] or {}}, weights, COMMAND)
