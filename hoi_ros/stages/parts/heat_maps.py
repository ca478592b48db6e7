# SPDX-License-Identifier: Apache-2.0
"""Peaks of a detector's heat map."""

from __future__ import annotations

import cv2
import numpy as np

_NEIGHBOURHOOD = np.ones((3, 3), np.uint8)
"""Cells around a peak that are not larger than it."""


def peaks(heat: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Cells (row, column) of a heat map (h, w) that are the largest among their neighbours and at least `threshold`, in
    falling order."""
    at_peak = (heat >= cv2.dilate(heat, _NEIGHBOURHOOD)) & (heat >= threshold)
    cells = zip(*(axis.tolist() for axis in np.nonzero(at_peak)))
    return sorted(cells, key=lambda cell: -heat[cell])


def pixel_of(cell: tuple[int, int], offset: np.ndarray, stride: int) -> np.ndarray:
    """Pixel (2,) of the network's image at an offset (2,) right and down of a cell's centre, in cells of `stride`
    pixels."""
    row, column = cell
    return (np.array([column, row]) + offset + 0.5) * stride - 0.5
