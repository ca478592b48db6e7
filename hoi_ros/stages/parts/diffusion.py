# SPDX-License-Identifier: Apache-2.0
"""The diffusion of the two-hand prior: the schedule of the noise, and deterministic sampling in few steps.

Follows InterHandGen (Lee et al., CVPR 2024, Algorithm 2 and supplement S.4.2): 256 times, variances from 1e-4 to 0.01.
That schedule alone keeps half of the signal at its end (√ᾱ = 0.52), so that noise is no start for it: it is stretched
until the signal ends at 0 (Lin et al., WACV 2024), which needs the prediction of the clean sample.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

TIMES = 256
_FIRST, _LAST = 1e-4, 0.01
"""Variances of the first and the last step."""

Denoise = Callable[[np.ndarray, int], np.ndarray]
"""Noisy samples (B, 64) and their time → clean samples (B, 64), all whitened."""
Guide = Callable[[np.ndarray, int], np.ndarray]
"""Clean samples (B, 64), and the number of steps that follow → by how much they are moved (B, 64)."""


def signal_levels(times: int = TIMES) -> np.ndarray:
    """(times + 1,) share √ᾱ of the clean sample in a noisy one by time, from 1 at time 0 to 0 at the last."""
    kept = np.sqrt(np.cumprod(1 - np.linspace(_FIRST, _LAST, times)))
    # The first step keeps its level, the last one loses it.
    stretched = (kept - kept[-1]) * kept[0] / (kept[0] - kept[-1])
    return np.concatenate([[1.0], stretched])


SIGNAL = signal_levels()
NOISE = np.sqrt(1 - SIGNAL**2)
"""(257,) share of the noise by time."""


def noised(clean: np.ndarray, noise: np.ndarray, time: np.ndarray | int) -> np.ndarray:
    """Samples (B, 64) at a time, or at a time (B,) each: equation 3."""
    signal, share = (np.asarray(levels[time], np.float32)[..., None] for levels in (SIGNAL, NOISE))
    return signal * clean + share * noise


def sampling_times(steps: int) -> np.ndarray:
    """(steps + 1,) times of a sampling in so many steps, from 256 down to 0."""
    return np.linspace(TIMES, 0, steps + 1).round().astype(int)


def sample(denoise: Denoise, noise: np.ndarray, steps: int, guide: Guide | None = None) -> np.ndarray:
    """Samples by DDIM (Song et al., ICLR 2021).

    Args:
        denoise: the network, with its condition.
        noise: (B, 64) standard normal.
        steps: denoising steps, at most 256; the paper takes 32.
        guide: moves the estimates of the clean samples after each step.

    Returns:
        (B, 64) whitened samples.
    """
    times = sampling_times(steps)
    state = noise
    for step, (time, following) in enumerate(itertools.pairwise(times)):
        clean = denoise(state, int(time))
        direction = (state - SIGNAL[time] * clean) / NOISE[time]
        if guide is not None:
            # x̂₀ of the next state moves as the state does, divided by √ᾱ: the noise in it stays.
            clean = clean + guide(clean, steps - 1 - step)
        state = (SIGNAL[following] * clean + NOISE[following] * direction).astype(np.float32)
    return state
