# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera: metres in the optical frame (x right, y down, z forward) ↔ pixels."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Pinhole:
    """An undistorted camera. Lengths in pixels; the centre of the first pixel is (0, 0)."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) intrinsic matrix."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], float)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3), metres → pixels (..., 2)."""
        points = np.asarray(points)
        return np.stack(
            [self.fx * points[..., 0] / points[..., 2] + self.cx, self.fy * points[..., 1] / points[..., 2] + self.cy],
            -1,
        )

    def pixels_of(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, 3), metres → whole pixels (N, 2), int, and which of them lie in the image, (N,) bool."""
        pixels = np.floor(self.project(points) + 0.5).astype(int)
        return pixels, np.all((pixels >= 0) & (pixels < [self.width, self.height]), axis=1)

    def unproject(self, pixels: np.ndarray, depth: np.ndarray | float) -> np.ndarray:
        """Pixels (..., 2) at depth z (...), metres → points (..., 3)."""
        pixels, depth = np.asarray(pixels), np.asarray(depth)
        return np.stack(
            [(pixels[..., 0] - self.cx) / self.fx * depth, (pixels[..., 1] - self.cy) / self.fy * depth, depth], -1
        )

    def scaled(self, width: int, height: int) -> Pinhole:
        """The same camera with its image resized to width × height."""
        across, down = width / self.width, height / self.height
        return Pinhole(
            width,
            height,
            self.fx * across,
            self.fy * down,
            (self.cx + 0.5) * across - 0.5,
            (self.cy + 0.5) * down - 0.5,
        )

    def window(self, left: float, top: float, width: float, height: float, columns: int, rows: int) -> Pinhole:
        """The camera of a window of the image, resampled to columns × rows.

        The window is given in pixel-edge coordinates: the whole image is (−0.5, −0.5, width, height).
        """
        across, down = columns / width, rows / height
        return Pinhole(
            columns,
            rows,
            self.fx * across,
            self.fy * down,
            (self.cx - left) * across - 0.5,
            (self.cy - top) * down - 0.5,
        )
