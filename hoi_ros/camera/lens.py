# SPDX-License-Identifier: Apache-2.0
"""The camera of images as the driver publishes them, lens distortion included."""

from __future__ import annotations

import numpy as np

from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.camera.plausibility import distort

_NEAREST = 1e-3
"""Metres. Points nearer than this, or behind the camera, are projected as if they were at this distance."""
_WIDEST = 89.0
"""Degrees from the optical axis up to which the distortion is sampled."""


class Lens:
    """Projects points into the original, distorted image, as `Pinhole` does into the undistorted one.

    A distortion polynomial is fitted to the image and folds back somewhere outside it: it would put points far out of
    view inside the image. Beyond the radius where that begins, the distortion is continued in proportion to the radius.

    Attributes:
        calibration: of the distorted image.
        width: of the image, pixels.
        height: of the image, pixels.
    """

    def __init__(self, calibration: CameraCalibration) -> None:
        self.calibration = calibration
        self.width, self.height = calibration.camera.width, calibration.camera.height
        self._limit = self._one_to_one() if calibration.distorted else np.inf

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3), metres in the optical frame → pixels (..., 2), finite everywhere."""
        points = np.asarray(points, np.float64)
        rays = points[..., :2] / np.maximum(points[..., 2:], _NEAREST)
        if not self.calibration.distorted or not points.size:
            return self._pixels(rays)
        excess = np.maximum(np.linalg.norm(rays, axis=-1, keepdims=True) / self._limit, 1.0)
        return self._pixels(self._distorted(rays / excess) * excess)

    def scaled(self, width: int, height: int) -> Lens:
        """The same camera with its image resized to width × height.

        Raises:
            CameraSizeError: the size has another aspect ratio.
        """
        return Lens(self.calibration.for_image(width, height))

    def _pixels(self, rays: np.ndarray) -> np.ndarray:
        camera = self.calibration.camera
        return rays * [camera.fx, camera.fy] + [camera.cx, camera.cy]

    def _distorted(self, rays: np.ndarray) -> np.ndarray:
        """Rays (..., 2), x and y at z = 1 → those that an undistorted camera would need for the same pixels."""
        return distort(self.calibration.distortion_model, self.calibration.distortion, rays)

    def _one_to_one(self) -> float:
        """The radius at z = 1 below which a larger radius always gives a larger distorted radius."""
        radii = np.tan(np.radians(np.linspace(0, _WIDEST, 512)))
        angles = np.arange(8) * np.pi / 4
        directions = np.stack([np.cos(angles), np.sin(angles)], -1)
        outwards = (self._distorted(radii[:, None, None] * directions) * directions).sum(-1)
        folds = ~(np.diff(outwards, axis=0) > 0).all(-1)
        return float(radii[folds.argmax()]) if folds.any() else np.inf
