# SPDX-License-Identifier: Apache-2.0
"""A network of two hands and the encoder of the objects that it is given, which learn together."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch import Tensor

from training.networks.two_hand_prior.object_encoder import ObjectEncoder


class HeldObjects(NamedTuple):
    """M objects in the hands of B samples.

    Attributes:
        number: (B,) of the object of each sample, −1 where there is none.
        points, centres, neighbours, coarse_centres, coarse_neighbours: inputs of `ObjectEncoder`, of M objects.
    """

    number: Tensor
    points: Tensor
    centres: Tensor
    neighbours: Tensor
    coarse_centres: Tensor
    coarse_neighbours: Tensor


class WithObjects(nn.Module):
    """Embeds each object of a batch once, for all its samples.

    Args:
        network: whose last two inputs are the embeddings of objects and whether there is one.
        encoder: of the objects.
    """

    def __init__(self, network: nn.Module, encoder: ObjectEncoder) -> None:
        super().__init__()
        self.network, self.encoder = network, encoder
        self.latent = getattr(network, 'latent', 0)

    def forward(self, *inputs: Tensor, held: HeldObjects | None = None) -> Tensor | tuple[Tensor, ...]:
        """What the network returns.

        Args:
            inputs: the network's others, of B samples.
            held: what they hold, if any of them holds an object.
        """
        count = len(inputs[0])
        if held is None:
            none = inputs[0].new_zeros(count, self.encoder.last.out_features)
            return self.network(*inputs, none, none[:, :1])
        number, *things = held
        present = (number >= 0)[:, None]
        seen = torch.where(present, self.encoder(*things)[number.clamp(min=0)], 0.0)
        return self.network(*inputs, seen, present.to(inputs[0]))
