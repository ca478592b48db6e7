# SPDX-License-Identifier: Apache-2.0
"""Exports `contact` to a model folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor

from hoi_ros.engines import Card
from hoi_ros.engines import TensorSpec
from hoi_ros.hand.contact_cloud import ContactCloud
from hoi_ros.hand.contact_cloud import UNIT
from hoi_ros.hand.model import HandModel
from hoi_ros.stages.parts.contact_network import network_inputs
from training.evaluation.contact import grasps_of
from training.evaluation.contact import NoisyGrasps
from training.export.card_entries import figures_of
from training.export.card_entries import LICENCE
from training.export.card_entries import training_of
from training.export.onnx_export import export_onnx
from training.installation import install_export
from training.installation import InstallOptions
from training.installation import run_folder
from training.networks.contact.bins import decoded
from training.networks.contact.bins import Decoding
from training.networks.contact.choice import load_contact_network
from training.networks.contact.gcn import GcnContact
from training.networks.weights_file import read_weights
from training.networks.weights_file import WeightsError

DATA = (
    'Made grasps (training/data): the WebXR generic hand (MIT, Amazon) closes about parametric objects, and about the '
    'scanned ones that real_images lists, until its fingers touch; contact from distances and normals, like the '
    'thermal contact of ContactPose; hands perturbed.'
)
CONTACT_POSE = "ContactPose (MIT): the project's hand fitted to its joints, its thermal maps; hands perturbed."
"""Data of networks that are trained on it."""
_COMPARED = 4
"""Grasps on which the file is compared with PyTorch."""


@dataclasses.dataclass(frozen=True)
class ContactExport(InstallOptions):
    """Writes the model folder contact beside the weights of a training."""

    weights: Path = Path('runs/contact/weights.pt')
    """weights.pt of a training of GCN-Contact."""
    hand_points: int = 0
    """Hand points that are nodes; 0 takes those of the training."""
    object_points: int = 0
    """Object points that are nodes, likewise."""
    decoding: Decoding = 'expectation'
    pool: Path = Path('runs/contact.pool')
    """Of the training; its validation grasps check the file."""
    models: Path = Path('models')
    """Folder of models that --install changes."""


class ContactOfNeighbours(nn.Module):
    """The contact (B, M) of points whose neighbours are given, see `GcnContact.logits`."""

    def __init__(self, network: GcnContact, decoding: Decoding) -> None:
        super().__init__()
        self.network, self.decoding = network, decoding

    def forward(self, points: Tensor, features: Tensor, near: Tensor, alike: Tensor) -> Tensor:
        return decoded(self.network.logits(points, features, near, alike), self.network.prior, self.decoding)


def export(config: ContactExport) -> Card:
    """Exports GCN-Contact without its search of neighbours, which is faster outside, and checks it.

    Raises:
        WeightsError: the weights are those of another network.
    """
    network = load_contact_network(config.weights)
    if not isinstance(network, GcnContact):
        raise WeightsError(f'{config.weights} holds a baseline; robots run GCN-Contact (train contact --network gcn)')
    kept = read_weights(config.weights, 'train contact', 'points')
    grasps = NoisyGrasps.of(grasps_of('validation', _COMPARED, config.pool), 'small')
    given = (config.hand_points, config.object_points), kept['points'], surfaces_of(grasps)
    hand_points, object_points = (next(filter(None, counts)) for counts in zip(*given))
    inputs = [example(network, grasps, number, hand_points, object_points) for number in range(_COMPARED)]
    choices = network.config
    card = export_onnx(
        ContactOfNeighbours(network, config.decoding),
        inputs[0],
        [TensorSpec('contact', (1, hand_points + object_points), unit='1', meaning='0: never touched, 1: firmly')],
        run_folder(config.weights) / 'contact',
        {
            'name': 'contact',
            'licence': LICENCE,
            'data': CONTACT_POSE if kept.get('data') == 'contact_pose' else DATA,
            'inputs': specs(inputs[0]),
            'parameters': {
                'neighbours': choices.neighbours,
                'dilation': choices.dilation,
                'search': choices.search,
                'hand_points': hand_points,
                'object_points': object_points,
            },
            'training': training_of('python -m training train contact', kept),
            'figures': figures_of(kept),
        },
        further=inputs[1:],
    )
    install_export(config.weights, card, config.models, config)
    return card


def surfaces_of(grasps: NoisyGrasps) -> tuple[int, int]:
    """Points of the hand and of the object in records."""
    return grasps.records['hand_contact'].shape[1], grasps.records['object_contact'].shape[1]


def example(
    network: GcnContact, grasps: NoisyGrasps, number: int, hand_points: int, object_points: int
) -> dict[str, Tensor]:
    """The inputs of the exported network for some points of a grasp."""
    hand, thing = surfaces_of(grasps)
    rows = np.concatenate(
        [np.linspace(0, hand - 1, hand_points), np.linspace(hand, hand + thing - 1, object_points)]
    ).astype(int)
    clouds = grasps.cloud(HandModel.load().to_torch(), number, torch.device('cpu'), torch.from_numpy(rows))
    choices = network.config
    arrays = network_inputs(
        ContactCloud(*(part[0].numpy() for part in clouds)),
        choices.neighbours,
        choices.dilation,
        choices.search == 'joint',
    )
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def specs(inputs: dict[str, Tensor]) -> list[TensorSpec]:
    """The inputs, described."""
    meanings = {
        'points': 'points of a right hand, then of the object, about its centroid in the axes of the palm',
        'features': 'their features, see hoi_ros/hand/contact_cloud.py',
        'near': 'positions of their neighbours in position: the nearest, then the dilated',
        'alike': 'features of their neighbours in the features, likewise',
    }
    return [
        TensorSpec(name, tuple(value.shape), unit=f'{UNIT} m', meaning=meanings[name]) for name, value in inputs.items()
    ]
