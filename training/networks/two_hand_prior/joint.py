# SPDX-License-Identifier: Apache-2.0
"""Networks that denoise both hands at once, and the autoencoder: what the two-hand prior is compared with.

A pair is one vector of 128 numbers, the right hand's and then the left one's. Without an object the left hand's root
is neither seen nor estimated, since the right hand is in its frame.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch import Tensor

from hoi_ros.hand.pair import SIZE
from training.networks.two_hand_prior.denoiser import fingers_only
from training.networks.two_hand_prior.denoiser import object_token
from training.networks.two_hand_prior.trunk import DenoiserConfig
from training.networks.two_hand_prior.trunk import EncoderLayer
from training.networks.two_hand_prior.trunk import TimeEmbedding
from training.networks.two_hand_prior.trunk import Trunk

PAIR = 2 * SIZE
_TOKEN = 184
"""Width of a token of the joint transformer: the paper's BUDDI*."""
_JOINT_LAYERS, _LATENT, _VAE_WIDTH, _VAE_LAYERS = 6, 64, 512, 5


class PairNetwork(nn.Module):
    """Of the numbers of both hands, and an object that may be absent.

    Args:
        config: the widths.
    """

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        self.object = object_token(config)
        self.register_buffer('numbers', fingers_only(PAIR), persistent=False)

    def conditions(
        self, noisy: Tensor, object: Tensor | None, has_object: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """(B, 128) 1 for the numbers that count, else 0, and the tokens of the conditions."""
        if self.object is None:
            return self.numbers.expand_as(noisy), []
        return self.numbers + has_object * (1 - self.numbers), [self.object(object, has_object)]


class WholePairDenoiser(PairNetwork):
    """The denoiser of one hand with 128 numbers in place of 64: 'without decomposition', Table 1."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__(config)
        self.trunk = Trunk(config, PAIR, int(bool(config.object_width)))

    def forward(
        self, noisy: Tensor, time: Tensor, object: Tensor | None = None, has_object: Tensor | None = None
    ) -> Tensor:
        """(B, 128) whitened clean pairs of noisy ones (B, 128), at times (B, 1)."""
        numbers, conditions = self.conditions(noisy, object, has_object)
        return numbers * self.trunk(noisy * numbers, time, conditions)


class JointTransformer(PairNetwork):
    """A transformer whose tokens are both hands and the time, after BUDDI (Müller et al., CVPR 2024), of feature 184.

    Args:
        config: its object's width counts.
    """

    def __init__(self, config: DenoiserConfig) -> None:
        token = _TOKEN
        super().__init__(DenoiserConfig(token=token, hidden=token, object_width=config.object_width))
        self.into = nn.ModuleList(nn.Linear(SIZE, token) for _ in range(2))
        self.out = nn.ModuleList(nn.Linear(token, SIZE) for _ in range(2))
        self.time = TimeEmbedding(self.config)
        layers = (EncoderLayer(token, 4, 2 * token, config.dropout) for _ in range(_JOINT_LAYERS))
        self.attention = nn.Sequential(*layers)

    def forward(
        self, noisy: Tensor, time: Tensor, object: Tensor | None = None, has_object: Tensor | None = None
    ) -> Tensor:
        """As of `WholePairDenoiser`."""
        numbers, conditions = self.conditions(noisy, object, has_object)
        hands = [layer(hand) for layer, hand in zip(self.into, (noisy * numbers).split(SIZE, 1))]
        tokens = self.attention(torch.stack([*hands, *conditions, self.time(time)], 1))
        return numbers * torch.cat([layer(tokens[:, number]) for number, layer in enumerate(self.out)], 1)


class ParallelDenoisers(PairNetwork):
    """Two denoisers of shared weights and a communication block, after ComMDM (Shafir et al., ICLR 2024): Table S1.

    The block attends over the features of both hands, in two layers, and adds to each what it found.
    """

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__(config)
        token = config.token
        self.trunk = Trunk(config, SIZE, 1 + bool(config.object_width))
        self.sides = nn.Parameter(0.02 * torch.randn(2, token))
        self.into, self.out = nn.Linear(config.hidden, token), nn.Linear(token, config.hidden)
        layers = (EncoderLayer(token, config.heads, config.feed_forward, config.dropout) for _ in range(2))
        self.communication = nn.Sequential(*layers)

    def forward(
        self, noisy: Tensor, time: Tensor, object: Tensor | None = None, has_object: Tensor | None = None
    ) -> Tensor:
        """As of `WholePairDenoiser`."""
        numbers, conditions = self.conditions(noisy, object, has_object)
        hands = (noisy * numbers).reshape(-1, SIZE)  # right and left in turn
        sides = self.sides.repeat(len(noisy), 1)
        conditions = [sides, *(token.repeat_interleave(2, 0) for token in conditions)]
        feature, *given = self.trunk.encoded(hands, time.repeat_interleave(2, 0), conditions)
        said = (self.into(feature) + sides).reshape(len(noisy), 2, -1)
        feature = feature + self.out(self.communication(said)).reshape(len(hands), -1)
        return numbers * self.trunk.decoded(feature, given).reshape(-1, PAIR)


class PairAutoencoder(PairNetwork):
    """A variational autoencoder of both hands; the object goes into the second layer of both its halves."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__(config)
        given = config.token if config.object_width else 0
        self.encoder = _Layers(PAIR, given, 2 * _LATENT)
        self.decoder = _Layers(_LATENT, given, PAIR)
        self.latent = _LATENT

    def forward(
        self, clean: Tensor, noise: Tensor, object: Tensor | None = None, has_object: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pairs (B, 128) again, and the means and log variances (B, 64) of their latent numbers, drawn by noise
        (B, 64)."""
        numbers, conditions = self.conditions(clean, object, has_object)
        mean, log_variance = self.encoder(clean * numbers, conditions).chunk(2, 1)
        latent = mean + (0.5 * log_variance).exp() * noise
        return numbers * self.decoder(latent, conditions), mean, log_variance

    def decoded(self, latent: Tensor, object: Tensor | None = None, has_object: Tensor | None = None) -> Tensor:
        """Pairs (B, 128) of latent numbers (B, 64)."""
        numbers, conditions = self.conditions(latent.new_zeros(len(latent), PAIR), object, has_object)
        return numbers * self.decoder(latent, conditions)


class _Layers(nn.Module):
    """Residual layers, normalised; the second one is given the conditions."""

    def __init__(self, numbers: int, given: int, out: int) -> None:
        super().__init__()
        widths = [numbers, *[_VAE_WIDTH] * _VAE_LAYERS]
        self.layers = nn.ModuleList(
            nn.Linear(before + (given if number == 1 else 0), after)
            for number, (before, after) in enumerate(itertools.pairwise(widths))
        )
        self.norms = nn.ModuleList(nn.LayerNorm(_VAE_WIDTH) for _ in self.layers)
        self.last = nn.Linear(_VAE_WIDTH, out)

    def forward(self, x: Tensor, conditions: list[Tensor]) -> Tensor:
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms)):
            made = torch.relu(norm(layer(torch.cat([x, *conditions], -1) if number == 1 else x)))
            x = made + x if number else made
        return self.last(x)
