# SPDX-License-Identifier: Apache-2.0
"""GCN-Contact (Tse et al., "S²Contact", ECCV 2022, section 3.1)."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.hand.contact_cloud import FEATURES
from training.networks.contact.bins import BINS
from training.networks.contact.layers import EdgeConv
from training.networks.contact.layers import folded
from training.networks.contact.layers import PointMlp
from training.networks.contact.neighbours import nearest
from training.networks.contact.neighbours import rows_at

_CHUNK = 4096
"""Points that go through the network at a time at inference; each needs its own neighbours only."""


@dataclasses.dataclass(frozen=True)
class GcnConfig:
    """The paper's network; the fields are the choices of its table 4.

    Raises:
        ValueError: a number is out of range.
    """

    neighbours: int = 10
    """K, with the point itself."""
    dilation: int = 4
    """d: the dilated EdgeConvs take every d-th of a point's own K d nearest."""
    search: Literal['separate', 'joint'] = 'separate'
    """separate: neighbours in position for the EdgeConvs of positions, in the features for those of features. joint:
    neighbours in both together."""
    width: int = 64
    """Of the EdgeConvs."""
    head: tuple[int, ...] = (1024, 256, 128)
    """Widths of the layers behind them."""

    def __post_init__(self) -> None:
        for name in ('neighbours', 'dilation', 'width'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} is {getattr(self, name)}, expected at least 1')


class GcnContact(nn.Module):
    """Four EdgeConvs on the input, of positions and of features, each with and without dilation; an MLP of them all.

    Neighbours are searched in the input only, once in position and once in the features, so that the result of a point
    depends on its own neighbours alone: a subset of the points can be asked for, with the neighbours of all.
    """

    def __init__(self, config: GcnConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GcnConfig()
        self.near, self.near_dilated = (EdgeConv(3, (config.width, config.width)) for _ in range(2))
        self.alike, self.alike_dilated = (EdgeConv(FEATURES, (config.width, config.width)) for _ in range(2))
        last = len(config.head) - 1
        self.mlp = PointMlp((4 * config.width, *config.head), 0.5, (last - 1, last))
        self.bins = nn.Linear(config.head[-1], BINS)

    def forward(self, points: Tensor, features: Tensor, centres: Tensor | None = None) -> Tensor:
        """(B, M, 10) logits.

        Args:
            points: (B, N, 3).
            features: (B, N, 25).
            centres: (B, M) indices of the points that are asked for; all by default.
        """
        if centres is None:
            asked = points, features
        else:
            asked = tuple(rows_at(part, centres[..., None])[:, :, 0] for part in (points, features))
        near, alike = self.search(points, features, *asked)
        if self.training:
            return self.logits(*asked, rows_at(points, near), rows_at(features, alike))
        # Points of all clouds in one row: a part of any size stays in the processor's cache.
        start = torch.arange(len(points), device=near.device)[:, None, None] * points.shape[1]
        rows = [part.flatten(0, 1).split(_CHUNK) for part in (*asked, near + start, alike + start)]
        points, features = points.flatten(0, 1), features.flatten(0, 1)
        found = [self.logits(own, its, points[n], features[a]) for own, its, n, a in zip(*rows)]
        return torch.cat(found).unflatten(0, asked[0].shape[:2])

    def search(
        self, points: Tensor, features: Tensor, asked_points: Tensor, asked_features: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Indices (B, M, 2 K) of neighbours in position and in the features: the nearest K, then the dilated K."""
        picked = picked_neighbours(self.config.neighbours, self.config.dilation).to(points.device)
        count = int(picked.max()) + 1
        if self.config.search == 'joint':
            both = nearest(torch.cat([points, features], -1), torch.cat([asked_points, asked_features], -1), count)
            return both[..., picked], both[..., picked]
        near, alike = nearest(points, asked_points, count), nearest(features, asked_features, count)
        return near[..., picked], alike[..., picked]

    def logits(self, points: Tensor, features: Tensor, near: Tensor, alike: Tensor) -> Tensor:
        """(..., M, 10) logits.

        Args:
            points: (..., M, 3).
            features: (..., M, 25).
            near: (..., M, 2 K, 3) positions of the neighbours in position: the nearest K, then the dilated K.
            alike: (..., M, 2 K, 25) features of the neighbours in the features, likewise.
        """
        plain, dilated = slice(None, self.config.neighbours), slice(self.config.neighbours, None)
        scales = [
            self.near(points, near[..., plain, :]),
            self.near_dilated(points, near[..., dilated, :]),
            self.alike(features, alike[..., plain, :]),
            self.alike_dilated(features, alike[..., dilated, :]),
        ]
        x = self.mlp.linears[0](torch.cat(scales, -1))
        if self.training:
            return self.bins(self.mlp.after_first(x))
        return F.linear(self.mlp.before_last_norm(x), *folded(self.mlp.norms[-1], self.bins))


def picked_neighbours(neighbours: int, dilation: int) -> Tensor:
    """(2 K,) places among a point's nearest: the first K, and every d-th."""
    return torch.cat([torch.arange(neighbours), torch.arange(neighbours) * dilation])
