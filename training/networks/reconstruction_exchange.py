# SPDX-License-Identifier: Apache-2.0
"""The exchange between the branches of `reconstruction`: convolutions on one branch's mesh that give a message to the
other (Tse et al., CVPR 2022, section 3.3 and table 7)."""

from __future__ import annotations

import abc

import numpy as np
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from training.networks.attention import attend
from training.networks.mesh_graph import neighbours
from training.networks.mesh_graph import spirals
from training.networks.reconstruction_config import ReconstructionConfig

_UNIT = 0.1
"""Metres; in this unit the coordinates of a mesh around a hand are of the order of one."""
_LEAST_VARIANCE = 0.1
"""Added to the variance of the pooled features before they are standardised."""


class GraphExchange(nn.Module, abc.ABC):
    """g_conv (section 3.3) without its convolution: a mesh and its history in, φ and the new history out.

    h ← LayerNorm(message + h). The paper then "resizes" h to the size of the image features by a fully connected
    layer. A layer on all N·F numbers would have 38 million weights (N = 1159, F = 64); an average over the vertices
    would discard the identity of the vertices. This class factorises that layer: `slots` learned sums over the
    vertices, then a fully connected layer.

    Most of the content of the sums is the same for every mesh, and there are a thousand of them: used directly, one
    step of Adam would move φ by more than the image features to which it is added. Each sum is therefore standardised
    over the batch, with the statistics of its own iteration, and the layer's output is divided by the root of the
    number of its inputs. `_LEAST_VARIANCE` keeps meshes that hardly differ from being scaled up to unit variance, which
    would scale up their gradient too and shape the object for the hand's benefit. The layer starts at zero, so that the
    exchange begins as the baseline.
    """

    def __init__(self, vertices: int, outputs: int, config: ReconstructionConfig) -> None:
        super().__init__()
        inputs = config.slots * config.features
        self.norm = nn.LayerNorm(config.features)
        self.pool = nn.Parameter(torch.randn(config.slots, vertices) / vertices**0.5)
        self.standard = nn.ModuleList(
            nn.BatchNorm1d(inputs, _LEAST_VARIANCE, affine=False) for _ in range(config.iterations)
        )
        self.resize = nn.Linear(inputs, outputs)
        nn.init.zeros_(self.resize.weight)
        nn.init.zeros_(self.resize.bias)

    @abc.abstractmethod
    def message(self, vertices: Tensor) -> Tensor:
        """(B, N, 3) in units of 10 cm → (B, N, F), equation 4."""

    def forward(self, vertices: Tensor, history: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        """(B, N, 3) metres, (B, N, F) or a zero, and the iteration from 0 → φ (B, C) and the new history."""
        with torch.autocast(vertices.device.type, enabled=False):
            history = self.norm(self.message(vertices / _UNIT) + history)
            pooled = self.standard[iteration]((self.pool @ history).flatten(1))
            return self.resize(pooled) / self.resize.in_features**0.5, history


class AttentionExchange(GraphExchange):
    """Attention-guided graph convolution, equations 7 and 8.

    Equation 8 adds v_j to a history that LayerNorm normalises; both need F numbers, so v_j stands for the lifted W v_j,
    with W and a of each head its own (as in graph attention networks). W is linear: aᵀW is a direction in space, and
    the positions are summed before they are lifted.
    """

    def __init__(self, vertices: int, outputs: int, config: ReconstructionConfig) -> None:
        super().__init__(vertices, outputs, config)
        self.threshold = config.threshold
        self.weight = nn.Parameter(torch.randn(config.heads, config.features, 3) / 3**0.5)
        self.attention = nn.Parameter(torch.randn(config.heads, 2, config.features) / config.features**0.5)

    def message(self, vertices: Tensor) -> Tensor:
        scores = (self.attention @ self.weight).flatten(0, 1) @ vertices.transpose(-1, -2)
        source, target = scores.unflatten(1, (-1, 2)).unbind(2)
        positions = attend(source, target, vertices[:, None].expand(-1, len(self.weight), -1, -1), self.threshold)
        lift = self.weight.transpose(-1, -2).flatten(0, 1) / len(self.weight)
        return positions.transpose(1, 2).flatten(2) @ lift


class StaticExchange(GraphExchange):
    """Graph convolution of Kipf and Welling (2017, equation 2) on the edges of the mesh."""

    def __init__(self, vertices: int, outputs: int, config: ReconstructionConfig, faces: np.ndarray) -> None:
        super().__init__(vertices, outputs, config)
        index, weight = neighbours(faces, vertices)
        self.register_buffer('index', torch.tensor(index), persistent=False)
        self.register_buffer('share', torch.tensor(weight, dtype=torch.float32)[..., None], persistent=False)
        self.lift = nn.Linear(3, config.features, bias=False)

    def message(self, vertices: Tensor) -> Tensor:
        return torch.relu(self.lift((vertices[:, self.index] * self.share).sum(2)))


class SpiralExchange(GraphExchange):
    """Spiral convolution (SpiralNet++, Gong et al., 2019): a linear layer on a vertex and the spiral around it."""

    def __init__(self, vertices: int, outputs: int, config: ReconstructionConfig, faces: np.ndarray) -> None:
        super().__init__(vertices, outputs, config)
        index = spirals(faces, vertices, config.spiral_length)
        self.register_buffer('index', torch.tensor(index), persistent=False)
        self.lift = nn.Linear(3 * config.spiral_length, config.features)

    def message(self, vertices: Tensor) -> Tensor:
        return F.elu(self.lift(vertices[:, self.index].flatten(2)))


class LateExchange(nn.Module):
    """Embeddings of the other branch's features without a mesh (section 4, naive collaborative learning)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, features))
        nn.init.zeros_(self.embed[-1].weight)
        nn.init.zeros_(self.embed[-1].bias)

    def forward(self, features: Tensor, history: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        """(B, C) → φ (B, C) and the unchanged history."""
        return self.embed(features), history


def make_exchange(config: ReconstructionConfig, faces: np.ndarray, vertices: int, outputs: int) -> nn.Module:
    """The exchange of a configuration, from a mesh of `vertices` vertices and `faces` (F, 3) to `outputs` features."""
    match config.exchange:
        case 'attention':
            return AttentionExchange(vertices, outputs, config)
        case 'gcn':
            return StaticExchange(vertices, outputs, config, faces)
        case 'spiral':
            return SpiralExchange(vertices, outputs, config, faces)
        case 'late':
            return LateExchange(outputs)
