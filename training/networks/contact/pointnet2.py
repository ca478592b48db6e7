# SPDX-License-Identifier: Apache-2.0
"""PointNet++ (Qi et al., NeurIPS 2017), with the layers of ContactOpt's DeepContact (Grady et al., CVPR 2021)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.hand.contact_cloud import FEATURES
from hoi_ros.hand.contact_cloud import UNIT
from training.networks.contact.bins import BINS
from training.networks.contact.layers import MaxEdges
from training.networks.contact.layers import PointMlp
from training.networks.contact.neighbours import nearest
from training.networks.contact.neighbours import rows_at


class PointNet2(nn.Module):
    """Two set abstractions, a global one, and three feature propagations."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = SetAbstraction(0.2, 0.1 / UNIT, (FEATURES, 64, 64, 128))
        self.coarse = SetAbstraction(0.25, 0.2 / UNIT, (128, 128, 128, 256))
        self.whole = PointMlp((256 + 3, 256, 512, 1024))
        self.from_whole = PointMlp((1024 + 256, 256, 256))
        self.from_coarse = PointMlp((256 + 128, 256, 128))
        self.from_fine = PointMlp((128 + FEATURES, 128, 128, 128))
        self.lin1, self.lin2, self.bins = nn.Linear(128, 128), nn.Linear(128, 128), nn.Linear(128, BINS)

    def forward(self, points: Tensor, features: Tensor, centres: Tensor | None = None) -> Tensor:
        """(B, M, 10) logits; arguments as of `GcnContact`."""
        fine_points, fine = self.fine(points, features)
        coarse_points, coarse = self.coarse(fine_points, fine)
        whole = self.whole(torch.cat([coarse, coarse_points], -1)).amax(1, keepdim=True)
        coarse = self.from_whole(torch.cat([whole.expand(-1, coarse.shape[1], -1), coarse], -1))
        fine = self.from_coarse(torch.cat([interpolated(coarse, coarse_points, fine_points), fine], -1))
        if centres is not None:
            points, features = (rows_at(part, centres[..., None])[:, :, 0] for part in (points, features))
        x = self.from_fine(torch.cat([interpolated(fine, fine_points, points), features], -1))
        x = F.dropout(F.relu(self.lin1(x)), 0.5, self.training)
        return self.bins(F.dropout(self.lin2(x), 0.5, self.training))


class SetAbstraction(nn.Module):
    """Features of some of the points, far from each other, from their neighbours within a radius.

    Args:
        share: of the points that stay.
        radius: of the neighbourhood.
        widths: numbers of a point, and of each layer.
        most: neighbours of a point, the nearest within the radius.
    """

    def __init__(self, share: float, radius: float, widths: Sequence[int], most: int = 64) -> None:
        super().__init__()
        self.share, self.radius, self.most = share, radius, most
        self.edges = MaxEdges((widths[0] + 3, *widths[1:]))

    def forward(self, points: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, N, 3) and features (B, N, C) → points (B, M, 3) and features (B, M, C′)."""
        count = math.ceil(points.shape[1] * self.share)
        kept = rows_at(points, farthest_points(points, count)[..., None])[:, :, 0]
        index = nearest(points, kept, min(self.most, points.shape[1]))
        offset = rows_at(points, index) - kept[:, :, None]
        # A neighbour beyond the radius counts as the nearest once more.
        index = torch.where(offset.square().sum(-1) <= self.radius**2, index, index[..., :1])
        first = self.edges.mlp.linears[0]
        of_features, of_offset = first.weight.split([features.shape[-1], 3], 1)
        # The first layer is computed once a point, and once a centre.
        each = F.linear(features, of_features, first.bias) + F.linear(points, of_offset)
        return kept, self.edges(rows_at(each, index) - F.linear(kept, of_offset)[:, :, None])


def farthest_points(points: Tensor, count: int) -> Tensor:
    """(B, count) indices of points (B, N, 3), each the farthest from those before; the first, from the centroid."""
    with torch.no_grad():
        along = points.transpose(1, 2).contiguous()
        distance = (along - along.mean(2, keepdim=True)).square_().sum(1)
        chosen = [distance.argmax(1)]
        rows = torch.arange(len(points), device=points.device)
        distance = torch.full_like(distance, torch.inf)
        for _ in range(count - 1):
            squares = (along - along[rows, :, chosen[-1], None]).square_()
            torch.minimum(distance, squares.sum(1), out=distance)
            chosen.append(distance.argmax(1))
    return torch.stack(chosen, 1)


def interpolated(features: Tensor, sources: Tensor, points: Tensor) -> Tensor:
    """(B, N, C) features (B, M, C) of sources (B, M, 3) at points (B, N, 3): the mean of the three nearest sources,
    weighted by the inverse squared distance."""
    index = nearest(sources, points, min(3, sources.shape[1]))
    squared = (rows_at(sources, index) - points[:, :, None]).square().sum(-1)
    weights = 1 / squared.clamp(min=1e-8)
    weights = weights / weights.sum(-1, keepdim=True)
    return (rows_at(features, index) * weights[..., None]).sum(2)
