# SPDX-License-Identifier: Apache-2.0
"""Networks of `depth_pose`: LSPS (Abdi et al., BMVC 2018, tables 2 and 4) and the stronger one that ships."""

from __future__ import annotations

import dataclasses
import itertools

import torch
from torch import nn
from torch import Tensor

from training.networks.blocks import ConvNormAct
from training.networks.blocks import Residual
from training.networks.blocks import vote_grid
from training.networks.blocks import voted_places


class PoseVAE(nn.Module):
    """E_y and G_y of table 2: 3J → 30 → 20 → 30 → 3J, with the 30 hidden units of the paper's tables and section 4 (the
    public code has 50)."""

    def __init__(self, joints: int = 21, hidden: int = 30, latent: int = 20) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(3 * joints, hidden), nn.LeakyReLU(0.2))
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 3 * joints))

    def forward(self, joints: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 21, 3) joints, unit normal noise (B, 20) → mean, log-variance, decoded joints of the sampled code."""
        mean, log_variance = self.encode(joints)
        return mean, log_variance, self.decode(mean + noise * (log_variance / 2).exp())

    def encode(self, joints: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 21, 3) normalised joints → mean and log-variance (B, 20) of q(z|y)."""
        features = self.hidden(joints.flatten(1))
        return self.mean(features), self.log_variance(features)

    def decode(self, latent: Tensor) -> Tensor:
        """G_y: (B, 20) → (B, 21, 3) normalised joints."""
        return self.decoder(latent).reshape(latent.shape[0], -1, 3)


class Posterior(nn.Module):
    """P of table 4: five stride-2 convolutions and one with 20 outputs. The discriminators share its first five layers
    (table 4, column "shared with D_s, D_r")."""

    def __init__(self, latent: int = 20, width: int = 64) -> None:
        super().__init__()
        channels = [1] + [width * 2**k for k in range(5)]
        self.features = nn.Sequential(
            *[
                layer
                for inputs, outputs in itertools.pairwise(channels)
                for layer in (nn.Conv2d(inputs, outputs, 3, 2, 1), nn.LeakyReLU(0.2))
            ]
        )
        self.latent = nn.Conv2d(channels[-1], latent, 2)

    @property
    def heads(self) -> tuple[nn.Module, ...]:
        """The output layers."""
        return (self.latent,)

    def forward(self, crop: Tensor) -> Tensor:
        """(B, 1, 128, 128) in [−1, 1] → (B, 20): the mean over the last map."""
        return self.latent(self.features(crop)).mean((2, 3))


class LSPSRegressor(nn.Module):
    """The network at inference: G_y(P(x)). It predicts joints only, neither whether there is a hand nor its side."""

    def __init__(self, posterior: Posterior, vae: PoseVAE) -> None:
        super().__init__()
        self.posterior, self.vae = posterior, vae

    def forward(self, crop: Tensor) -> Tensor:
        """(B, 1, 128, 128) → (B, 21, 3) normalised joints."""
        return self.vae.decode(self.posterior(crop))


@dataclasses.dataclass(frozen=True)
class VotingConfig:
    """Size of `VotingPoseNet`."""

    size: int = 96
    """Side of the square crop, pixels."""
    widths: tuple[int, int, int, int] = (24, 48, 96, 192)
    blocks: tuple[int, int, int] = (1, 3, 4)
    head: int = 128
    joints: int = 21


class VotingPoseNet(nn.Module):
    """Each cell of a coarse grid votes for each joint, with a weight.

    Votes keep the translation equivariance of the convolutions (`voted_places`), which the single feature vector of a
    plain regressor loses. The network also predicts whether the crop shows a hand, whether it is a right hand, and the
    error of each joint.
    """

    def __init__(self, config: VotingConfig | None = None) -> None:
        super().__init__()
        config = config or VotingConfig()
        self.config = config
        a, b, c, d = config.widths
        self.stem = nn.Sequential(
            ConvNormAct(1, a, 5, 2), ConvNormAct(a, b, 3, 2), *[Residual(b) for _ in range(config.blocks[0])]
        )
        self.middle = nn.Sequential(ConvNormAct(b, c, 3, 2), *[Residual(c) for _ in range(config.blocks[1])])
        self.deep = nn.Sequential(ConvNormAct(c, d, 3, 2), *[Residual(d) for _ in range(config.blocks[2])])
        self.lateral = ConvNormAct(c, config.head, 1)
        self.lift = ConvNormAct(d, config.head, 1)
        self.merge = nn.Sequential(ConvNormAct(config.head, config.head), ConvNormAct(config.head, config.head))
        self.votes = nn.Conv2d(config.head, 4 * config.joints, 1)
        self.verdict = nn.Sequential(nn.Linear(d, 96), nn.ReLU(inplace=True), nn.Linear(96, 2 + config.joints))
        self.register_buffer('grid', vote_grid(config.size // 8), persistent=False)

    @property
    def heads(self) -> tuple[nn.Module, ...]:
        """The output layers."""
        return self.votes, self.verdict[-1]

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, 1, S, S) in [−1, 1] →

        joints (B, 21, 3) normalised; spread (B, 21), the expected error of each joint, normalised;
        hand (B, 1) and right (B, 1), probabilities.
        """
        fine = self.middle(self.stem(crop))
        coarse = self.deep(fine)
        lifted = nn.functional.interpolate(self.lift(coarse), scale_factor=2.0, mode='nearest')
        position, _ = voted_places(self.votes(self.merge(self.lateral(fine) + lifted)), self.grid)
        verdict = self.verdict(coarse.mean((2, 3))).float()
        spread = torch.exp(verdict[:, 2:].clamp(-7, 1))
        probability = torch.sigmoid(verdict[:, :2])
        return position, spread, probability[:, :1], probability[:, 1:]
