# SPDX-License-Identifier: Apache-2.0
"""Calibration files and CameraInfo."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from hoi_ros.camera import Pinhole
from hoi_ros.camera.calibration import calibration_of
from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.camera.calibration import CameraSizeError
from hoi_ros.camera.calibration import load_camera_yaml
from hoi_ros.camera.calibration import UncalibratedError

SR305 = Path(__file__).parents[1] / 'data' / 'sr305_camera.yaml'


@dataclasses.dataclass
class Roi:
    x_offset: int = 0
    y_offset: int = 0
    width: int = 0
    height: int = 0


@dataclasses.dataclass
class Info:
    width: int = 1280
    height: int = 720
    k: tuple = (900.0, 0, 640.0, 0, 901.0, 360.0, 0, 0, 1)
    p: tuple = (0.0,) * 12
    d: tuple = (0.1, -0.2, 0.001, 0.002, 0.05)
    distortion_model: str = 'plumb_bob'
    binning_x: int = 0
    binning_y: int = 0
    roi: Roi = dataclasses.field(default_factory=Roi)


def test_a_ros_calibration_file():
    calibration = load_camera_yaml(SR305)
    assert calibration.camera == Pinhole(640, 480, 476.007, 476.007, 313.683, 242.755)
    assert calibration.name == 'sr305_depth'
    assert calibration.distortion_model == 'plumb_bob' and calibration.distortion == (0.0,) * 5
    assert not calibration.distorted


def edited(tmp_path, edit):
    fields = yaml.safe_load(SR305.read_text())
    edit(fields)
    path = tmp_path / 'camera.yaml'
    path.write_text(yaml.safe_dump(fields))
    return path


@pytest.mark.parametrize(
    ('edit', 'told'),
    [
        (lambda f: f.pop('camera_matrix'), 'lacks camera_matrix'),
        (lambda f: f.pop('image_width'), 'lacks image_width'),
        (lambda f: f.pop('distortion_coefficients'), 'lacks distortion_coefficients'),
        (lambda f: f.update(image_width='wide'), "image_width 'wide'"),
        (lambda f: f.update(image_width=0), '0x480'),
        (lambda f: f['camera_matrix'].update(data=[1.0, 2.0]), 'camera_matrix has 2 numbers, expected 9'),
        (lambda f: f['camera_matrix'].update(data='none'), 'camera_matrix is .* expected rows, cols'),
        (lambda f: f.update(camera_matrix=3), 'camera_matrix is 3'),
        (lambda f: f['projection_matrix'].update(data=[1.0]), 'projection_matrix has 1 numbers, expected 12'),
        (
            lambda f: f.update(distortion_model='thin_prism', distortion_coefficients={'data': [0.1] * 4}),
            "model 'thin_prism', expected plumb_bob",
        ),
        (lambda f: f['distortion_coefficients'].update(data=[0.1, 0.2]), '2 coefficients .* expected 0, 4, 5, 8'),
        (lambda f: f['distortion_coefficients'].update(data=[math.nan] * 5), 'expected finite'),
        (lambda f: f['camera_matrix']['data'].__setitem__(0, -1.0), 'focal lengths .*above 0'),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path, edit, told):
    path = edited(tmp_path, edit)
    with pytest.raises(CalibrationError, match=told):
        load_camera_yaml(path)


def test_an_uncalibrated_file_says_so(tmp_path):
    path = edited(
        tmp_path,
        lambda fields: [fields['camera_matrix'].update(data=[0.0] * 9), fields.pop('projection_matrix')],
    )
    with pytest.raises(UncalibratedError, match='not calibrated'):
        load_camera_yaml(path)


@pytest.mark.parametrize('content', [b'a: [1', b'just text', b'- 1\n- 2\n', b'', b'\xff\xfe\x00'])
def test_what_is_no_calibration_file_is_refused(tmp_path, content):
    path = tmp_path / 'camera.yaml'
    path.write_bytes(content)
    with pytest.raises(CalibrationError, match='camera.yaml'):
        load_camera_yaml(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CalibrationError, match='absent.yaml'):
        load_camera_yaml(tmp_path / 'absent.yaml')


def test_camera_info_of_the_image():
    calibration = calibration_of(Info(), 1280, 720, 'front')
    assert calibration.camera == Pinhole(1280, 720, 900, 901, 640, 360)
    assert calibration.distorted and calibration.name == 'front'
    assert calibration == calibration_of(Info(), 1280, 720, 'front') and hash(calibration)


def test_numpy_fields_as_rclpy_gives_them():
    info = Info(k=np.array(Info.k), d=np.array(Info().d))
    assert calibration_of(info, 1280, 720) == calibration_of(Info(), 1280, 720)


def test_intrinsics_follow_a_resized_image():
    camera = calibration_of(Info(), 640, 360).camera
    assert (camera.width, camera.height) == (640, 360)
    # The point on the axis stays in the middle of the pixels that were merged.
    np.testing.assert_allclose([camera.fx, camera.fy, camera.cx, camera.cy], [450, 450.5, 319.75, 179.75])


def test_binning_halves_and_the_region_shifts():
    binned = calibration_of(Info(binning_x=2, binning_y=2), 640, 360)
    assert binned == calibration_of(Info(), 640, 360)
    region = calibration_of(Info(roi=Roi(100, 50, 800, 600)), 800, 600).camera
    assert region == Pinhole(800, 600, 900, 901, 540, 310)
    both = calibration_of(Info(roi=Roi(100, 50, 800, 600), binning_x=2, binning_y=2), 400, 300).camera
    np.testing.assert_allclose([both.fx, both.cx, both.cy], [450, 269.75, 154.75])


def test_projection_survives_region_and_binning():
    point = np.array([0.1, -0.05, 0.7])
    whole = calibration_of(Info(), 1280, 720).camera.project(point)
    part = calibration_of(Info(roi=Roi(100, 50, 800, 600), binning_x=2, binning_y=2), 400, 300).camera.project(point)
    # Each pixel of the binned image spans two of the whole: its centre lies between them.
    np.testing.assert_allclose(part * 2 + 0.5 + [100, 50], whole)


@pytest.mark.parametrize(
    ('info', 'size', 'error', 'told'),
    [
        (Info(k=(0.0,) * 9), (1280, 720), UncalibratedError, 'not calibrated'),
        (Info(), (640, 480), CameraSizeError, '640x480 pixels, the calibration 1280x720'),
        (Info(), (720, 1280), CameraSizeError, 'another shape'),
        (Info(), (0, 0), CameraSizeError, '0x0'),
        (Info(width=0, height=0), (1280, 720), CalibrationError, '0x0.* fill width and height'),
        (Info(k=(900.0, 0, 0, 0, 901, 0, 640, 360, 1)), (1280, 720), CalibrationError, 'fill it row by row'),
        (Info(k=(900.0, 640, 0, 0, 901, 360, 0, 0, 1)), (1280, 720), CalibrationError, 'fill it row by row'),
        (Info(k=(900.0, 0, 640, 200, 901, 360, 0, 0, 1)), (1280, 720), CalibrationError, 'fill it row by row'),
        (Info(k=(900.0, 0, 0, 0, 901, 0, 0, 0, 1)), (1280, 720), CalibrationError, 'only the focal lengths'),
        (Info(k=(476.0, 477, 320, 240, 0, 0, 0, 0, 0)), (1280, 720), CalibrationError, 'fx 0 cx 0 fy cy 0 0 1'),
        (
            Info(k=(0.0,) * 9, p=(900.0, 0, 0, 0, 901, 0, 640, 360, 1, 0, 0, 0), d=()),
            (1280, 720),
            CalibrationError,
            '^camera_info: P is',
        ),
        (Info(k=(math.nan, 0, 1, 0, 1, 1, 0, 0, 1)), (1280, 720), CalibrationError, 'nan.*finite'),
        (Info(k=(math.inf, 0, 1, 0, 1, 1, 0, 0, 1)), (1280, 720), CalibrationError, 'inf'),
        (Info(d=(math.nan,) * 5), (1280, 720), CalibrationError, 'expected finite'),
        (Info(distortion_model='fov'), (1280, 720), CalibrationError, "'fov'"),
        (Info(roi=Roi(1000, 0, 800, 600)), (800, 600), CalibrationError, 'leaves the image'),
    ],
)
def test_bad_camera_info_is_refused_by_name(info, size, error, told):
    with pytest.raises(error, match=told):
        calibration_of(info, *size)


def test_an_odd_size_halved_by_the_driver_is_the_same_shape():
    info = Info(width=1281, height=721)
    camera = calibration_of(info, 640, 360).camera
    assert (camera.width, camera.height) == (640, 360)
