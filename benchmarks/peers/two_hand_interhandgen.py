# SPDX-License-Identifier: Apache-2.0
"""InterHandGen's sampling in PyTorch, to time the sampling of two hands beside it.

Lee et al., "InterHandGen: Two-Hand Interaction Generation via Cascaded Reverse Diffusion" (CVPR 2024): the network of
75.5 M parameters, untrained, since the time does not depend on the weights; 32 DDIM steps of the first hand, then 32 of
the second, each with a pass that is given the first hand and one that is not. The published guidance against
penetration, the vertices and the scores are left out, which is to its advantage.
"""

from __future__ import annotations

import numpy as np
import torch

from hoi_ros.hand.pair import SIZE
from hoi_ros.stages.parts.diffusion import sample
from hoi_ros.stages.parts.two_hand_sampler import PAPER_STEPS
from training.networks.two_hand_prior.choice import two_hand_network
from training.networks.two_hand_prior.choice import TwoHandNetwork


class InterHandGen:
    """Samples pairs of hands, in as many threads as PyTorch has.

    Args:
        network: 'paper', or a smaller one.
        steps: denoising steps of each hand.
        strength: of the classifier-free guidance.
    """

    def __init__(self, network: TwoHandNetwork = 'paper', steps: int = PAPER_STEPS, strength: float = 0.1) -> None:
        self.network = two_hand_network(network).eval()
        self.steps, self._strength = steps, strength

    def __call__(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """(count, 64) whitened second hands, and the first ones."""
        noises = np.random.default_rng(seed).standard_normal((2, count, SIZE), np.float32)
        nobody = np.zeros_like(noises[0])
        first = sample(lambda state, time: self._clean(state, time, nobody, 0.0), noises[0], self.steps)

        def guided(state: np.ndarray, time: int) -> np.ndarray:
            given, free = (self._clean(state, time, first, present) for present in (1.0, 0.0))
            return given + self._strength * (given - free)

        return sample(guided, noises[1], self.steps), first

    def _clean(self, state: np.ndarray, time: int, anchor: np.ndarray, present: float) -> np.ndarray:
        ones = torch.ones(len(state), 1)
        with torch.inference_mode():
            return self.network(torch.from_numpy(state), time * ones, torch.from_numpy(anchor), present * ones).numpy()
