# SPDX-License-Identifier: Apache-2.0
"""A denoiser of two layers with random weights, whose samples are diverse hands, some of them in each other."""

from __future__ import annotations

import numpy as np

from hoi_ros.hand.pair import SIZE
from hoi_ros.stages.parts.two_hand_sampler import Network

WIDTH = 8
"""Of the embedding of an object."""


def random_denoiser(seed: int = 0, hidden: int = 64) -> Network:
    """The inputs and the output of the model folder `two_hand_prior`."""
    random = np.random.default_rng(seed)
    first = random.standard_normal((2 * SIZE + WIDTH + 3, hidden)).astype(np.float32) / 8
    second = random.standard_normal((hidden, SIZE)).astype(np.float32) / 8

    def network(
        noisy: np.ndarray,
        time: np.ndarray,
        anchor: np.ndarray,
        has_anchor: np.ndarray,
        object: np.ndarray,
        has_object: np.ndarray,
    ) -> dict[str, np.ndarray]:
        numbers = np.concatenate([noisy, time / 256, anchor, has_anchor, object, has_object], 1)
        return {'clean': 0.3 * noisy + np.tanh(numbers @ first) @ second}

    return network
