# SPDX-License-Identifier: Apache-2.0
"""Exports the network that places misplaced hands to the model folder two_hand_clean."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import nn
from torch import Tensor

from hoi_ros.engines import Card
from hoi_ros.engines import TensorSpec
from training.export.card_entries import figures_of
from training.export.card_entries import LICENCE
from training.export.card_entries import training_of
from training.export.onnx_export import export_onnx
from training.installation import install_export
from training.installation import InstallOptions
from training.installation import run_folder
from training.networks.two_hand_prior.cleaner import CLEAN_COMMAND
from training.networks.two_hand_prior.cleaner import INPUTS
from training.networks.two_hand_prior.cleaner import PairCleanerNetwork
from training.networks.weights_file import fill
from training.networks.weights_file import read_weights

_COMPARED = 4
"""Inputs on which the file is compared with PyTorch."""
_DATA = (
    'What depth_pose estimates in simulated depth images of made pairs of hands (training/data/synthetic/two_hands): '
    'the WebXR generic hand (MIT, Amazon).'
)


@dataclasses.dataclass(frozen=True)
class TwoHandCleanExport(InstallOptions):
    """Writes the model folder two_hand_clean beside the weights."""

    weights: Path = Path('runs/two_hand_clean/weights.pt')
    """weights.pt of `train two_hand_prior_clean`."""
    models: Path = Path('models')
    """Folder of models that --install changes."""


class _Probabilities(nn.Module):
    """The network with probabilities in place of logits."""

    def __init__(self, network: PairCleanerNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        roots, misplaced = self.network(pair)
        return roots, misplaced.sigmoid()


def export(config: TwoHandCleanExport) -> Card:
    """Exports the network and checks the file.

    Raises:
        WeightsError: the weights are missing or of another training.
    """
    kept = read_weights(config.weights, CLEAN_COMMAND, 'pairs')
    network = PairCleanerNetwork()
    fill(network, kept, config.weights, CLEAN_COMMAND)
    rng = torch.Generator().manual_seed(0)
    pairs = network.mean + network.deviation * torch.randn(_COMPARED, INPUTS, generator=rng)
    inputs = [{'pair': pair[None]} for pair in pairs]
    card = export_onnx(
        _Probabilities(network).eval(),
        inputs[0],
        [
            TensorSpec('roots', (1, 18), unit='m, 1', meaning='rotation and place of the right and of the left wrist'),
            TensorSpec('misplaced', (1, 2), unit='1', meaning='probability that the hand is misplaced'),
        ],
        run_folder(config.weights) / 'two_hand_clean',
        {
            'name': 'two_hand_clean',
            'licence': LICENCE,
            'data': _DATA,
            'training': {**training_of(f'python -m training {CLEAN_COMMAND}', kept), 'pairs': kept['pairs']},
            'figures': figures_of(kept),
            'inputs': [
                TensorSpec(
                    'pair', (1, INPUTS), unit='m, 1', meaning='right wrist, camera and confidences about the left wrist'
                )
            ],
            'largest_batch': 16,
        },
        further=inputs[1:],
    )
    install_export(config.weights, card, config.models, config)
    return card
