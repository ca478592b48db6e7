# SPDX-License-Identifier: Apache-2.0
"""DGCNN (Wang et al., "Dynamic Graph CNN", 2019) at the size that S²Contact compares with."""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor

from hoi_ros.hand.contact_cloud import FEATURES
from training.networks.contact.bins import BINS
from training.networks.contact.layers import EdgeConv
from training.networks.contact.layers import PointMlp
from training.networks.contact.neighbours import nearest
from training.networks.contact.neighbours import rows_at

NEIGHBOURS = 15


class Dgcnn(nn.Module):
    """Three EdgeConvs, each among the neighbours in its own input; an MLP of them all."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(EdgeConv(inputs) for inputs in (3 + FEATURES, 64, 64))
        self.mlp = PointMlp((192, 1024, 256, 128), 0.5, (1, 2))
        self.bins = nn.Linear(128, BINS)

    def forward(self, points: Tensor, features: Tensor, centres: Tensor | None = None) -> Tensor:
        """(B, M, 10) logits; arguments as of `GcnContact`."""
        x = torch.cat([features, points], -1)
        found = []
        for conv in self.convs:
            x = conv(x, rows_at(x, nearest(x, x, NEIGHBOURS)))
            found.append(x)
        x = torch.cat(found, -1)
        if centres is not None:
            x = rows_at(x, centres[..., None])[:, :, 0]
        return self.bins(self.mlp(x))
