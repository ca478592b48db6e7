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
from hoi_ros.hand.model import HandModel
from training.networks.contact.neighbours import nearest
from training.networks.contact.neighbours import rows_at


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
    other = torch.cat([rows_at(thing, nearest(thing, hand, 1)), rows_at(hand, nearest(hand, thing, 1))], 1)[:, :, 0]
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


def grasp_clouds(
    hand: HandModel,
    pose: Tensor,
    shape: Tensor,
    translation: Tensor,
    object_points: Tensor,
    object_normals: Tensor,
    rows: Tensor | None = None,
) -> Cloud:
    """The clouds of right hands and objects; no gradient passes.

    Args:
        hand: the right hand in PyTorch tensors.
        pose: (B, 48).
        shape: (B, 10).
        translation: (B, 3) metres.
        object_points: (B, M, 3) metres, in the frame of the translation.
        object_normals: (B, M, 3) unit normals, outwards.
        rows: (B, N) points that are in the clouds, counted with the hand's first; the others count in the features
            only. All by default.
    """
    with torch.no_grad():
        vertices, keypoints, _ = hand.forward(pose, shape, translation)
        normals = vertex_normals(vertices, hand.faces.long())
        cloud = contact_clouds(vertices, normals, object_points, object_normals, keypoints)
        return cloud if rows is None else Cloud(*(rows_at(part, rows[..., None])[:, :, 0] for part in cloud))


def transformed(cloud: Cloud, scale: Tensor, mirrored: Tensor) -> Cloud:
    """The clouds of scaled and mirrored hands and objects: the transformation of S²Contact's equation 3.

    Rotations do nothing, since the palm gives the axes. All reflections of the input are one and the same, that of the
    palm's normal; it does not change the features.

    Args:
        cloud: B of them.
        scale: (B,) factors.
        mirrored: (B,) bool.
    """
    factor = scale[:, None, None]
    signs = torch.ones_like(cloud.points[:, :1])
    signs[mirrored, :, 2] = -1
    features = torch.cat([cloud.features[..., :1], cloud.features[..., 1:] * factor], -1)
    return Cloud(cloud.points * factor * signs, features)
