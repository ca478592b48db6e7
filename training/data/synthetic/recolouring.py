# SPDX-License-Identifier: Apache-2.0
"""Colours, sharpness and noise of an image as another camera or another light would give them."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class Recolouring:
    """How images are changed; all zero for none."""

    gamma: float = 0.3
    brightness: float = 0.4
    contrast: float = 0.3
    colour: float = 0.15
    """Largest logarithms: of the exponent of all values, and of the gains of all channels, about the mean, and of each
    channel."""
    grey: float = 0.12
    blurred: float = 0.3
    noisy: float = 0.3
    """Shares of the images."""


OTHER_COLOURS = Recolouring()
OWN_COLOURS = Recolouring(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def recoloured(image: np.ndarray, config: Recolouring, rng: np.random.Generator) -> np.ndarray:
    """An image (H, W, 3) uint8 in other colours, sometimes grey, blurred or noisy."""
    values = image.astype(np.float32) / 255
    values = values ** np.float32(np.exp(rng.uniform(-config.gamma, config.gamma)))
    gain = np.exp(
        rng.uniform(-config.brightness, config.brightness) + rng.uniform(-config.colour, config.colour, 3)
    ).astype(np.float32)
    values *= gain
    mean = values.mean((0, 1))
    values = (values - mean) * np.float32(np.exp(rng.uniform(-config.contrast, config.contrast))) + mean
    if rng.random() < config.grey:
        values[:] = values.mean(-1, keepdims=True)
    if rng.random() < config.blurred:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.4, 1.5))
    if rng.random() < config.noisy:
        values += rng.normal(0, rng.uniform(0.005, 0.04), values.shape).astype(np.float32)
    return np.clip(np.round(values * 255), 0, 255).astype(np.uint8)
