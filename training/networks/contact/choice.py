# SPDX-License-Identifier: Apache-2.0
"""The networks by name, and weights.pt of their trainings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import get_args
from typing import Literal

import torch
from torch import nn

from training.networks.contact.bins import BINS
from training.networks.contact.dgcnn import Dgcnn
from training.networks.contact.gcn import GcnConfig
from training.networks.contact.gcn import GcnContact
from training.networks.contact.pointnet import PointNet
from training.networks.contact.pointnet2 import PointNet2
from training.networks.weights_file import fill
from training.networks.weights_file import read_weights
from training.networks.weights_file import WeightsError

ContactNetwork = Literal['gcn', 'pointnet2', 'dgcnn', 'pointnet']
NETWORKS: tuple[ContactNetwork, ...] = get_args(ContactNetwork)
_COMMAND = 'train contact'


def contact_network(name: ContactNetwork, gcn: GcnConfig | None = None) -> nn.Module:
    """A network with new weights, called with points (B, N, 3), features (B, N, 25) and optionally the indices (B, M)
    of the points whose logits (B, M, 10) are asked for. Its buffer `prior` is what `decoded` takes.

    Args:
        name: of the network.
        gcn: choices of GCN-Contact.
    """
    if name == 'gcn':
        network: nn.Module = GcnContact(gcn)
    else:
        network = {'pointnet2': PointNet2, 'dgcnn': Dgcnn, 'pointnet': PointNet}[name]()
    # What `decoded` subtracts from the logits.
    network.register_buffer('prior', torch.zeros(BINS))
    return network


def load_contact_network(weights: Path) -> nn.Module:
    """The network of a training's weights.pt, in evaluation mode.

    Raises:
        WeightsError: the file is missing or of another training.
    """
    kept = read_weights(weights, _COMMAND, 'network', 'gcn')
    network = contact_network(kept['network'], gcn_of(kept, weights))
    fill(network, kept, weights, _COMMAND)
    return network.eval()


def start_from(network: nn.Module, weights: Path) -> None:
    """Copies the weights of an earlier training of the same network.

    Raises:
        WeightsError: the file is missing or holds another network.
    """
    fill(network, read_weights(weights, _COMMAND), weights, _COMMAND)


def gcn_of(kept: Mapping[str, Any], weights: Path) -> GcnConfig:
    """GCN-Contact's choices in the content of a weights.pt.

    Raises:
        WeightsError: the file is of another training.
    """
    if kept['network'] not in NETWORKS:
        raise WeightsError(f'{weights} holds another network; expected the weights.pt of python -m training {_COMMAND}')
    return GcnConfig(**{field.name: kept['gcn'][field.name] for field in dataclasses.fields(GcnConfig)})
