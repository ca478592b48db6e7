# SPDX-License-Identifier: Apache-2.0
"""Muon: an optimiser with orthogonalised steps for the weights of hidden layers."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable

import torch
from torch import Tensor

_COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""Coefficients of the quintic iteration (Jordan et al., 2024)."""
_ROUNDS = 5
"""Iterations of a step."""


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum steps for the weights of linear layers and convolutions; Adam for the rest.

    Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with the scale and the decoupled
    weight decay of Liu et al., "Muon is Scalable for LLM Training" (2025), which make learning rates of AdamW
    applicable. `torch.optim.Muon` does not support convolutions.

    Args:
        parameters: of a network, or parameter groups. Parameters of two or more dimensions are matrices with a row an
            output, except in groups with `matrices` False, which suits the last layers of a network.
        lr: learning rate.
        weight_decay: share of a weight that a step of rate 1 removes.
        momentum: of the matrices.
        betas: of Adam.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | Iterable[dict],
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        super().__init__(
            parameters, {'lr': lr, 'weight_decay': weight_decay, 'momentum': momentum, 'betas': betas, 'matrices': True}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One step; `closure`, if given, evaluates the loss again."""
        with torch.enable_grad():
            loss = closure() if closure else None
        for group in self.param_groups:
            for weight in group['params']:
                if weight.grad is not None:
                    turns = weight.ndim > 1 and group['matrices']
                    way = self._turned(weight, group) if turns else self._scaled(weight, group)
                    weight.mul_(1 - group['lr'] * group['weight_decay']).sub_(way, alpha=group['lr'])
        return loss

    def _turned(self, weight: Tensor, group: dict) -> Tensor:
        state = self.state[weight]
        mean = state.setdefault('momentum', torch.zeros_like(weight))
        mean.lerp_(weight.grad, 1 - group['momentum'])
        matrix = weight.grad.lerp(mean, group['momentum']).flatten(1)
        # At this scale the root mean square of a step is that of a typical step of Adam.
        return (0.2 * max(matrix.shape) ** 0.5 * orthogonal(matrix)).reshape(weight.shape)

    def _scaled(self, weight: Tensor, group: dict) -> Tensor:
        state, (first, second) = self.state[weight], group['betas']
        mean = state.setdefault('mean', torch.zeros_like(weight)).lerp_(weight.grad, 1 - first)
        square = state.setdefault('square', torch.zeros_like(weight)).lerp_(weight.grad.square(), 1 - second)
        state['steps'] = count = state.get('steps', 0) + 1
        return mean / (1 - first**count) / (square / (1 - second**count)).sqrt().add(1e-8)


def orthogonal(matrix: Tensor) -> Tensor:
    """Approximately the nearest matrix (N, M) with equal singular values: the result's lie between 0.7 and 1.2, except
    those that were almost zero.

    Five rounds of the quintic iteration of Jordan et al. (2024), computed on the smaller Gram matrix, with which the
    factor of each round, a polynomial of it, commutes.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.mT if tall else matrix
    wide = wide / (wide.norm() + 1e-12)
    gram = wide @ wide.mT
    identity = turn = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    for _ in range(_ROUNDS):
        a, b, c = _COEFFICIENTS
        factor = a * identity + b * gram + c * gram @ gram
        turn, gram = factor @ turn, factor @ gram @ factor
    return (turn @ wide).mT if tall else turn @ wide
