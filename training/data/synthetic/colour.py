# SPDX-License-Identifier: Apache-2.0
"""Colours in linear RGB with the primaries of sRGB (IEC 61966-2-1)."""

from __future__ import annotations

import cv2
import numpy as np


def linear(values: np.ndarray) -> np.ndarray:
    """sRGB → linear, in [0, 1]."""
    return np.where(values <= 0.04045, values / 12.92, ((np.maximum(values, 0.04045) + 0.055) / 1.055) ** 2.4)


def encoded(values: np.ndarray) -> np.ndarray:
    """Linear → sRGB, in [0, 1]."""
    bent = 1.055 * np.maximum(values, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(values <= 0.0031308, values * 12.92, bent)


def sample_colour(rng: np.random.Generator, vivid: float) -> np.ndarray:
    """(3,) a random linear colour; `vivid` is the highest saturation, 0 to 1."""
    hue, saturation, value = rng.random(), vivid * rng.beta(1.2, 1.6), rng.beta(1.6, 1.3)
    colour = cv2.cvtColor(np.float32([[[360 * hue, saturation, 0.08 + 0.9 * value]]]), cv2.COLOR_HSV2RGB)[0, 0]
    return linear(colour) * 0.9


def lamp_colour(kelvin: float) -> np.ndarray:
    """(3,) linear colour of a black body, 2000 to 12000 K, of luminance 1."""
    colour = np.array([np.interp(1e6 / kelvin, _MIREDS, channel) for channel in _BLACK_BODY.T])
    return colour / (colour @ LUMINANCE)


_MIREDS = 1e6 / np.array([12000, 9000, 7500, 6500, 5500, 4500, 3500, 2700, 2000])
_BLACK_BODY = linear(
    np.array(
        [
            [195, 209, 255],
            [214, 225, 255],
            [230, 235, 255],
            [255, 249, 253],
            [255, 236, 224],
            [255, 219, 186],
            [255, 193, 132],
            [255, 169, 87],
            [255, 137, 14],
        ]
    )
    / 255
)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
