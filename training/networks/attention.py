# SPDX-License-Identifier: Apache-2.0
"""Thresholded graph attention in O(N log N) (Tse et al., CVPR 2022, equations 7 and 8)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_SLOPE = 0.2
"""Slope of LeakyReLU for negative logits, as in graph attention networks (Veličković et al., 2018)."""


def attend(source: Tensor, target: Tensor, values: Tensor, threshold: float | None) -> Tensor:
    """Σ_{j ∈ N(i)} α_ij values_j with α of equation 7 and N(i) = {j : α_ij > threshold / N}, the sum of equation 8.

    The logit LeakyReLU(source_i + target_j) increases with target_j. In decreasing order of target the neighbours of
    any i are therefore a prefix, and so are the vertices with a positive logit. On either side of that boundary
    exp(logit) is the product of a factor of i and a factor of j, so that running sums over j give the exact sum of
    every i. The matrix α of a hand alone would take 16 MB a sample.

    Args:
        source: (..., N) first half of aᵀ times W v_i.
        target: (..., N) second half of aᵀ times W v_j.
        values: (..., N, D).
        threshold: τ; None sums over all j.

    Returns:
        (..., N, D). The gradient treats the neighbourhoods as fixed.
    """
    count = int(target.shape[-1])
    target, order = target.sort(-1, descending=True)
    values = values.gather(-2, order[..., None].expand(*order.shape, values.shape[-1]))
    summed = torch.cat([values, torch.ones_like(values[..., :1])], -1)
    highest = target[..., :1]
    peak = source + highest
    largest = F.leaky_relu(peak, _SLOPE)
    # Relative to the row's largest logit no exponential exceeds one.
    steep, flat = (peak - largest).exp()[..., None], (_SLOPE * peak - largest).exp()[..., None]
    near = _running_sums((target - highest).exp()[..., None] * summed)
    far = _running_sums((_SLOPE * (target - highest)).exp()[..., None] * summed)

    positive = _count_above(target, -source)
    total = steep * _rows(near[..., -1:], positive) + flat * (far[..., -1:, -1:] - _rows(far[..., -1:], positive))
    if threshold is None:
        bend, beyond = _rows(near, positive), far[..., -1:, :] - _rows(far, positive)
    else:
        logit = (total[..., 0] * (threshold / count)).log() + largest
        kept = _count_above(target, torch.minimum(logit, logit / _SLOPE) - source)
        bent = torch.minimum(kept, positive)
        bend, beyond = _rows(near, bent), _rows(far, kept) - _rows(far, bent)
    return (steep * bend + flat * beyond)[..., :-1] / total


def _running_sums(values: Tensor) -> Tensor:
    """(..., N, D) → (..., N + 1, D): row n is the sum of the first n."""
    return F.pad(values.cumsum(-2), (0, 0, 1, 0))


def _rows(table: Tensor, index: Tensor) -> Tensor:
    return table.gather(-2, index[..., None].expand(*index.shape, table.shape[-1]))


def _count_above(falling: Tensor, levels: Tensor) -> Tensor:
    """Number of entries of falling (..., N) above each of levels (..., M), by a binary search that ONNX can express."""
    count = int(falling.shape[-1])  # the ONNX tracer returns tensors as shapes
    step = 1 << (count.bit_length() - 1)
    padded = F.pad(falling, (0, 2 * step - 1 - count), value=-torch.inf)
    found = torch.zeros_like(levels, dtype=torch.int64)
    while step:
        found = found + step * (padded.gather(-1, found + (step - 1)) > levels)
        step >>= 1
    return found
