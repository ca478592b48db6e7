# SPDX-License-Identifier: Apache-2.0
"""Networks of `contact` that do not ship: all points of both surfaces, and the search for neighbours inside the graph.

They are timed untrained: the time does not depend on the weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch import Tensor

from hoi_ros.engines import TensorSpec
from hoi_ros.hand.contact_cloud import FEATURES
from training.export.contact import ContactOfNeighbours
from training.export.onnx_export import export_onnx
from training.networks.contact.choice import contact_network
from training.networks.contact.gcn import GcnContact
from training.networks.contact.gcn import picked_neighbours

ALL_POINTS, SOME_POINTS = 1159 + 2048, 600
"""Points of the paper's network with the project's hand, and of one for the robot."""


class SearchInGraph(nn.Module):
    """GCN-Contact with its neighbours by the distances between all points."""

    def __init__(self, network: GcnContact) -> None:
        super().__init__()
        self.rest = ContactOfNeighbours(network, 'expectation')
        self.picked = picked_neighbours(network.config.neighbours, network.config.dilation)

    def forward(self, points: Tensor, features: Tensor) -> Tensor:
        """(B, N) contact of points (B, N, 3) with features (B, N, 25)."""
        return self.rest(points, features, *(self._neighbours(values) for values in (points, features)))

    def _neighbours(self, values: Tensor) -> Tensor:
        squares = values.square().sum(-1)[:, None]
        distances = squares - 2 * values @ values.transpose(1, 2)
        index = distances.topk(int(self.picked.max()) + 1, largest=False).indices[..., self.picked]
        rows, count = index.flatten(1)[..., None].expand(-1, -1, values.shape[-1]), index.shape[-1]
        return values.gather(1, rows).reshape(*values.shape[:2], count, values.shape[-1])


def export(folder: Path) -> dict[str, Path]:
    """Exports each network into a model folder of its own inside `folder`; the model folders by name."""
    network = contact_network('gcn').eval()
    assert isinstance(network, GcnContact)
    outside, width = ContactOfNeighbours(network, 'expectation'), len(picked_neighbours(10, 4))
    folders = {}
    for count in (ALL_POINTS, SOME_POINTS):
        points, features = torch.rand(1, count, 3), torch.rand(1, count, FEATURES)
        near, alike = torch.rand(1, count, width, 3), torch.rand(1, count, width, FEATURES)
        for name, module, inputs in (
            (f'contact, {count} points', outside, {'near': near, 'alike': alike}),
            (f'contact, {count} points, search in the graph', SearchInGraph(network), {}),
        ):
            card = {'name': name, 'licence': 'Apache-2.0', 'data': 'none: untrained'}
            folders[name] = folder / name
            given = {'points': points, 'features': features, **inputs}
            export_onnx(module, given, [TensorSpec('contact', (1, count))], folders[name], card, graph_tolerance=1e-2)
    return folders
