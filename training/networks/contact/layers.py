# SPDX-License-Identifier: Apache-2.0
"""Layers that treat every point alike, and EdgeConv."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F


class PointMlp(nn.Module):
    """Linear layers, each followed by ReLU and then batch normalisation: the order of the authors' code.

    At inference a normalisation is an affine map, which goes into the next layer's weights.

    Args:
        widths: of the input and of each layer.
        dropout: share of dropped values behind each layer of `dropped`.
        dropped: numbers of layers, from 0.
    """

    def __init__(self, widths: Sequence[int], dropout: float = 0.0, dropped: Sequence[int] = ()) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])
        self.dropout, self.dropped = dropout, tuple(dropped)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) → (..., last width)."""
        return self.after_first(self.linears[0](x))

    def after_first(self, x: Tensor) -> Tensor:
        """The rest of the network for the output (..., C) of the first linear layer."""
        if not self.training:
            return _affine(self.before_last_norm(x), self.norms[-1])
        for number, norm in enumerate(self.norms):
            x = x if number == 0 else self.linears[number](x)
            x = norm(F.relu(x, inplace=True).reshape(-1, x.shape[-1])).reshape(x.shape)
            if number in self.dropped:
                x = F.dropout(x, self.dropout)
        return x

    def before_last_norm(self, x: Tensor) -> Tensor:
        """As `after_first` in evaluation mode, without the last normalisation."""
        x = torch.relu(x)
        for norm, linear in zip(self.norms, list(self.linears)[1:]):
            x = torch.relu(F.linear(x, *folded(norm, linear)))
        return x


class MaxEdges(nn.Module):
    """The largest of a `PointMlp` over the edges of each point.

    At inference only the extreme of the last linear layer goes through its ReLU and its normalisation, which do not
    change the order: where the normalisation's scale is negative, the least value counts.

    Args:
        widths: of the input and of each layer.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.mlp = PointMlp(widths)

    def forward(self, first: Tensor) -> Tensor:
        """(..., last width) of the first layer's output (..., K, C) for K edges."""
        mlp = self.mlp
        if self.training:
            return mlp.after_first(first).amax(-2)
        x = torch.relu(first)
        for norm, linear in zip(list(mlp.norms)[:-2], list(mlp.linears)[1:-1]):
            x = torch.relu(F.linear(x, *folded(norm, linear)))
        weight, bias = folded(mlp.norms[-2], mlp.linears[-1])
        sign = torch.where(mlp.norms[-1].weight < 0, -1.0, 1.0)
        x = F.linear(x, weight * sign[:, None]).amax(-2) * sign + bias
        return _affine(torch.relu(x), mlp.norms[-1])


class EdgeConv(nn.Module):
    """Equation 2 of S²Contact (after Wang et al., "Dynamic Graph CNN", 2019): the largest of an MLP of the offset to a
    neighbour and the point itself, over the neighbours.

    The first layer of (p_j − p_i, p_i) is A p_j + (B − A) p_i, whose second term is computed once a point.

    Args:
        inputs: numbers of a point.
        widths: of the MLP's layers.
    """

    def __init__(self, inputs: int, widths: Sequence[int] = (64, 64)) -> None:
        super().__init__()
        self.inputs = inputs
        self.edges = MaxEdges((2 * inputs, *widths))

    def forward(self, points: Tensor, neighbours: Tensor) -> Tensor:
        """(B, M, last width) of points (B, M, C) and their neighbours (B, M, K, C)."""
        first = self.edges.mlp.linears[0]
        offset, own = first.weight.split(self.inputs, 1)
        return self.edges(F.linear(neighbours, offset) + F.linear(points, own - offset, first.bias)[..., None, :])


def folded(norm: nn.BatchNorm1d, linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight and bias of a linear layer behind a normalisation, as one layer."""
    scale, shift = scale_and_shift(norm)
    return linear.weight * scale, linear.bias + linear.weight @ shift


def scale_and_shift(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """The affine map of a normalisation at inference."""
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def _affine(x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    scale, shift = scale_and_shift(norm)
    return x * scale + shift
