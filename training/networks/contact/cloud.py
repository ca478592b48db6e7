# SPDX-License-Identifier: Apache-2.0
"""The cloud of `hoi_ros.hand.contact_cloud` for batches, in PyTorch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.hand.contact_cloud import INDEX
from hoi_ros.hand.contact_cloud import LITTLE
from hoi_ros.hand.contact_cloud import MIDDLE
from hoi_ros.hand.contact_cloud import UNIT
from hoi_ros.hand.contact_cloud import WRIST


class Cloud(NamedTuple):
    """Hands and objects as points, the hands' first; units and axes as of `ContactCloud`."""

    points: Tensor
    """(B, N, 3)."""
    features: Tensor
    """(B, N, 25)."""


def contact_clouds(
    hand_points: Tensor, hand_normals: Tensor, object_points: Tensor, object_normals: Tensor, keypoints: Tensor
) -> Cloud:
    """As `contact_cloud`, with a batch (B, ...) of each."""
    centroid = object_points.mean(1, keepdim=True)
    axes = palm_axes(keypoints)
    hand, thing, joints = ((part - centroid) @ axes / UNIT for part in (hand_points, object_points, keypoints))
    points = torch.cat([hand, thing], 1)
    normals = torch.cat([hand_normals, object_normals], 1) @ axes
    between = torch.cdist(hand, thing)
    other = torch.cat([_rows(thing, between.argmin(2)), _rows(hand, between.argmin(1))], 1)
    centre = torch.cat([thing.mean(1, keepdim=True).expand_as(hand), hand.mean(1, keepdim=True).expand_as(thing)], 1)
    offset = points - other
    is_hand = torch.zeros_like(points[..., 0])
    is_hand[:, : hand.shape[1]] = 1
    first = [is_hand, ((points - centre) * normals).sum(-1), offset.norm(dim=-1), (offset * normals).sum(-1)]
    return Cloud(points, torch.cat([torch.stack(first, -1), torch.cdist(points, joints)], -1))


def palm_axes(keypoints: Tensor) -> Tensor:
    """(B, 3, 3) axes as columns, of keypoints (B, 21, 3)."""
    along = F.normalize(keypoints[:, MIDDLE] - keypoints[:, WRIST], dim=-1)
    out = F.normalize(torch.cross(keypoints[:, INDEX] - keypoints[:, LITTLE], along, dim=-1), dim=-1)
    return torch.stack([torch.cross(along, out, dim=-1), along, out], -1)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """(B, V, 3) unit normals of meshes (B, V, 3), each the mean of its triangles' normals weighted by their areas.

    Args:
        vertices: (B, V, 3).
        faces: (F, 3) int64, counter-clockwise from outside.
    """
    corners = vertices[:, faces]
    normals = torch.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0], dim=-1)
    summed = torch.zeros_like(vertices).index_add_(1, faces.T.reshape(-1), normals.repeat(1, 3, 1))
    return F.normalize(summed, dim=-1)


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """(B, M, C) rows of values (B, N, C) at indices (B, M)."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))
