# SPDX-License-Identifier: Apache-2.0
"""The network that detects hands and held objects in a whole RGB image."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch import Tensor

from training.data.synthetic.rgb_frame_views import DETECTOR_HEIGHT
from training.data.synthetic.rgb_frame_views import DETECTOR_WIDTH
from training.networks.hand_finder import FinderConfig
from training.networks.hand_finder import HandFinderNet

RGB_FINDER = FinderConfig(
    height=DETECTOR_HEIGHT, width=DETECTOR_WIDTH, inputs=3, widths=(16, 32, 64, 128), head=48, outputs=10
)


class RgbMaps(NamedTuple):
    """Maps at a quarter of the image; h = H/4, w = W/4."""

    heat: Tensor
    """(B, 1, h, w) probability that a hand is centred in a cell."""
    square: Tensor
    """(B, 3, h, w) the hand's square: its centre right and down of the cell's (cells) and log(side / height)."""
    kind: Tensor
    """(B, 2, h, w) probabilities of a right hand and of a held object."""
    held: Tensor
    """(B, 4, h, w) left, top, right and bottom of the held object from the hand's centre, in sides of its square."""


class RgbDetectorNet(nn.Module):
    """The hourglass of the hand finder on RGB, with the output maps of `RgbMaps`."""

    def __init__(self, config: FinderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RGB_FINDER
        self.finder = HandFinderNet(config)

    @property
    def heads(self) -> tuple[nn.Module, ...]:
        """The output layers."""
        return self.finder.heads

    def forward(self, image: Tensor) -> RgbMaps:
        """(B, 3, H, W) RGB in [−1, 1]."""
        maps = self.finder.maps(image)
        return RgbMaps(torch.sigmoid(maps[:, :1]), maps[:, 1:4], torch.sigmoid(maps[:, 4:6]), maps[:, 6:10])
