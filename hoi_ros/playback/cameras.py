# SPDX-License-Identifier: Apache-2.0
"""The cameras of recorded images: of a calibration file, or of an assumed field of view."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

import yaml

from hoi_ros.camera import Pinhole
from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.camera.rectified import Rectified
from hoi_ros.playback.image_folder import folder_calibration

FIELD_OF_VIEW = 65.0
"""Degrees across the longer side of an image without a calibration: the main camera of a phone has about 67, most
webcams 60 to 70. An error of a tenth moves a hand by about a tenth of its distance and leaves its size."""
COLOUR_FOLDERS = 'rgb', 'color', 'colour'
"""Names of folders of colour images in a recording; the one of depth images is named depth."""


def cameras_of(
    camera: Path | None, fov: float, rectified: Rectified = 'auto', folders: Sequence[Path | None] = ()
) -> Callable[[int, int], CameraCalibration]:
    """The calibration of an image of width × height pixels: of a ROS calibration file, else of a field of view.

    Args:
        camera: the file.
        fov: degrees across the longer side.
        rectified, folders: as in `folder_calibration`.

    Raises:
        CalibrationError: the file is unusable, or the folders contradict each other. The returned function raises it
            for an image of another shape.
    """
    if camera is not None:
        return folder_calibration(camera, rectified, folders).for_image
    return functools.partial(assumed_camera, fov=fov)


def assumed_camera(width: int, height: int, fov: float = FIELD_OF_VIEW) -> CameraCalibration:
    """A camera without distortion, square pixels, its axis in the middle of the image.

    Args:
        width: pixels.
        height: pixels.
        fov: degrees across the longer side, so that a picture in portrait and one in landscape agree.
    """
    focal = max(width, height) / (2 * math.tan(math.radians(fov) / 2))
    return CameraCalibration(Pinhole(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2))


def fault_of_camera(fov: float | None, depth_scale: float | None) -> str:
    """What is wrong with the options `--fov` and `--depth-scale`; '' if nothing is, or where they are not given."""
    if fov is not None and not 1 <= fov <= 170:
        return f'--fov is {fov}, expected 1 to 170 degrees'
    if depth_scale is not None and not 0 < depth_scale < math.inf:
        return f'--depth-scale is {depth_scale}, expected metres above 0'
    return ''


def note_on_camera(camera: Path | None, fov: float | None) -> str:
    """Which field of view is assumed, or that the given one has no effect; '' where neither holds."""
    if camera is None:
        return f'no calibration: {fov or FIELD_OF_VIEW:g} degrees across the longer side are assumed (--fov)'
    return f'{camera} says the field of view: --fov has no effect' if fov else ''


def camera_beside(*folders: Path | None) -> Path | None:
    """`camera.yaml` in the first of these folders that holds one, else above one of them that is named rgb, color,
    colour or depth; a file counts as its folder."""
    beside = [source.parent if source.is_file() else source for source in folders if source is not None]
    named = [folder.absolute() for folder in beside if folder.absolute().name in (*COLOUR_FOLDERS, 'depth')]
    above = [folder.parent for folder in named]
    files = (folder / 'camera.yaml' for folder in beside + above)
    return next((file for file in files if file.is_file()), None)


def depth_scale_of(camera: Path | None) -> float | None:
    """Metres of one unit of the depth images beside a calibration file: its entry `depth_scale`, if it has one.

    Raises:
        CalibrationError: the entry is no number above 0.
    """
    if camera is None:
        return None
    try:
        fields = yaml.safe_load(camera.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None  # whoever loads the calibration says so
    if not isinstance(fields, dict) or 'depth_scale' not in fields:
        return None
    try:
        scale = float(fields['depth_scale'])  # YAML reads 1e-3, without a point, as text
    except (TypeError, ValueError):
        scale = math.nan
    if not 0 < scale < math.inf:
        raise CalibrationError(
            f'{camera}: depth_scale is {fields["depth_scale"]!r}, expected metres of one unit of the depth images, '
            'such as 0.001'
        )
    return scale
