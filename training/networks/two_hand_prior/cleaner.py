# SPDX-License-Identifier: Apache-2.0
"""A network that takes the wrists of two hands as they were observed to the true ones.

`hoi_ros.stages.parts.pair_cleaner` says what it is given and what it finds.
"""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor

CLEAN_COMMAND = 'train two_hand_prior_clean'
INPUTS = 30
_ROOTS = 18
_UNITS = (0.3,) * 6 + (0.1,) * 3
"""Change of the rotation's numbers and of the place that one output stands for."""
_IDENTITY = 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0
"""Root of the left hand in its own frame."""


class PairCleanerNetwork(nn.Module):
    """Changes the observed roots; few layers, since pairs with a misplaced hand are few.

    Args:
        width: of the layers.
        dropout: share of the activations that are dropped in training.
    """

    def __init__(self, width: int = 96, dropout: float = 0.3) -> None:
        super().__init__()
        self.register_buffer('mean', torch.zeros(INPUTS))
        self.register_buffer('deviation', torch.ones(INPUTS))
        self.register_buffer('identity', torch.tensor(_IDENTITY))
        self.register_buffer('units', torch.tensor(2 * _UNITS))
        self.layers = nn.Sequential(
            nn.Linear(INPUTS, width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(width, _ROOTS + 2),
        )
        for weight in self.layers[-1].parameters():
            nn.init.zeros_(weight)

    def forward(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        """Pairs (B, 30) as observed → roots (B, 18), whose six numbers of a rotation are not orthonormal, and logits
        (B, 2) of being misplaced, of the right and of the left hands."""
        whitened = ((pair - self.mean) / self.deviation).clamp(-4, 4)
        change, misplaced = self.layers(whitened).split([_ROOTS, 2], 1)
        observed = torch.cat([pair[:, :9], self.identity.expand(len(pair), 9)], 1)
        return observed + self.units * change, misplaced
