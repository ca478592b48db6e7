# SPDX-License-Identifier: Apache-2.0
"""ResNet-18 as an image encoder (He et al., "Deep Residual Learning for Image Recognition", 2016, table 1)."""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor

from training.networks.blocks import ConvNormAct


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut, which is a 1 × 1 convolution if the shape changes (option B)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvNormAct(inputs, outputs, 3, stride)
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs))
        same = inputs == outputs and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )
        # A block that starts as its shortcut passes the gradient from the first step of a training from scratch.
        nn.init.zeros_(self.second[1].weight)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.second(self.first(x)))


class ResNetEncoder(nn.Module):
    """ResNet without its classifier: returns the maps of its last three stages.

    Args:
        widths: channels of the four stages, the last the number of features; 64, 128, 256, 512 in ResNet-18.
        blocks: basic blocks of the stages; two of each in ResNet-18.

    Attributes:
        frozen: keeps it in evaluation mode, so that its statistics do not follow the batches.
    """

    def __init__(
        self, widths: tuple[int, int, int, int] = (64, 128, 256, 512), blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    ) -> None:
        super().__init__()
        self.features = widths[-1]
        self.frozen = False
        self.stem = nn.Sequential(ConvNormAct(3, widths[0], 7, 2), nn.MaxPool2d(3, 2, 1))
        # Named by stage and block, so that a deeper encoder can load the weights of a shallower one.
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(
                    BasicBlock(inputs if not block else width, width, 2 if stage and not block else 1)
                    for block in range(count)
                )
            )
            for stage, (inputs, width, count) in enumerate(zip((widths[0], *widths), widths, blocks))
        )

    def train(self, mode: bool = True) -> ResNetEncoder:
        return super().train(mode and not self.frozen)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, H, W) → (B, C₂, H/8, W/8), (B, C₃, H/16, W/16) and (B, features, H/32, W/32); H and W are best
        multiples of 32."""
        first, second, third, fourth = self.stages
        detail = second(first(self.stem(image)))
        fine = third(detail)
        return detail, fine, fourth(fine)
