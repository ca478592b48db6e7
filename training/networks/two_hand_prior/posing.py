# SPDX-License-Identifier: Apache-2.0
"""Hands of the two-hand prior posed from their vectors, in PyTorch."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import POSE
from hoi_ros.hand.pair import ROTATION
from hoi_ros.hand.pair import SHAPE


class PosedHand(NamedTuple):
    """Vertices (..., V, 3) and keypoints (..., 21, 3), metres."""

    vertices: Tensor
    keypoints: Tensor


def posed(right_hand: HandModel, vector: Tensor, left: bool = False, vertices: bool = True) -> PosedHand:
    """Poses hands in the frame of their vectors; the same as `hoi_ros.hand.pair.parameters_of` and the hand model.

    Args:
        right_hand: the right hand in tensors, for both sides.
        vector: (..., 64) of `hoi_ros.hand.pair`; the six numbers of the rotation need not be orthonormal.
        left: whether they are left hands.
        vertices: whether to skin the mesh.
    """
    fingers, shape = vector[..., POSE], vector[..., SHAPE]
    wrist = right_hand.wrist(shape)
    pose = torch.cat([torch.zeros_like(fingers[..., :3]), fingers], -1)
    own = right_hand.forward(pose, shape, -wrist, vertices)
    # Both sides have the fingers of a right hand: about its wrist, a left hand is the mirror image.
    sides = vector.new_tensor([-1 if left else 1, 1, 1])
    turn = rotation_matrix(vector[..., ROTATION]).transpose(-1, -2) * sides[:, None]
    return PosedHand(*(part @ turn + vector[..., None, PLACE] for part in (own.vertices, own.keypoints)))


def rotation_matrix(six: Tensor) -> Tensor:
    """(..., 3, 3) rotations whose first two columns are six numbers (..., 6), made orthonormal."""
    first = F.normalize(six[..., :3], dim=-1)
    second = F.normalize(six[..., 3:] - (first * six[..., 3:]).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def of_vertices(model: HandModel, rows: Tensor) -> HandModel:
    """A hand in tensors that has only some of its vertices (N,), and no triangles."""
    names = 'template', 'shape_basis', 'weights', 'pose_basis'
    kept = {name: getattr(model, name) for name in names}
    return dataclasses.replace(
        model, faces=model.faces[:0], **{name: value[rows] for name, value in kept.items() if value is not None}
    )
