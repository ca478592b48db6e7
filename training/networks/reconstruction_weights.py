# SPDX-License-Identifier: Apache-2.0
"""weights.pt of a training of `reconstruction`: a network with its weights, and a start from another network's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hoi_ros.hand.model import HandModel
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import ReconstructionConfig
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
