# SPDX-License-Identifier: Apache-2.0
"""Steps of Muon against SciPy's polar factor for matrices and PyTorch's Adam for the rest."""

import numpy as np
import pytest
import torch
from scipy.linalg import polar

from training.loop.muon import Muon
from training.loop.muon import orthogonal


@pytest.mark.parametrize('shape', [(48, 200), (200, 48), (24, 25)])
def test_orthogonal_approximates_the_polar_factor(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    ours, factor = orthogonal(matrix).numpy().astype(float), polar(matrix.numpy().astype(float))[0]
    # With equal singular vectors the product is symmetric; the singular values are about one.
    product = ours @ factor.T if shape[0] <= shape[1] else factor.T @ ours
    np.testing.assert_allclose(product, product.T, atol=1e-4)
    values = np.linalg.svd(ours, compute_uv=False)
    assert values.max() < 1.25 and np.median(values) > 0.65
    if shape != (24, 25):  # singular values of a square matrix near zero stay small after five rounds
        assert values.min() > 0.65


@pytest.mark.parametrize('shape', [(6,), (2, 3)])
def test_vectors_and_last_layers_follow_adam(shape: tuple[int, ...]) -> None:
    start, gradients = (
        torch.linspace(-1, 1, 6).reshape(shape),
        torch.randn(6, *shape, generator=torch.Generator().manual_seed(2)),
    )
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimizers = (
        Muon([{'params': [ours], 'matrices': len(shape) == 1}], lr=0.01, weight_decay=0.1),
        torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1),
    )
    for gradient in gradients:
        for weight, optimizer in zip((ours, theirs), optimizers):
            weight.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_the_step_of_a_convolution_is_as_large_as_that_of_adam() -> None:
    weight = torch.nn.Parameter(torch.zeros(32, 16, 3, 3))
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)) * 1e-4
    Muon([weight], lr=1e-3).step()
    assert 0.15e-3 < weight.detach().square().mean().sqrt() < 0.25e-3
    assert (weight.detach() * weight.grad).sum() < 0


def test_weights_without_a_gradient_stay() -> None:
    still, moved = torch.nn.Parameter(torch.ones(3, 3)), torch.nn.Parameter(torch.ones(3, 3))
    optimizer = Muon([still, moved], lr=0.1, weight_decay=0.1)
    moved.square().sum().backward()
    optimizer.step()
    assert torch.equal(still, torch.ones(3, 3)) and not torch.equal(moved, torch.ones(3, 3))
