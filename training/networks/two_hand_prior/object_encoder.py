# SPDX-License-Identifier: Apache-2.0
"""The object encoder of the two-hand prior: PointNet++ (Qi et al., NeurIPS 2017) with single-scale set abstraction.

InterHandGen embeds an object in 512 numbers (S.4). The groups of the points are inputs: `grouped` of
`hoi_ros.stages.parts.object_points` finds them, since farthest points and balls do not belong in a graph.

The inputs of the exported graph, in order, batch first:

    points             (B, 512, 3) float32, units of UNIT (0.1 m), in the object's frame
    centres            (B, 64) int32
    neighbours         (B, 64, 16) int32
    coarse_centres     (B, 16) int32
    coarse_neighbours  (B, 16, 16) int32
"""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from training.networks.contact.layers import MaxEdges
from training.networks.contact.layers import PointMlp
from training.networks.contact.neighbours import rows_at


class ObjectEncoder(nn.Module):
    """Two set abstractions, a global one, and two linear layers.

    Args:
        embedding: numbers of the result: 512 in the paper, 128 beside the small denoiser.
        width: of the first layer: 64 in PointNet++, with 1.5 million parameters; the others are multiples. 32 costs a
            quarter.
    """

    def __init__(self, embedding: int = 512, width: int = 64) -> None:
        super().__init__()
        self.fine = MaxEdges((3, width, width, 2 * width))
        self.coarse = MaxEdges((2 * width + 3, 2 * width, 2 * width, 4 * width))
        self.whole = PointMlp((4 * width + 3, 4 * width, 8 * width, 16 * width))
        self.hidden = PointMlp((16 * width, 8 * width))
        self.last = nn.Linear(8 * width, embedding)

    def forward(
        self, points: Tensor, centres: Tensor, neighbours: Tensor, coarse_centres: Tensor, coarse_neighbours: Tensor
    ) -> Tensor:
        """(B, embedding); arguments as above."""
        fine_points, fine = _abstracted(self.fine, points, None, centres.long(), neighbours.long())
        around = coarse_centres.long(), coarse_neighbours.long()
        coarse_points, coarse = _abstracted(self.coarse, fine_points, fine, *around)
        whole = self.whole(torch.cat([coarse, coarse_points], -1)).amax(1)
        return self.last(self.hidden(whole))


def _abstracted(
    edges: MaxEdges, points: Tensor, features: Tensor | None, centres: Tensor, neighbours: Tensor
) -> tuple[Tensor, Tensor]:
    """Points (B, N, 3) and features (B, N, C) → centres (B, M, 3) and the largest of an MLP (B, M, C′) around each."""
    kept = rows_at(points, centres[..., None])[:, :, 0]
    first = edges.mlp.linears[0]
    of_features, of_offset = first.weight.split([first.in_features - 3, 3], 1)
    # The first layer of (features, p − c) is computed once a point, and once a centre.
    each = F.linear(points, of_offset, first.bias)
    if features is not None:
        each = each + F.linear(features, of_features)
    return kept, edges(rows_at(each, neighbours) - F.linear(kept, of_offset)[:, :, None])
