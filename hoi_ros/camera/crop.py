# SPDX-License-Identifier: Apache-2.0
"""A cube around the hand, cut out of a depth image and normalised (Oberweger et al., "Hands Deep", 2015)."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole


@dataclasses.dataclass(frozen=True)
class CubeCrop:
    """A cube whose front faces the camera, and the square of pixels it covers.

    Normalised coordinates (u, v, d) in [−1, 1] run across, down and away from the camera. `turn` rolls the camera
    about its axis. `mirrored` swaps left and right: a left hand looks like a right one.
    """

    camera: Pinhole
    centre: np.ndarray
    """(3,) metres, optical frame."""
    side: float
    """Metres."""
    mirrored: bool = False
    turn: float = 0.0
    """Radians, clockwise in the picture, after mirroring."""

    @property
    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre (2,) and half-size (2,) of the square before it is turned, in pixels of the image."""
        half = np.array([self.camera.fx, self.camera.fy]) * self.side / 2 / self.centre[2]
        return self.camera.project(self.centre), half

    @property
    def _axes(self) -> np.ndarray:
        """(2, 2) takes picture coordinates (u, v) to the image's axes, both in half-sizes."""
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        across = -1.0 if self.mirrored else 1.0
        return np.array([[across * cosine, across * sine], [-sine, cosine]])

    def upright(self, keypoints: np.ndarray, roll: float = 0.0) -> CubeCrop:
        """The same cube, turned until the knuckles are above the wrist in the picture.

        Args:
            keypoints: (21, 3) metres, optical frame.
            roll: turns it further, radians.
        """
        away = keypoints[[5, 9, 13, 17]].mean(0) - keypoints[0]
        # Projected at the cube's centre: inferred depths may be near 0.
        across, down = away[:2] - self.centre[:2] * (away[2] / self.centre[2])
        across = -across if self.mirrored else across
        return dataclasses.replace(self, turn=roll - math.pi / 2 - math.atan2(down, across))

    def warp(self, image: np.ndarray, size: int) -> np.ndarray:
        """The square of an image (H, W) as (size, size), turned and mirrored; 0 outside the image."""
        middle, half = self.pixels
        linear = half[:, None] * self._axes * (2 / size)
        first = middle + half * (self._axes @ np.full(2, 1 / size - 1))
        # Nearest neighbour: an average of two surfaces would be a third one.
        return cv2.warpAffine(
            image,
            np.column_stack([linear, first]),
            (size, size),
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
            borderValue=0,
        )

    def cut(self, depth: np.ndarray, size: int) -> np.ndarray:
        """Cuts the cube out of a depth image.

        Args:
            depth: (H, W) metres; 0 or NaN: invalid.
            size: of the square result.

        Returns:
            (size, size) float32 in [−1, 1]; 1 where depth is invalid or outside the image or the cube.
        """
        patch = self.warp(np.asarray(depth, np.float32), size)
        return normalise_depth(patch, float(self.centre[2]), self.side)

    def surface(self, depth: np.ndarray, size: int = 44, most: int = 450) -> np.ndarray:
        """Observed points (N, 3) inside the cube, metres, on a grid of size × size; at most `most` of them."""
        patch = self.warp(np.asarray(depth, np.float32), size)
        inside = (patch > 0) & (np.abs(patch - self.centre[2]) < self.side / 2)
        rows, columns = np.nonzero(inside)
        step = max(1, math.ceil(len(rows) / most))
        rows, columns = rows[::step], columns[::step]
        away = (patch[rows, columns] - self.centre[2]) * (2 / self.side)
        return self.to_camera(np.stack([(columns + 0.5) * 2 / size - 1, (rows + 0.5) * 2 / size - 1, away], -1))

    def to_camera(self, normalised: np.ndarray) -> np.ndarray:
        """Normalised points (..., 3) → metres in the camera's optical frame (..., 3)."""
        middle, half = self.pixels
        pixels = middle + half * (normalised[..., :2] @ self._axes.T)
        return self.camera.unproject(pixels, self.centre[2] + self.side / 2 * normalised[..., 2])

    def from_camera(self, points: np.ndarray) -> np.ndarray:
        """Metres in the optical frame (..., 3) → normalised (..., 3): the inverse of `to_camera`."""
        middle, half = self.pixels
        across = ((self.camera.project(points) - middle) / half) @ self._axes
        away = (points[..., 2:] - self.centre[2]) / (self.side / 2)
        return np.concatenate([across, away], -1)


def normalise_depth(patch: np.ndarray, centre: float, side: float) -> np.ndarray:
    """Depth in metres (0 or NaN: invalid) → [−1, 1] inside the cube, 1 elsewhere."""
    scaled = (patch - centre) * np.float32(2 / side)
    inside = (patch > 0) & (np.abs(scaled) <= 1)
    return np.where(inside, scaled, np.float32(1)).astype(np.float32)
