# SPDX-License-Identifier: Apache-2.0
"""Thresholded attention against the dense equations."""

import numpy as np
import pytest
import torch
from torch import nn

from training.networks.attention import attend


def coefficients(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Equation 7, entry by entry, for LeakyReLU with a slope of 0.2."""
    count = len(source)
    alpha = np.zeros((count, count))
    for i in range(count):
        for j in range(count):
            logit = source[i] + target[j]
            alpha[i, j] = np.exp(logit if logit > 0 else 0.2 * logit)
        alpha[i] /= alpha[i].sum()
    return alpha


@pytest.mark.parametrize('spread', [0.1, 1.0, 20.0])
@pytest.mark.parametrize('threshold', [None, 0.5, 1.0, 3.0])
def test_attention_is_equation_7(spread: float, threshold: float | None) -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(0, spread, (2, 3, 29))
    expected = np.stack([coefficients(*pair) for pair in zip(source, target)])
    if threshold is not None:
        expected[expected <= threshold / 29] = 0
    # The weighted sums of unit vectors are the coefficients.
    units = torch.eye(29, dtype=torch.float64).expand(3, -1, -1)
    found = attend(torch.tensor(source), torch.tensor(target), units, threshold).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    if threshold is None:
        np.testing.assert_allclose(found.sum(-1), 1, atol=1e-12)
    elif spread == 1.0:
        assert 0.02 < (found > 0).mean() < 0.98, 'the threshold keeps or drops nearly everything'


def test_large_logits_do_not_overflow() -> None:
    source, target = torch.tensor([[300.0, -300.0]]), torch.tensor([[250.0, -800.0]])
    found = attend(source, target, torch.eye(2)[None], None)
    torch.testing.assert_close(found, torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]))


def test_the_gradient_of_attention_is_that_of_the_dense_sum() -> None:
    rng = torch.Generator().manual_seed(4)
    source, target = (torch.randn(2, 17, generator=rng, dtype=torch.float64).requires_grad_() for _ in range(2))
    values = torch.randn(2, 17, 3, generator=rng, dtype=torch.float64).requires_grad_()
    alpha = torch.softmax(nn.functional.leaky_relu(source[..., None] + target[:, None], 0.2), -1)
    dense = (alpha * (alpha > 1 / 17)) @ values
    ours = attend(source, target, values, 1.0)
    weight = torch.randn(dense.shape, generator=rng, dtype=torch.float64)
    for found, expected in zip(
        torch.autograd.grad((ours * weight).sum(), (source, target, values)),
        torch.autograd.grad((dense * weight).sum(), (source, target, values)),
    ):
        torch.testing.assert_close(found, expected)
