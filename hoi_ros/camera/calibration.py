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

from hoi_ros.camera.distortion_models import DISTORTION_MODELS
from hoi_ros.camera.distortion_models import DistortionError
from hoi_ros.camera.distortion_models import read_distortion
from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.plausibility import distortion_fault
from hoi_ros.camera.plausibility import intrinsics_fault
from hoi_ros.camera.plausibility import matrix_fault
from hoi_ros.camera.refusal import FrameRefused


class CalibrationError(FrameRefused):
    """A calibration that is missing, damaged, or belongs to another camera than the image."""


class UncalibratedError(CalibrationError):
    """The camera is not calibrated: k[0] and p[0] are 0."""


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
    p: Sequence[float]
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
                '1x1: fill width and height, which the driver left empty, or calibrate the camera again'
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

    def has_shape(self, width: int, height: int) -> bool:
        """Whether an image of width × height pixels can be the whole image, resized."""
        # A driver that halves an odd size rounds: one pixel either way is the same shape.
        return width > 0 and abs(height - self.camera.height * width / self.camera.width) <= 1

    def for_image(self, width: int, height: int) -> CameraCalibration:
        """The calibration of this camera's images resized to width × height pixels.

        Raises:
            CameraSizeError: the size has another aspect ratio.
        """
        camera = self.camera
        if (width, height) == (camera.width, camera.height):
            return self
        if not self.has_shape(width, height):
            raise CameraSizeError(
                f'{self.name or "the camera"}: the image is {width}x{height} pixels, the calibration '
                f'{camera.width}x{camera.height}, which is of another shape: give the calibration '
                'that belongs to this image'
            )
        return dataclasses.replace(self, camera=camera.scaled(width, height))


def load_camera_yaml(path: str | Path, rectified: bool = False) -> CameraCalibration:
    """Reads a ROS calibration file, as camera_calibration and camera_info_manager write it.

    camera_matrix and distortion_coefficients are used for raw images, projection_matrix for rectified ones and where
    camera_matrix is 0. rectification_matrix is not used.

    Args:
        path: of the file.
        rectified: whether the images are rectified.

    Raises:
        UncalibratedError: camera_matrix starts with 0, and so does projection_matrix.
        CalibrationError: the file is missing, no YAML, lacks or misshapes an entry, or fits no lens.
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
    matrix = _numbers(fields, 'camera_matrix', path, 9)
    projection = _numbers(fields, 'projection_matrix', path, 12) if 'projection_matrix' in fields else []
    return _calibration(
        str(fields.get('camera_name') or path),
        (width, height),
        matrix,
        projection,
        str(_entry(fields, 'distortion_model', path) or ''),
        _numbers(fields, 'distortion_coefficients', path),
        rectified,
    )


def calibration_of(
    info: CameraInfoFields, image_width: int, image_height: int, name: str = '', rectified: bool = False
) -> CameraCalibration:
    """The calibration of one image that a sensor_msgs/CameraInfo describes.

    K and D describe a raw image, P a rectified one. P is also used where K is 0 and D has no coefficients. The region
    of interest and the binning are applied, unless the driver already has: then the image has the size of the info. The
    intrinsics are scaled to the image's size, which drivers that resize often leave out of their CameraInfo.

    Args:
        info: the message, or an object with its fields.
        image_width: pixels of the image.
        image_height: pixels of the image.
        name: of the camera, named in errors.
        rectified: whether the image is rectified.

    Raises:
        UncalibratedError: info.k[0] and info.p[0] are 0.
        CameraSizeError: the image has another aspect ratio than info.
        CalibrationError: the fields contradict each other, are not finite, or fit no lens.
    """
    roi = info.roi
    calibration = _calibration(
        name or 'camera_info',
        (info.width, info.height),
        info.k,
        info.p,
        info.distortion_model,
        info.d,
        rectified,
        bool(roi.width or roi.height),
    )
    across, down = max(info.binning_x, 1), max(info.binning_y, 1)
    if (image_width, image_height) == (info.width, info.height) or not (roi.width or roi.height or across * down > 1):
        return calibration.for_image(image_width, image_height)
    columns, rows = roi.width or info.width, roi.height or info.height
    leaves = roi.x_offset + columns > info.width or roi.y_offset + rows > info.height
    readings = [calibration]
    if not leaves:
        window = calibration.camera.window(
            roi.x_offset - 0.5, roi.y_offset - 0.5, columns, rows, max(columns // across, 1), max(rows // down, 1)
        )
        region = dataclasses.replace(calibration, camera=window)
        if abs(image_width - window.width) <= 1 and abs(image_height - window.height) <= 1:
            return region.for_image(image_width, image_height)
        readings = [region] if (columns, rows) == (info.width, info.height) else [region, calibration]
    fitting = [reading for reading in readings if reading.has_shape(image_width, image_height)]
    if len(fitting) == 1:
        return fitting[0].for_image(image_width, image_height)
    where = f'the region of interest {columns}x{rows} at ({roi.x_offset}, {roi.y_offset})'
    of = f'of {info.width}x{info.height} pixels'
    if fitting:
        raise CalibrationError(
            f'{calibration.name}: the image is {image_width}x{image_height} pixels, which is the shape of {where} '
            f'and of the whole image {of}: set the region to 0 if the image is the whole one, or publish it unscaled'
        )
    if leaves:
        raise CalibrationError(
            f'{calibration.name}: {where} leaves the image {of}: give width, height and K of the whole sensor'
        )
    return readings[0].for_image(image_width, image_height)  # raises


def _calibration(
    name: str,
    size: tuple[int, int],
    matrix: Sequence[float],
    projection: Sequence[float],
    model: str,
    distortion: Sequence[float],
    rectified: bool,
    cropped: bool = False,
) -> CameraCalibration:
    has_matrix, has_projection = matrix[0] != 0, len(projection) > 0 and projection[0] != 0
    if not has_matrix and not has_projection:
        raise UncalibratedError(
            f'{name}: the camera is not calibrated (k[0] is 0): calibrate it, for example with '
            '`ros2 run camera_calibration cameracalibrator`'
        )
    lens: tuple[str, tuple[float, ...]] = ('', ())
    if not (rectified and has_projection):
        try:
            lens = read_distortion(model, distortion)
        except DistortionError as error:
            raise CalibrationError(f'{name}: {error}') from error
        distorted = any(lens[1]) or (lens[0] == 'equidistant' and bool(lens[1]))
        if rectified and distorted:
            raise CalibrationError(
                f'{name}: the image is rectified, but P is not filled (p[0] is 0) and D describes the raw image: '
                'fill P, or set rectified to false if the image is raw'
            )
        if not has_matrix and distorted:
            raise CalibrationError(
                f'{name}: K is not filled (k[0] is 0), but D has coefficients: fill K, or set rectified to '
                'true if the image is rectified, which takes P'
            )
    if has_projection and (rectified or not has_matrix):
        fx, fy, cx, cy = projection[0], projection[5], projection[2], projection[6]
        fault = matrix_fault('P', projection)
    else:
        fx, fy, cx, cy = matrix[0], matrix[4], matrix[2], matrix[5]
        fault = matrix_fault('K', matrix)
    if fault:
        raise CalibrationError(f'{name}: {fault}')
    camera = Pinhole(size[0], size[1], float(fx), float(fy), float(cx), float(cy))
    calibration = CameraCalibration(camera, *lens, name)
    fault = intrinsics_fault(camera, cropped)
    if not fault and calibration.distorted:
        fault = distortion_fault(camera, *lens)
    if fault:
        raise CalibrationError(
            f'{name}: {fault}: this is the calibration of another camera or damaged; give the one of this image, or '
            'calibrate the camera again'
        )
    return calibration


def _entry(fields: Mapping[str, Any], name: str, path: Path) -> Any:
    if name not in fields:
        raise CalibrationError(f'{path}: lacks {name}, expected a ROS camera calibration file')
    return fields[name]


def _numbers(fields: Mapping[str, Any], name: str, path: Path, count: int | None = None) -> list[float]:
    matrix = _entry(fields, name, path)
    data = matrix.get('data') if isinstance(matrix, Mapping) else None
    if not isinstance(data, list) or not all(isinstance(number, (int, float)) for number in data):
        raise CalibrationError(f'{path}: {name} is {matrix!r}, expected rows, cols and a list of numbers as data')
    if count is not None and len(data) != count:
        raise CalibrationError(f'{path}: {name} has {len(data)} numbers, expected {count}')
    return data
