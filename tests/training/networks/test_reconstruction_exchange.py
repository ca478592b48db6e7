# SPDX-License-Identifier: Apache-2.0
"""The exchange between the branches against equation 8, and its gradients."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor

from hoi_ros.hand import HandModel
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import ReconstructionConfig
from training.networks.reconstruction_exchange import AttentionExchange

EXCHANGES = ('attention', 'gcn', 'spiral', 'late')


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


def test_the_exchange_is_equation_8() -> None:
    torch.manual_seed(2)
    count, features, heads, threshold = 11, 5, 3, 0.9
    exchange = (
        AttentionExchange(count, 7, ReconstructionConfig(features=features, heads=heads, threshold=threshold, slots=2))
        .double()
        .eval()
    )
    for parameter in (exchange.resize.weight, exchange.standard[1].running_mean):
        nn.init.normal_(parameter)
    for parameter in (exchange.norm.weight, exchange.standard[1].running_var):
        nn.init.uniform_(parameter, 0.5, 1.5)
    nn.init.normal_(exchange.norm.bias)
    vertices = torch.randn(2, count, 3, dtype=torch.float64) * 0.1
    before = torch.randn(2, count, features, dtype=torch.float64)
    with torch.no_grad():
        message, history = exchange(vertices, before, 1)

    w, a = exchange.weight.detach().numpy(), exchange.attention.detach().numpy()
    expected = np.zeros((2, count, features))
    for sample in range(2):
        total = before[sample].numpy().copy()
        for head in range(heads):
            lifted = vertices[sample].numpy() / 0.1 @ w[head].T
            alpha = coefficients(lifted @ a[head, 0], lifted @ a[head, 1])
            for i in range(count):
                for j in range(count):
                    if alpha[i, j] > threshold / count:
                        total[i] += alpha[i, j] * lifted[j] / heads
        centred = total - total.mean(1, keepdims=True)
        scale = exchange.norm.weight.detach().numpy() / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
        expected[sample] = centred * scale + exchange.norm.bias.detach().numpy()
    np.testing.assert_allclose(history.numpy(), expected, atol=1e-9)
    pooled = np.einsum('mn,bnf->bmf', exchange.pool.detach().numpy(), expected).reshape(2, -1)
    standard = (pooled - exchange.standard[1].running_mean.numpy()) / np.sqrt(
        exchange.standard[1].running_var.numpy() + 0.1
    )
    np.testing.assert_allclose(
        message.numpy(), standard @ exchange.resize.weight.detach().numpy().T / np.sqrt(2 * features), atol=1e-9
    )


@pytest.mark.parametrize('exchange', EXCHANGES)
def test_gradients_reach_the_other_branch_through_the_exchange(
    hand: HandModel, exchange: str, small: Callable[..., ReconstructionNet], images: Callable[..., Tensor]
) -> None:
    network = small(hand, exchange=exchange, iterations=1)
    result = network(images(2))
    for output, across in (
        (result.hands[-1].keypoints, network.object_encoder),
        (result.objects[-1], network.hand_encoder),
    ):
        weights = list(across.parameters())
        gradients = torch.autograd.grad(output.square().sum(), weights, retain_graph=True)
        assert all(gradient.any() for gradient in gradients)


def test_the_baseline_exchanges_nothing(
    hand: HandModel, small: Callable[..., ReconstructionNet], images: Callable[..., Tensor]
) -> None:
    for iterations, alike in ((0, True), (1, False)):
        network = small(hand, iterations=iterations).eval()
        with torch.no_grad():
            before = network(images(2))
            for parameter in network.hand_encoder.parameters():
                parameter.mul_(0.5)
            after = network(images(2))
        assert torch.equal(before.objects[-1], after.objects[-1]) == alike
        assert not torch.equal(before.hands[-1].keypoints, after.hands[-1].keypoints)
        assert len(before.hand_messages) == iterations
    assert not any('from_' in name for name, _ in small(hand, iterations=0).named_parameters())
