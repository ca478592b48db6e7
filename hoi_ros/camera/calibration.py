# SPDX-License-Identifier: Apache-2.0
"""Calibrated cameras, from ROS calibration files and from CameraInfo."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import Protocol

import yaml

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.refusal import FrameRefused

# Allowed numbers of coefficients of each model of sensor_msgs/distortion_models.hpp; 0 means no distortion.
DISTORTION_MODELS = {
    '': (0,),
    'plumb_bob': (0, 4, 5),
    'rational_polynomial': (0, 8, 12, 14),
    'equidistant': (0, 4),
}


class CalibrationError(FrameRefused):
    """A calibration that is missing, damaged, or belongs to another camera than the image."""


class UncalibratedError(CalibrationError):
    """A CameraInfo says that its camera is not calibrated: k[0] is 0."""


class CameraSizeError(CalibrationError):
    """The image is not of the calibrated size, nor a resized whole image of it."""


class RoiFields(Protocol):
    """The fields of sensor_msgs/RegionOfInterest that are used."""

    x_offset: int
    y_offset: int
    width: int
    height: int


class CameraInfoFields(Protocol):
    """The fields of sensor_msgs/CameraInfo that are used."""

    width: int
    height: int
    k: Sequence[float]
    d: Sequence[float]
    distortion_model: str
    binning_x: int
    binning_y: int
    roi: RoiFields


@dataclasses.dataclass(frozen=True)
class CameraCalibration:
    """A calibrated camera: pinhole and lens distortion. Hashable and comparable.

    Attributes:
        camera: size and intrinsics of the distorted image.
        distortion_model: a key of DISTORTION_MODELS.
        distortion: (N,) coefficients in the order of OpenCV and ROS; empty without distortion.
        name: of the camera.
    """

    camera: Pinhole
    distortion_model: str = ''
    distortion: tuple[float, ...] = ()
    name: str = ''

    def __post_init__(self) -> None:
        camera, label = self.camera, self.name or 'the camera'
        if camera.width <= 0 or camera.height <= 0:
            raise CalibrationError(
                f'{label}: calibrated at {camera.width}x{camera.height} pixels, expected at least '
                '1x1: calibrate the camera again'
            )
        if not all(map(math.isfinite, (camera.fx, camera.fy, camera.cx, camera.cy))) or min(camera.fx, camera.fy) <= 0:
            raise CalibrationError(
                f'{label}: focal lengths ({camera.fx}, {camera.fy}) and principal point '
                f'({camera.cx}, {camera.cy}), expected finite numbers and focal lengths above 0: '
                'calibrate the camera again'
            )
        if self.distortion_model not in DISTORTION_MODELS:
            known = ', '.join(filter(None, DISTORTION_MODELS))
            raise CalibrationError(
                f'{label}: distortion model {self.distortion_model!r}, expected {known}: undistort '
                'the images before, or calibrate with one of these'
            )
        allowed = DISTORTION_MODELS[self.distortion_model]
        if len(self.distortion) not in allowed:
            raise CalibrationError(
                f'{label}: {len(self.distortion)} coefficients for the distortion model '
                f'{self.distortion_model!r}, expected {" or ".join(map(str, allowed))}'
            )
        if not all(map(math.isfinite, self.distortion)):
            raise CalibrationError(
                f'{label}: distortion coefficients {list(self.distortion)}, expected finite '
                'numbers: calibrate the camera again'
            )

    @property
    def distorted(self) -> bool:
        """Whether the lens distorts the image."""
        # An equidistant lens is not a pinhole even with all coefficients 0.
        return any(self.distortion) or (self.distortion_model == 'equidistant' and bool(self.distortion))

    def for_image(self, width: int, height: int) -> CameraCalibration:
        """The calibration of this camera's images resized to width × height pixels.

        Raises:
            CameraSizeError: the size has another aspect ratio.
        """
        camera = self.camera
        if (width, height) == (camera.width, camera.height):
            return self
        # A driver that halves an odd size rounds: one pixel either way is the same shape.
        if width <= 0 or abs(height - camera.height * width / camera.width) > 1:
            raise CameraSizeError(
                f'{self.name or "the camera"}: the image is {width}x{height} pixels, the calibration '
                f'{camera.width}x{camera.height}, which is of another shape: give the camera_info '
                'that belongs to this image'
            )
        return dataclasses.replace(self, camera=camera.scaled(width, height))


def load_camera_yaml(path: str | Path) -> CameraCalibration:
    """Reads a ROS calibration file, as camera_calibration and camera_info_manager write it.

    Intrinsics and distortion are used; rectification_matrix and projection_matrix are not.

    Raises:
        UncalibratedError: camera_matrix starts with 0.
        CalibrationError: the file is missing, no YAML, or lacks or misshapes an entry.
    """
    path = Path(path)
    try:
        fields = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise CalibrationError(
            f'{path}: cannot be read ({error.strerror}): give a ROS camera calibration file'
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CalibrationError(f'{path}: no readable YAML ({error})') from error
    if not isinstance(fields, Mapping):
        raise CalibrationError(
            f'{path}: holds a {type(fields).__name__}, expected the mapping of a ROS camera calibration file'
        )
    width, height = (_entry(fields, name, path) for name in ('image_width', 'image_height'))
    if not (isinstance(width, int) and isinstance(height, int)):
        raise CalibrationError(f'{path}: image_width {width!r} and image_height {height!r}, expected whole numbers')
    matrix = _numbers(fields, 'camera_matrix', path)
    if len(matrix) != 9:
        raise CalibrationError(f'{path}: camera_matrix has {len(matrix)} numbers, expected 9')
    distortion = _numbers(fields, 'distortion_coefficients', path)
    return _calibration(
        str(fields.get('camera_name') or path),
        width,
        height,
        matrix,
        str(_entry(fields, 'distortion_model', path)),
        distortion,
    )


def calibration_of(info: CameraInfoFields, image_width: int, image_height: int, name: str = '') -> CameraCalibration:
    """The calibration of one image that a sensor_msgs/CameraInfo describes.

    The region of interest and the binning are applied. The intrinsics are scaled to the image's size, which drivers
    that resize often leave out of their CameraInfo.

    Args:
        info: the message, or an object with its fields.
        image_width: pixels of the image.
        image_height: pixels of the image.
        name: of the camera, named in errors.

    Raises:
        UncalibratedError: info.k[0] is 0.
        CameraSizeError: the image has another aspect ratio than info.
        CalibrationError: the fields contradict each other or are not finite.
    """
    calibration = _calibration(name or 'camera_info', info.width, info.height, info.k, info.distortion_model, info.d)
    camera, roi = calibration.camera, info.roi
    columns, rows = roi.width or camera.width, roi.height or camera.height
    if roi.x_offset + columns > camera.width or roi.y_offset + rows > camera.height:
        raise CalibrationError(
            f'{calibration.name}: the region of interest {columns}x{rows} at ({roi.x_offset}, '
            f'{roi.y_offset}) leaves the image of {camera.width}x{camera.height} pixels'
        )
    across, down = max(info.binning_x, 1), max(info.binning_y, 1)
    window = camera.window(
        roi.x_offset - 0.5, roi.y_offset - 0.5, columns, rows, max(columns // across, 1), max(rows // down, 1)
    )
    return dataclasses.replace(calibration, camera=window).for_image(image_width, image_height)


def _calibration(
    name: str, width: int, height: int, matrix: Sequence[float], model: str, distortion: Sequence[float]
) -> CameraCalibration:
    if matrix[0] == 0:
        raise UncalibratedError(
            f'{name}: the camera is not calibrated (k[0] is 0): calibrate it, for example with '
            '`ros2 run camera_calibration cameracalibrator`'
        )
    camera = Pinhole(width, height, float(matrix[0]), float(matrix[4]), float(matrix[2]), float(matrix[5]))
    return CameraCalibration(camera, model, tuple(map(float, distortion)), name)


def _entry(fields: Mapping[str, Any], name: str, path: Path) -> Any:
    if name not in fields:
        raise CalibrationError(f'{path}: lacks {name}, expected a ROS camera calibration file')
    return fields[name]


def _numbers(fields: Mapping[str, Any], name: str, path: Path) -> list[float]:
    matrix = _entry(fields, name, path)
    data = matrix.get('data') if isinstance(matrix, Mapping) else None
    if not isinstance(data, list) or not all(isinstance(number, (int, float)) for number in data):
        raise CalibrationError(f'{path}: {name} is {matrix!r}, expected rows, cols and a list of numbers as data')
    return data
