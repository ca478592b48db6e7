# SPDX-License-Identifier: Apache-2.0
"""Building blocks of several networks."""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor


class ConvNormAct(nn.Sequential):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3 × 3 convolutions beside an identity (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNormAct(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        nn.init.zeros_(self.second[1].weight)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


def vote_grid(cells: int) -> Tensor:
    """(1, 1, cells², 3) positions of the cells of a map: half maps right and down of the centre, and 0."""
    line = (torch.arange(cells) + 0.5) * 2 / cells - 1
    grid = torch.stack(torch.meshgrid(line, line, indexing='xy'), -1).reshape(1, 1, cells * cells, 2)
    return torch.cat([grid, torch.zeros_like(grid[..., :1])], -1)


def voted_places(votes: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean of the votes of a map's cells for each joint.

    After the anchors of Xiong et al., "A2J" (ICCV 2019), with all three coordinates from the same cells.

    Args:
        votes: (B, 4 J, cells, cells), for each joint an offset from the cell's position (2), a third coordinate and the
            log weight.
        grid: from `vote_grid`.

    Returns:
        (B, J, 3) positions and (B, J, cells²) log weights, not normalised.
    """
    votes = votes.reshape(votes.shape[0], votes.shape[1] // 4, 4, -1).float()
    weights = votes[:, :, 3]
    places = votes[:, :, :3].transpose(2, 3) + grid
    return (places * torch.softmax(weights, -1)[..., None]).sum(2), weights
