# SPDX-License-Identifier: Apache-2.0
"""PointNet (Qi et al., CVPR 2017), at the widths of GraspTTA's contact network (Jiang et al., ICCV 2021)."""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.hand.contact_cloud import FEATURES
from training.networks.contact.bins import BINS
from training.networks.contact.layers import PointMlp
from training.networks.contact.neighbours import rows_at


class PointNet(nn.Module):
    """The points alone through one MLP, their maximum, and an MLP of both; a learned turn of the positions comes first.

    GraspTTA encodes hand and object by themselves and mixes them by a layer over the numbers of the points, which fixes
    their order; here one encoder sees both, told apart by the feature of the hand.
    """

    def __init__(self) -> None:
        super().__init__()
        width = 3 + FEATURES
        self.turn = PointMlp((width, 64, 128, 1024))
        self.turn_head = nn.Sequential(PointMlp((1024, 512, 256)), nn.Linear(256, 9))
        nn.init.zeros_(self.turn_head[1].weight)
        nn.init.zeros_(self.turn_head[1].bias)
        self.local = PointMlp((width, 64))
        self.whole = PointMlp((64, 128, 1024))
        self.mlp = PointMlp((1088, 512, 256, 128), 0.5, (1, 2))
        self.bins = nn.Linear(128, BINS)

    def forward(self, points: Tensor, features: Tensor, centres: Tensor | None = None) -> Tensor:
        """(B, M, 10) logits; arguments as of `GcnContact`."""
        pooled = self.turn(torch.cat([points, features], -1)).amax(1)
        turn = self.turn_head(pooled).reshape(-1, 3, 3) + torch.eye(3, device=points.device)
        local = self.local(torch.cat([points @ turn, features], -1))
        whole = self.whole(local).amax(1)
        if centres is not None:
            local = rows_at(local, centres[..., None])[:, :, 0]
        # The first layer of (whole, local), with the part of the whole computed once.
        first = self.mlp.linears[0]
        of_whole, of_local = first.weight.split([1024, 64], 1)
        x = F.linear(whole, of_whole, first.bias)[:, None] + F.linear(local, of_local)
        return self.bins(self.mlp.after_first(x))
