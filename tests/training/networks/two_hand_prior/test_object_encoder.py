# SPDX-License-Identifier: Apache-2.0
"""The object encoder does not depend on the order of the points, learns in every weight, and has the paper's width."""

import numpy as np
import pytest
import torch

from hoi_ros.stages.parts.object_points import COUNT
from hoi_ros.stages.parts.object_points import grouped
from training.networks.two_hand_prior.object_encoder import ObjectEncoder


def inputs(points: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(points.astype(np.float32)), *map(torch.from_numpy, grouped(points))]


def test_the_embedding_does_not_depend_on_the_order_of_points() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(2, COUNT, 3))
    torch.manual_seed(0)
    encoder = ObjectEncoder(128, 16).eval()
    with torch.no_grad():
        first, again = encoder(*inputs(points)), encoder(*inputs(points[:, rng.permutation(COUNT)]))
        other = encoder(*inputs(1.5 * points))
    assert first.shape == (2, 128)
    torch.testing.assert_close(first, again, atol=1e-5, rtol=1e-4)
    assert (first - other).abs().max() > 1e-3


def test_every_weight_learns() -> None:
    points = np.random.default_rng(1).normal(size=(3, COUNT, 3))
    encoder = ObjectEncoder(32, 8)
    encoder(*inputs(points)).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in encoder.parameters())
    assert sum(bool(weight.grad.any()) for weight in encoder.parameters()) == len(list(encoder.parameters()))


def test_the_paper_embeds_in_512_numbers() -> None:
    encoder = ObjectEncoder()
    assert encoder.last.out_features == 512
    assert sum(weight.numel() for weight in encoder.parameters()) == pytest.approx(1.6e6, rel=0.01)
