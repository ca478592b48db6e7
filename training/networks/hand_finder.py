# SPDX-License-Identifier: Apache-2.0
"""The network that detects hands in a whole depth image."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn
from torch import Tensor

from training.networks.blocks import ConvNormAct
from training.networks.blocks import Residual


@dataclasses.dataclass(frozen=True)
class FinderConfig:
    """Size of `HandFinderNet`."""

    height: int = 120
    width: int = 160
    inputs: int = 2
    """Channels of the image: scaled depth and validity, or RGB."""
    widths: tuple[int, int, int, int] = (16, 40, 80, 128)
    head: int = 56
    outputs: int = 4
    """Output maps; the first one is the logit of the heat."""


class HandFinderNet(nn.Module):
    """Maps at a quarter of the resolution: the probability of a hand's centre, its offset and its depth.

    An hourglass of residual blocks with the output maps of Zhou et al., "Objects as Points" (2019). It does not predict
    the side, which stayed at chance at this resolution; the pose network, which receives the hand six times larger,
    does.
    """

    def __init__(self, config: FinderConfig | None = None) -> None:
        super().__init__()
        config = config or FinderConfig()
        a, b, c, d = config.widths
        self.quarter = nn.Sequential(ConvNormAct(config.inputs, a, 5, 2), ConvNormAct(a, b, 3, 2), Residual(b))
        self.eighth = nn.Sequential(ConvNormAct(b, c, 3, 2), Residual(c), Residual(c))
        self.sixteenth = nn.Sequential(ConvNormAct(c, d, 3, 2), Residual(d), Residual(d), Residual(d))
        self.lift_deep = ConvNormAct(d, c, 1)
        self.merge_deep = ConvNormAct(c, c)
        self.lift = ConvNormAct(c, config.head, 1)
        self.lateral = ConvNormAct(b, config.head, 1)
        self.merge = ConvNormAct(config.head, config.head)
        self.output = nn.Conv2d(config.head, config.outputs, 1)
        nn.init.constant_(self.output.bias[:1], -4.0)

    @property
    def heads(self) -> tuple[nn.Module, ...]:
        """The output layers."""
        return (self.output,)

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) → heat (B, 1, H/4, W/4), probability that a hand is centred here; place (B, 3, H/4, W/4),
        offset from the cell's centre in cells and depth as (z − 0.7 m) · 2."""
        maps = self.maps(frame)
        return torch.sigmoid(maps[:, :1]), maps[:, 1:]

    def maps(self, frame: Tensor) -> Tensor:
        """(B, C, H, W) → all output maps (B, outputs, H/4, W/4), without activation."""
        quarter = self.quarter(frame)
        eighth = self.eighth(quarter)
        sixteenth = self.sixteenth(eighth)
        deep = nn.functional.interpolate(self.lift_deep(sixteenth), size=eighth.shape[-2:], mode='nearest')
        eighth = self.merge_deep(eighth + deep)
        lifted = nn.functional.interpolate(self.lift(eighth), size=quarter.shape[-2:], mode='nearest')
        return self.output(self.merge(self.lateral(quarter) + lifted)).float()
