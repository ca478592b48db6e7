# SPDX-License-Identifier: Apache-2.0
"""What the denoisers of two hands share: embeddings, self-attention over the tokens, the decoder with its skips.

InterHandGen, supplement S.4.3. 'Each head consists of two fully connected layers, 2048 and 512' is read as the
feed-forward part of a transformer's encoder layer. Two figures of the text differ from the published network of
75.5 M parameters, whose widths `PAPER` takes: seven layers stand before the last one, and what the odd ones are given
of the noisy hand is 2056 wide. With the text's seven in all, and its token of 512, there would be 55.3 M.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

_LONGEST = 10_000
"""Longest wavelength of the embedding of time, over 2π."""


@dataclasses.dataclass(frozen=True)
class DenoiserConfig:
    """Widths of a denoiser."""

    token: int = 128
    """Width of a token."""
    hidden: int = 384
    """Width of the embeddings' first layers and of the decoder."""
    feed_forward: int = 256
    """Width inside the feed-forward parts of the self-attention."""
    blocks: int = 2
    """Self-attention blocks; 0 leaves self-attention out (Table 3)."""
    heads: int = 4
    layers: int = 6
    """Layers of the decoder before the last one."""
    skip: int = 0
    """Width of the noisy hand's embedding that the odd layers are given; 0 gives them its token."""
    dropout: float = 0.1
    object_width: int = 512
    """Width of the object's embedding; 0 builds a network that takes no object."""


SMALL = DenoiserConfig()
"""Of the network that robots run."""
PAPER = DenoiserConfig(token=512, hidden=2056, feed_forward=2048, layers=7, skip=2056, object_width=0)


class Trunk(nn.Module):
    """Noisy numbers, time and the tokens of the conditions → clean numbers.

    Args:
        config: the widths.
        numbers: of a sample.
        conditions: tokens besides those of the noisy sample and of the time.
    """

    def __init__(self, config: DenoiserConfig, numbers: int, conditions: int) -> None:
        super().__init__()
        token, hidden = config.token, config.hidden
        self.noisy = embedding(numbers, config)
        self.time = TimeEmbedding(config)
        self.attention = nn.Sequential(
            *(EncoderLayer(token, config.heads, config.feed_forward, config.dropout) for _ in range(config.blocks))
        )
        self.flat = nn.Linear((2 + conditions) * token, hidden)
        self.skip = nn.Linear(numbers, config.skip) if config.skip else None
        given, odd = (1 + conditions) * token, config.skip or token
        widths = [hidden + given + (odd if number % 2 == 0 else 0) for number in range(config.layers)]
        self.layers = nn.ModuleList(nn.Linear(width, hidden) for width in widths)
        # The text counts the last one among the layers and gives it the conditions; the published network does not.
        self.last = nn.Linear(hidden, numbers)

    def forward(self, noisy: Tensor, time: Tensor, conditions: Sequence[Tensor]) -> Tensor:
        """(B, numbers) of noisy ones, times (B, 1) from 0 to 256, and tokens (B, token)."""
        state = self.encoded(noisy, time, conditions)
        return self.decoded(state[0], state[1:])

    def encoded(self, noisy: Tensor, time: Tensor, conditions: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The global feature (B, hidden), and what the odd and all layers of the decoder are given besides."""
        token, moment = self.noisy(noisy), self.time(time)
        tokens = torch.stack([token, *conditions, moment], 1)
        feature = self.flat(self.attention(tokens).flatten(1))
        return feature, token if self.skip is None else self.skip(noisy), torch.cat([*conditions, moment], -1)

    def decoded(self, feature: Tensor, given: Sequence[Tensor]) -> Tensor:
        """The clean numbers, from the parts of `encoded`."""
        noisy, conditions = given
        x = feature
        for number, layer in enumerate(self.layers):
            parts = [x, conditions, noisy] if number % 2 == 0 else [x, conditions]
            x = torch.relu(layer(torch.cat(parts, -1)))
        return self.last(x)


def embedding(numbers: int, config: DenoiserConfig) -> nn.Sequential:
    """Two layers with Swish between them: numbers → hidden → token."""
    return nn.Sequential(nn.Linear(numbers, config.hidden), nn.SiLU(), nn.Linear(config.hidden, config.token))


class TimeEmbedding(nn.Module):
    """Sines and cosines of a time (Ho et al., DDPM, 2020), and two layers."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        rates = torch.exp(-math.log(_LONGEST) * torch.arange(config.token // 2) / (config.token // 2 - 1))
        self.register_buffer('rates', rates, persistent=False)
        self.layers = embedding(2 * len(rates), config)

    def forward(self, time: Tensor) -> Tensor:
        """(B, 1) → (B, token)."""
        angles = time * self.rates
        return self.layers(torch.cat([angles.sin(), angles.cos()], -1))


class EncoderLayer(nn.Module):
    """An encoder layer of the transformer (Vaswani et al., 2017) over the tokens (B, T, width) of each sample."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.feed_forward = nn.Sequential(
            nn.Linear(width, feed_forward), nn.ReLU(), nn.Dropout(dropout), nn.Linear(feed_forward, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        count, width = int(tokens.shape[1]), int(tokens.shape[2])
        split = self.queries_keys_values(tokens).reshape(-1, count, 3, self.heads, width // self.heads)
        queries, keys, values = split.permute(0, 2, 3, 1, 4).unbind(1)
        dropout = self.dropout if self.training else 0.0
        seen = F.scaled_dot_product_attention(queries, keys, values, dropout_p=dropout)
        seen = self.mixed(seen.transpose(1, 2).reshape(-1, count, width))
        tokens = self.norms[0](tokens + F.dropout(seen, self.dropout, self.training))
        return self.norms[1](tokens + F.dropout(self.feed_forward(tokens), self.dropout, self.training))
