# SPDX-License-Identifier: Apache-2.0
"""How plausible hands are to the two-hand prior.

A little of a hand's signal is taken away, as if it were noisy, and the network completes it. The more the hand changes,
the less it is like those that the network knows. The score is the share of held-out hands of the training data that
change more: about 0.5 for data, 0 for what is farther off than all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import ROOT
from hoi_ros.hand.pair import SHAPE
from hoi_ros.hand.pair import SIZE
from hoi_ros.stages.parts.diffusion import SIGNAL
from hoi_ros.stages.parts.two_hand_sampler import TwoHandSampler

QUANTILES = 21
"""Of the changes of held-out hands, from the least to the largest, that a card holds."""
_TIME = 48
"""Of the diffusion."""


def change_of(
    sampler: TwoHandSampler, right: np.ndarray, left: np.ndarray | None = None, feature: np.ndarray | None = None
) -> np.ndarray:
    """(B,) root mean square change of right hands (B, 64), in standard deviations.

    Args:
        sampler: its network and whitening.
        right: in the frame of the left hand's wrist, or of the object.
        left: (B, 64) the left hands that are given, likewise.
        feature: (E,) of the object.
    """
    about_object, whitening = feature is not None, sampler.whitening
    state = whitening.whiten(right, about_object)
    numbers = np.ones(SIZE, bool)
    # Shapes are those of persons, and hardly depend on anything.
    numbers[SHAPE] = False
    anchor = None
    if left is not None:
        anchor = whitening.whiten(left if about_object else anchored(left), about_object)
    elif not about_object:
        numbers[ROOT] = False
    clean = sampler.denoised((SIGNAL[_TIME] * state).astype(np.float32), _TIME, anchor, feature)
    return np.sqrt(((clean - state)[:, numbers] ** 2).mean(1))


def quantiles_of(changes: np.ndarray) -> list[float]:
    """What a card holds of the changes (N,) of held-out hands."""
    return [round(float(value), 5) for value in np.quantile(changes, np.linspace(0, 1, QUANTILES))]


def plausibility(changes: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    """(N,) scores, 0 to 1, of changes (N,)."""
    return 1 - np.interp(changes, quantiles, np.linspace(0, 1, len(quantiles)))
