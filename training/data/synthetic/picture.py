# SPDX-License-Identifier: Apache-2.0
"""Pictures as textures: sampled at any scale without aliasing."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from training.data.synthetic.colour import encoded
from training.data.synthetic.colour import linear

_DECODED = linear(np.arange(256) / 255).astype(np.float32)
_STEPS = 4095
_ENCODED = np.round(255 * encoded(np.arange(_STEPS + 1) / _STEPS)).astype(np.uint8)
_ROW = 1024
"""Points in a row of the maps of `cv2.remap`, which are limited in width."""


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture with its reductions (Williams, "Pyramidal parametrics", SIGGRAPH 1983).

    Attributes:
        levels: (H, W, 3) uint8 sRGB, each half the size of the one before.
    """

    levels: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, image: np.ndarray, mask: np.ndarray | None = None) -> Picture:
        """Reduces an image.

        Args:
            image: (H, W, 3) uint8 sRGB.
            mask: (H, W) bool, pixels that count; the others take the mean of the nearest ones that do, so that nothing
                bleeds into the edges of the islands of a texture (Gortler et al., "The lumigraph", SIGGRAPH 1996).
        """
        weight = np.ones(image.shape[:2], np.float32) if mask is None else mask.astype(np.float32)
        reduced = [(_DECODED[image] * weight[..., None], weight)]
        while min(reduced[-1][1].shape) > 1:
            height, width = reduced[-1][1].shape
            size = max(width // 2, 1), max(height // 2, 1)
            reduced.append(tuple(cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in reduced[-1]))
        levels: list[np.ndarray] = []
        behind = np.full((1, 1, 3), 0.2, np.float32)
        for colour, weight in reversed(reduced):
            if mask is None:
                behind = colour
            else:
                behind = cv2.resize(behind, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
                behind = np.where((weight > 0)[..., None], colour / np.maximum(weight, 1e-6)[..., None], behind)
            levels.append(_ENCODED[np.round(np.clip(behind, 0, 1) * _STEPS).astype(np.int32)])
        return cls(tuple(reversed(levels)))

    @property
    def size(self) -> np.ndarray:
        """(2,) width and height, pixels."""
        return np.array(self.levels[0].shape[1::-1], np.float32)

    def sample(self, places: np.ndarray, spacing: np.ndarray, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
        """Samples the picture trilinearly.

        Args:
            places: (N, 2) right and down from the upper left corner, 1 at the lower right one.
            spacing: (N,) distance of neighbouring samples, pixels of the picture.
            border: continuation of the picture, of OpenCV.

        Returns:
            (N, 3) float32, linear.
        """
        level = np.clip(np.log2(np.maximum(spacing, 1e-3)), 0, len(self.levels) - 1)
        result = np.zeros((len(places), 3), np.float32)
        for number, image in enumerate(self.levels):
            share = 1 - np.abs(level - number)
            chosen = np.flatnonzero(share > 0)
            if len(chosen):
                pixels = places[chosen] * np.array(image.shape[1::-1], np.float32) - np.float32(0.5)
                result[chosen] += _DECODED[_interpolated(image, pixels, border)] * share[chosen, None]
        return result


def _interpolated(image: np.ndarray, pixels: np.ndarray, border: int) -> np.ndarray:
    """(N, 3) uint8, an image at pixels (N, 2), bilinearly."""
    count = len(pixels)
    maps = np.zeros((-(-count // _ROW) * _ROW, 2), np.float32)
    maps[:count] = pixels
    maps = maps.reshape(-1, _ROW, 2)
    return cv2.remap(image, maps, None, cv2.INTER_LINEAR, borderMode=border).reshape(-1, 3)[:count]
