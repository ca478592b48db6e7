# SPDX-License-Identifier: Apache-2.0
"""weights.pt of a training of `reconstruction`: a network with its weights, and a start from another network's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hoi_ros.hand.model import HandModel
from training.networks.reconstruction import FinalReconstruction
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import ReconstructionConfig
from training.networks.reconstruction_estimators import ObjectMeshEstimator
from training.networks.reconstruction_exchange import AttentionExchange
from training.networks.weights import load_weights
from training.networks.weights import multiplied
from training.networks.weights_file import fill
from training.networks.weights_file import read_weights
from training.networks.weights_file import WeightsError

_COMMAND = 'train reconstruction'
_HAND_PARTS = 'hand_encoder.', 'object_encoder.', 'hand_estimator.', 'voting.', 'side.'
"""Parts that a training of the hand alone leaves; the object encoder starts as a copy of the hand encoder."""


def load_network(weights: Path, shipped: str = '') -> ReconstructionNet:
    """The network of a training's weights.pt, in evaluation mode.

    Weights without the head `hand` load too: that head then keeps its initial values.

    Args:
        weights: the file.
        shipped: a model folder that can be given instead, if any.
    """
    kept = read_weights(weights, _COMMAND, 'network', shipped=shipped)
    if not isinstance(kept['network'], Mapping):
        raise WeightsError(f'{weights} holds another network; expected the weights.pt of python -m training {_COMMAND}')
    network = ReconstructionNet(ReconstructionConfig(**kept['network']), HandModel.load(kept.get('hand')))
    untrained = {name: value for name, value in network.state_dict().items() if name.startswith('hand.')}
    fill(network, {**kept, 'weights': {**untrained, **kept['weights']}}, weights, _COMMAND)
    return network.eval()


def start_from_folder(network: ReconstructionNet, folder: Path, image: Tensor) -> list[str]:
    """Copies the weights of a model folder. The export multiplies some of them with constants; they are worked out from
    the products.

    Args:
        network: in place.
        folder: the model folder.
        image: a batch of crops, as the network receives them, for the statistics of `load_weights`.

    Returns:
        The names of the parameters that kept their values.

    Raises:
        CardError, ImportedWeightsError: as `load_weights`.
    """
    final = FinalReconstruction(network)
    untrained = load_weights(final, folder, image, partly=True)
    constants = multiplied(folder)
    with torch.no_grad():
        restored = _restore_point_layer(network.object_estimator, constants.get('network.object_estimator', []))
        for name in ('from_hand', 'from_object'):
            exchange = getattr(network, name, None)
            if isinstance(exchange, AttentionExchange) and _restore_attention(
                exchange, constants.get(f'network.{name}', [])
            ):
                restored |= {f'network.{name}.weight', f'network.{name}.attention'}
    return [name for name in untrained if name not in restored]


def _restore_point_layer(estimator: ObjectMeshEstimator, constants: list[np.ndarray]) -> set[str]:
    """The layer of which the file holds the outputs for the points of the sphere."""
    layer = estimator.of_point
    products = [value for value in constants if value.shape == (len(estimator.points), layer.out_features)]
    if not products:
        return set()
    inputs = torch.cat([estimator.points, torch.ones_like(estimator.points[:, :1])], 1).double()
    solution = torch.linalg.lstsq(inputs, torch.tensor(products[0]).double()).solution
    layer.weight.copy_(solution[:3].T)
    layer.bias.copy_(solution[3])
    return {f'network.object_estimator.of_point.{name}' for name in ('weight', 'bias')}


def _restore_attention(exchange: AttentionExchange, constants: list[np.ndarray]) -> bool:
    """W of each head from the lift, and an a of which aᵀW is that of the file: no other part of a matters."""
    heads, features, _ = exchange.weight.shape
    lifts = [value for value in constants if value.shape == (3 * heads, features)]
    scores = [value for value in constants if value.shape == (2 * heads, 3)]
    if not lifts or not scores:
        return False
    weight = heads * torch.tensor(lifts[0]).double().unflatten(0, (heads, 3)).transpose(1, 2)
    exchange.weight.copy_(weight)
    exchange.attention.copy_(torch.tensor(scores[0]).double().unflatten(0, (heads, 2)) @ torch.linalg.pinv(weight))
    return True


def start_from(network: ReconstructionNet, path: Path) -> str:
    """Copies the weights of an earlier training that this network has too, whatever the exchange of either.

    Args:
        network: in place.
        path: weights.pt.

    Returns:
        The branches that were trained: 'both' or 'hand'.

    Raises:
        WeightsError: that network has another size or readout.
    """
    kept = read_weights(path, _COMMAND)
    weights, own = kept['weights'], network.state_dict()
    if kept.get('branch') == 'hand':
        for name in [name for name in weights if name.startswith('hand_encoder.')]:
            weights[name.replace('hand_encoder.', 'object_encoder.', 1)] = weights[name]
        weights = {name: value for name, value in weights.items() if name.startswith(_HAND_PARTS)}
    other = [name for name, value in weights.items() if name in own and own[name].shape != value.shape]
    lacking = [name for name in own if name.startswith(_HAND_PARTS) and name not in weights]
    if other or lacking:
        raise WeightsError(
            f'{path} holds another network: {(other + lacking)[0]} differs; use the same widths, blocks, rotation and '
            'readout, or start from the model folder that was exported from it'
        )
    network.load_state_dict({**own, **{name: value for name, value in weights.items() if name in own}})
    return kept.get('branch', 'both')
