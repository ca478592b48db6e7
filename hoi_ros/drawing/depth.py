# SPDX-License-Identifier: Apache-2.0
"""Depth images as colour pictures."""

from __future__ import annotations

import cv2
import numpy as np


def colour_depth(depth: np.ndarray, nearest: float | None = None, farthest: float | None = None) -> np.ndarray:
    """Depth as a picture: bright is near, black is unknown.

    Args:
        depth: (H, W) metres, 0 or NaN where unknown.
        nearest: metres of the brightest colour; the nearest percent of the image by default.
        farthest: metres of the darkest; the farthest percent by default. Give both for a video to avoid flicker.

    Returns:
        (H, W, 3) uint8 RGB in OpenCV's perceptually uniform viridis.
    """
    known = depth > 0
    sample = depth[::4, ::4][known[::4, ::4]]
    if sample.size:
        low, high = np.percentile(sample, [1, 99]).tolist()
        nearest, farthest = low if nearest is None else nearest, high if farthest is None else farthest
    nearest, farthest = nearest or 0.0, farthest or 1.0
    # Viridis starts at a violet close to black: the lowest tenth is reserved for holes.
    slope = 229 / max(farthest - nearest, 1e-3)
    brightness = np.clip(255 + slope * nearest - slope * np.where(known, depth, 0), 26, 255).astype(np.uint8)
    picture = cv2.cvtColor(cv2.applyColorMap(brightness, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    return cv2.bitwise_and(picture, picture, mask=known.view(np.uint8))
