# SPDX-License-Identifier: Apache-2.0
"""Losses that several recipes share."""

from __future__ import annotations

from torch import Tensor


def heat_map_loss(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Penalty-reduced focal loss of a heat map (Law & Deng, "CornerNet", 2018, equation 1), per peak of the target.

    Args:
        predicted: (B, 1, h, w) probabilities.
        target: (B, 1, h, w) 1 at the peaks, falling to 0 around them.
        weight: (B, 1, h, w) weight of each cell that is not a peak.
    """
    predicted = predicted.clamp(1e-5, 1 - 1e-5)
    at_peak = (target >= 1).float()
    peaks = -((1 - predicted) ** 2) * predicted.log() * at_peak
    others = -(predicted**2) * (1 - predicted).log() * (1 - target) ** 4 * (1 - at_peak) * weight
    return (peaks + others).sum() / at_peak.sum().clamp(min=1)
