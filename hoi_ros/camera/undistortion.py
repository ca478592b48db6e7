# SPDX-License-Identifier: Apache-2.0
"""Removes lens distortion from points and images, by OpenCV's models.

The undistorted camera keeps the focal lengths, principal point and size of the distorted one: the optical frame and
the scale at the image's centre stay the same.
"""

from __future__ import annotations

import cv2
import numpy as np

from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.camera.lens import Lens
from hoi_ros.camera.pinhole import Pinhole

_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-9)


class Rectifier:
    """Undistorts the images of one camera with precomputed maps; without distortion images pass unchanged.

    Attributes:
        camera: the pinhole camera of the undistorted images.
        lens: the camera of the distorted images.
        calibration: of the distorted images.
    """

    def __init__(self, calibration: CameraCalibration) -> None:
        self.calibration = calibration
        self.camera: Pinhole = calibration.camera
        self.lens = Lens(calibration)
        self._nearest = self._linear = None
        if calibration.distorted:
            matrix, size = self.camera.matrix, (self.camera.width, self.camera.height)
            maker = cv2.fisheye if _is_fisheye(calibration) else cv2
            x, y = maker.initUndistortRectifyMap(
                matrix, _coefficients(calibration), np.eye(3), matrix, size, cv2.CV_32FC1
            )
            self._nearest = cv2.convertMaps(x, y, cv2.CV_16SC2, nninterpolation=True)
            self._linear = cv2.convertMaps(x, y, cv2.CV_16SC2)

    def depth(self, image: np.ndarray) -> np.ndarray:
        """(H, W) depth → undistorted (H, W), 0 outside; nearest neighbour, which invents no surface.

        Raises:
            ValueError: the image has another size than the camera.
        """
        return self._remap(image, self._nearest, cv2.INTER_NEAREST)

    def colour(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) colours → undistorted (H, W, 3), black outside; linear interpolation.

        Raises:
            ValueError: the image has another size than the camera.
        """
        return self._remap(image, self._linear, cv2.INTER_LINEAR)

    def _remap(self, image: np.ndarray, maps: tuple[np.ndarray, np.ndarray] | None, flags: int) -> np.ndarray:
        if image.shape[:2] != (self.camera.height, self.camera.width):
            raise ValueError(
                f'the image is {image.shape[1]}x{image.shape[0]} pixels, expected '
                f'{self.camera.width}x{self.camera.height}: make the Rectifier of '
                'calibration.for_image(width, height)'
            )
        if maps is None:
            return image
        return cv2.remap(image, *maps, flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


def undistort_points(calibration: CameraCalibration, pixels: np.ndarray) -> np.ndarray:
    """Pixels (..., 2) of the distorted image → pixels (..., 2) of the undistorted one, float64."""
    pixels = np.asarray(pixels, np.float64)
    if not calibration.distorted or not pixels.size:
        return pixels.copy()
    matrix, flat = calibration.camera.matrix, np.ascontiguousarray(pixels.reshape(-1, 1, 2))
    if _is_fisheye(calibration):
        undistorted = cv2.fisheye.undistortPoints(flat, matrix, _coefficients(calibration), P=matrix)
    else:
        undistorted = cv2.undistortImagePoints(flat, matrix, _coefficients(calibration), None, _STOP)
    return undistorted.reshape(pixels.shape)


def undistort_in_front(lens: Lens, pixels: np.ndarray) -> np.ndarray:
    """Pixels (N, 2) of the distorted image that a plane before the camera can show → its pixels (M, 2), float64.

    A wide lens sees more than that: beyond 90 degrees from its axis `undistort_points` gives a false place.
    """
    pixels = np.asarray(pixels, np.float64)
    flat, camera = undistort_points(lens.calibration, pixels), lens.calibration.camera
    finite = np.isfinite(flat).all(-1)
    flat, pixels = flat[finite], pixels[finite]
    back = lens.project(camera.unproject(flat, np.ones(len(flat))))
    return flat[np.abs(back - pixels).max(-1, initial=0) < 1]


def share_in_view(lens: Lens) -> float:
    """The share of the distorted image that the undistorted one shows."""
    camera = lens.calibration.camera
    grid = np.meshgrid(np.linspace(0, camera.width - 1, 64), np.linspace(0, camera.height - 1, 48))
    pixels = np.stack(grid, -1).reshape(-1, 2)
    flat = undistort_in_front(lens, pixels)
    shown = (flat >= -0.5) & (flat <= [camera.width - 0.5, camera.height - 0.5])
    return float(shown.all(-1).sum()) / len(pixels)


def distort_points(calibration: CameraCalibration, pixels: np.ndarray) -> np.ndarray:
    """Pixels (..., 2) of the undistorted image → pixels (..., 2) of the distorted one, float64."""
    pixels = np.asarray(pixels, np.float64)
    if not calibration.distorted:
        return pixels.copy()
    return Lens(calibration).project(calibration.camera.unproject(pixels, np.ones(pixels.shape[:-1])))


def _is_fisheye(calibration: CameraCalibration) -> bool:
    return calibration.distortion_model == 'equidistant'


def _coefficients(calibration: CameraCalibration) -> np.ndarray:
    return np.array(calibration.distortion, np.float64)
