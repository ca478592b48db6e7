# SPDX-License-Identifier: Apache-2.0
"""A cube around the hand, cut out of a depth image and normalised (Oberweger et al., "Hands Deep", 2015)."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole


@dataclasses.dataclass(frozen=True)
class CubeCrop:
    """A cube whose front faces the camera, and the square of pixels it covers.

    Normalised coordinates (u, v, d) in [−1, 1] run across, down and away from the camera; `mirrored` turns u
    about, so that a left hand looks like a right one.
    """

    camera: Pinhole
    centre: np.ndarray
    """(3,) metres, optical frame."""
    side: float
    """Metres."""
    mirrored: bool = False

    @property
    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre (2,) and half-size (2,) of the square, in pixels of the image."""
        half = np.array([self.camera.fx, self.camera.fy]) * self.side / 2 / self.centre[2]
        return self.camera.project(self.centre), half

    def cut(self, depth: np.ndarray, size: int) -> np.ndarray:
        """Cuts the cube out of a depth image.

        Args:
            depth: (H, W) metres; 0 or NaN: invalid.
            size: of the square result.

        Returns:
            (size, size) float32 in [−1, 1]; what is invalid, outside of the image or behind the cube is 1,
            what stands before it too.
        """
        middle, half = self.pixels
        step = 2 * half / size
        first = middle - half + step / 2
        # Nearest neighbour: an average of two surfaces would be a surface that is not there.
        warp = np.array([[step[0], 0, first[0]], [0, step[1], first[1]]])
        patch = cv2.warpAffine(np.asarray(depth, np.float32), warp, (size, size),
                               flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderValue=0)
        normalised = normalise_depth(patch, float(self.centre[2]), self.side)
        return np.ascontiguousarray(normalised[:, ::-1]) if self.mirrored else normalised

    def to_camera(self, normalised: np.ndarray) -> np.ndarray:
        """Normalised points (..., 3) → metres in the camera's optical frame (..., 3)."""
        middle, half = self.pixels
        across = -normalised[..., 0] if self.mirrored else normalised[..., 0]
        pixels = middle + half * np.stack([across, normalised[..., 1]], -1)
        return self.camera.unproject(pixels, self.centre[2] + self.side / 2 * normalised[..., 2])

    def from_camera(self, points: np.ndarray) -> np.ndarray:
        """Metres in the optical frame (..., 3) → normalised (..., 3): the inverse of `to_camera`."""
        middle, half = self.pixels
        across = (self.camera.project(points) - middle) / half
        if self.mirrored:
            across = across * [-1, 1]
        away = (points[..., 2:] - self.centre[2]) / (self.side / 2)
        return np.concatenate([across, away], -1)


def normalise_depth(patch: np.ndarray, centre: float, side: float) -> np.ndarray:
    """Depth in metres (0 or NaN: invalid) → [−1, 1] inside the cube, 1 elsewhere."""
    scaled = (patch - centre) * np.float32(2 / side)
    inside = (patch > 0) & (np.abs(scaled) <= 1)
    return np.where(inside, scaled, np.float32(1)).astype(np.float32)
