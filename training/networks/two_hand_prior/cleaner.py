# SPDX-License-Identifier: Apache-2.0
"""A network that takes two hands as an estimate has them, intersecting or apart, to clean ones in one step."""

from __future__ import annotations

from torch import nn
from torch import Tensor

from training.networks.two_hand_prior.joint import WholePairDenoiser
from training.networks.two_hand_prior.trunk import DenoiserConfig

CLEAN_COMMAND = 'train two_hand_prior_clean'
CLEANER = DenoiserConfig(dropout=0.0, object_width=0)
_SPREAD = 0.65
"""Noise of level 1 in standard deviations of the clean numbers, about."""
_TIMES = 256
"""Of level 1, as the denoiser takes times."""


class PairCleaner(WholePairDenoiser):
    """Adds what the denoiser of 128 numbers finds to the best guess that is linear in each number (Karras et al.,
    "Elucidating the design space of diffusion-based generative models", 2022)."""

    def __init__(self) -> None:
        super().__init__(CLEANER)
        for weight in self.trunk.last.parameters():
            nn.init.zeros_(weight)

    def forward(self, noisy: Tensor, level: Tensor) -> Tensor:
        """(B, 128) whitened clean pairs of noisy ones (B, 128) at levels (B, 1) of the noise, 0 to 1."""
        spread = _SPREAD * level
        kept = 1 / (1 + spread**2)
        return kept * self.numbers * noisy + spread * kept.sqrt() * super().forward(noisy, _TIMES * level)
