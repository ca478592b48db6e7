# SPDX-License-Identifier: Apache-2.0
"""Makes dark images as bright as those that the networks have learnt from."""

from __future__ import annotations

import cv2
import numpy as np

_BRIGHT = 128
"""The brightest twentieth of an image of a usual exposure is above this value. Chosen on 60 darkened photos that the
networks have learnt from, among 128, 170 and 210."""
_GAIN = 8.0
"""Largest gain: beyond it an image is noise."""


def lit(image: np.ndarray) -> np.ndarray:
    """An image whose brightest twentieth has a usual value: itself unless it is dark.

    Args:
        image: (H, W, 3) uint8 RGB, of which a network sees every pixel. Black pixels do not count: they may lie beyond
            the border.
    """
    brightest = image[::4, ::4].max(2)
    counts = np.bincount(brightest.ravel(), minlength=256)
    counts[0] = 0
    bright = int(np.searchsorted(np.cumsum(counts), 0.95 * counts.sum()))
    if not 0 < bright < _BRIGHT:
        return image
    return cv2.convertScaleAbs(image, alpha=min(_BRIGHT / bright, _GAIN))
