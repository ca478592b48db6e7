# SPDX-License-Identifier: Apache-2.0
"""Points of hands and their derivatives by the numbers of a vector."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import parameters_of
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import POSE
from hoi_ros.hand.pair import ROTATION
from hoi_ros.hand.pair import SHAPE
from hoi_ros.hand.pair_surface import PairSurface
from hoi_ros.hand.pair_surface import spread_vertices
from hoi_ros.mesh.normals import vertex_normals

_HANDS = 3


def random_vectors() -> np.ndarray:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((_HANDS, 64)) * np.repeat([0.15, 1.0, 1.0, 0.1], [45, 10, 6, 3])
    return vectors.astype(np.float32)


def test_points_and_normals_are_those_of_the_hand_model() -> None:
    model, vectors = HandModel.load(), random_vectors()
    correctives = np.random.default_rng(1).normal(0, 1e-3, (len(model.template), 3, 135)).astype(np.float32)
    for hand in (model, dataclasses.replace(model, pose_basis=correctives)):
        expected = hand.forward(*parameters_of(hand, vectors))
        posed = PairSurface(hand).posed(vectors)
        points = np.concatenate([expected.vertices, expected.keypoints], 1)
        assert np.allclose(posed.points, points, atol=1e-6)
        normals = np.stack([vertex_normals(vertices, hand.faces) for vertices in expected.vertices])
        cosines = (posed.normals * normals).sum(-1) / np.linalg.norm(posed.normals, axis=-1)
        assert np.median(cosines) > 0.97 and np.percentile(cosines, 5) > np.cos(np.radians(30))
        some = spread_vertices(hand, 50)
        assert np.allclose(PairSurface(hand, some).posed(vectors).points[:, :50], points[:, some], atol=1e-6)


def test_derivatives_are_those_of_autograd() -> None:
    model, vectors = HandModel.load(), random_vectors()
    surface, random = PairSurface(model), np.random.default_rng(2)
    which = random.integers(0, surface.vertices + 21, (_HANDS, 5))
    directions = random.standard_normal((_HANDS, 5, 3)).astype(np.float32)
    rows = surface.rows(surface.posed(vectors), which, directions)

    def along(numbers: torch.Tensor) -> torch.Tensor:
        pose = torch.cat([numbers.new_zeros(_HANDS, 3), numbers[:, POSE]], 1)
        hand = model.to_torch(dtype=torch.float64)
        wrist = hand.wrist(numbers[:, SHAPE])
        posed = hand.forward(pose, numbers[:, SHAPE], -wrist)
        first = torch.nn.functional.normalize(numbers[:, ROTATION][:, :3], dim=1)
        second = numbers[:, ROTATION][:, 3:]
        second = torch.nn.functional.normalize(second - (first * second).sum(1, keepdim=True) * first, dim=1)
        turn = torch.stack([first, second, torch.linalg.cross(first, second)], -1)
        points = torch.cat([posed.vertices, posed.keypoints], 1) @ turn.mT + numbers[:, None, PLACE]
        picked = points.gather(1, torch.as_tensor(which)[..., None].expand(-1, -1, 3))
        return (picked * torch.as_tensor(directions)).sum(-1)

    jacobian = torch.autograd.functional.jacobian(along, torch.as_tensor(vectors, dtype=torch.float64))
    expected = torch.stack([jacobian[hand, :, hand] for hand in range(_HANDS)]).numpy()
    assert np.abs(expected[..., SHAPE]).max() > 0 and not rows[..., SHAPE].any()
    expected[..., SHAPE] = 0
    assert np.allclose(rows, expected, atol=2e-5)
