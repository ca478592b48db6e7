# SPDX-License-Identifier: Apache-2.0
"""A square crop of a colour image, rectified to a camera that faces the square's centre."""

from __future__ import annotations

import dataclasses
import functools
import math

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole

_FAN = 0.15
"""Roll of the outermost view from the first one, radians; chosen on validation crops."""

_FINEST = 3
"""Pixels of an image to one of its crop at least; from twice as many on the image is shrunk first."""


@dataclasses.dataclass(frozen=True)
class ViewCrop:
    """The view of a camera turned towards a place in the image, optionally rolled and mirrored.

    A camera sees a hand at the image's border from the side. A homography turns the camera exactly: the same pose
    gives the same picture anywhere in the image.
    """

    camera: Pinhole
    centre: np.ndarray
    """(2,) pixels."""
    side: float
    """Of the square, pixels of the image at its centre."""
    mirrored: bool = False
    """Whether right and left are swapped: a left hand looks like a right one."""
    turn: float = 0.0
    """Roll of the camera about its axis after mirroring, radians."""

    @functools.cached_property
    def _axes(self) -> np.ndarray:
        """(3, 3) rows are the turned camera's axes in the camera's optical frame; left-handed where mirrored."""
        forward = self._ray / np.linalg.norm(self._ray)
        right = np.cross([0.0, 1.0, 0.0], forward)
        right /= np.linalg.norm(right)
        down = np.cross(forward, right)
        if self.mirrored:
            right = -right
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        return np.stack([cosine * right + sine * down, cosine * down - sine * right, forward])

    @functools.cached_property
    def _ray(self) -> np.ndarray:
        return self.camera.unproject(np.asarray(self.centre, float), np.float64(1))

    @functools.cached_property
    def focal(self) -> float:
        """Focal length over half of the square's side: a point at (x, y, z) of the turned camera lies at
        focal · (x, y) / z half squares of the centre."""
        focal = (self.camera.fx + self.camera.fy) / 2
        return float(focal * np.linalg.norm(self._ray) / (self.side / 2))

    def upright(self, keypoints: np.ndarray, roll: float = 0.0) -> ViewCrop:
        """The same view, turned until the knuckles are above the wrist in the picture.

        Args:
            keypoints: (21, 3) metres, the camera's optical frame.
            roll: turns it further, radians.
        """
        level = dataclasses.replace(self, turn=0.0)
        wrist, *knuckles = level.from_camera(keypoints[[0, 5, 9, 13, 17]])
        middle, away = knuckles[1], np.mean(knuckles, 0) - wrist
        # Projected at the middle knuckle: inferred depths of the others may be near 0.
        across, down = away[:2] - middle[:2] * (away[2] / max(float(middle[2]), 1e-3))
        return dataclasses.replace(level, turn=roll + math.pi / 2 + math.atan2(down, across))

    def varied(self, count: int) -> list[ViewCrop]:
        """`count` views about this one, rolled by up to 0.15 rad and scaled by up to a twentieth; a network's errors
        on them differ."""
        rolls = np.linspace(-_FAN, _FAN, count) if count > 1 else np.zeros(1)
        return [
            dataclasses.replace(self, turn=self.turn + roll, side=self.side * math.exp(-roll / 3))
            for roll in rolls.tolist()
        ]

    def warp(self, image: np.ndarray, size: int) -> np.ndarray:
        """The square of an image (H, W) or (H, W, C) as (size, size) or (size, size, C); 0 outside the image."""
        # A hand that fills a photo of 12 megapixels would be warped at nearly its resolution.
        coarser = max(1, min(int(self.side / size / _FINEST), *image.shape[:2]))
        height, width = (length // coarser for length in image.shape[:2])
        if coarser > 1:
            whole = image[: height * coarser, : width * coarser]
            image = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        pixels = np.array([[coarser, 0, (coarser - 1) / 2], [0, coarser, (coarser - 1) / 2], [0, 0, 1]])
        # Shrinking by more than two would skip pixels: a second step averages.
        finer = max(1, round(self.side / coarser / size))
        inner = size * finer
        scale = self.focal * inner / 2
        view = np.array([[scale, 0, (inner - 1) / 2], [0, scale, (inner - 1) / 2], [0, 0, 1]])
        homography = view @ self._axes @ np.linalg.inv(self.camera.matrix) @ pixels
        warped = cv2.warpPerspective(image, homography, (inner, inner), flags=cv2.INTER_LINEAR, borderValue=0)
        return warped if finer == 1 else cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Metres in the turned camera's axes (..., 3) → the camera's optical frame."""
        return points @ self._axes

    def from_camera(self, points: np.ndarray) -> np.ndarray:
        """Metres in the camera's optical frame (..., 3) → the turned camera's axes: the inverse of `to_camera`."""
        return points @ self._axes.T

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points in the turned camera's axes (..., 3) → half squares right and down of the centre (..., 2)."""
        return self.focal * points[..., :2] / points[..., 2:]

    def width_at(self, depth: np.ndarray | float) -> np.ndarray | float:
        """Width of the square at a depth along the turned camera's axis, metres."""
        return 2 * depth / self.focal

    def point(self, place: np.ndarray, width: float) -> np.ndarray:
        """The point (3,) in the turned camera's axes at `place` (2,), half squares, and at the depth where the square
        has that width in metres: the inverse of `project` and `width_at`."""
        depth = width * self.focal / 2
        return np.array([place[0] * width / 2, place[1] * width / 2, depth])


def outline(hand: np.ndarray, held: np.ndarray | None) -> tuple[np.ndarray, float]:
    """The square about a hand, moved and widened towards what it holds, at most to 1.6 times its side.

    Args:
        hand: (21, 2) pixels.
        held: (M, 2) pixels.

    Returns:
        centre (2,) and side, pixels.
    """
    low, high = hand.min(0), hand.max(0)
    side, middle = float((high - low).max()), (low + high) / 2
    if held is not None:
        low, high = np.minimum(low, held.min(0)), np.maximum(high, held.max(0))
        both = min(float((high - low).max()), 1.6 * side)
        middle = middle + np.clip((low + high) / 2 - middle, -(both - side) / 2, (both - side) / 2)
        side = both
    return middle, side
