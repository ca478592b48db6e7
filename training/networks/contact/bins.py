# SPDX-License-Identifier: Apache-2.0
"""Contact in ten bins, as in ContactOpt (Grady et al., CVPR 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

BINS = 10
BIN_WEIGHTS = (0.1763, 0.4478, 1.9006, 3.7655, 5.3417, 5.9702, 6.1896, 5.4109, 3.7429, 2.9883)
"""Weights of the bins in ContactOpt's loss, for the thermal contact of ContactPose."""
Decoding = Literal['expectation', 'mode']
"""expectation: the mean of the bins' centres. mode: the centre of the likeliest bin."""


def bin_of(contact: Tensor) -> Tensor:
    """The bin of each contact in [0, 1], int64."""
    return (contact * BINS).long().clamp(0, BINS - 1)


def decoded(logits: Tensor, prior: Tensor | None = None, decoding: Decoding = 'expectation') -> Tensor:
    """(...) contact in [0, 1] of logits (..., 10).

    Args:
        logits: of the bins.
        prior: (10,) is subtracted from the logits, see `prior_of`.
        decoding: of the probabilities.
    """
    logits = logits if prior is None else logits - prior
    if decoding == 'mode':
        return (logits.argmax(-1) + 0.5) / BINS
    centres = (torch.arange(BINS, device=logits.device) + 0.5) / BINS
    return torch.softmax(logits, -1) @ centres


def prior_of(weights: Sequence[float], removed: float) -> Tensor:
    """(10,) how much the weights of the bins in the loss raised their logits.

    A network that minimises a cross-entropy of weighted bins gives probabilities in proportion to weight and frequency.
    Dividing by the weights gives the true ones, whose mean is seldom high where the noise is large.

    Args:
        weights: of the ten bins in the loss.
        removed: power of the weights that is divided out, 0 to 1.
    """
    return removed * torch.tensor(weights).log()
