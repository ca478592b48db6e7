# SPDX-License-Identifier: Apache-2.0
"""CameraInfo as drivers fill it: K or P, rectified images, binning and regions."""

import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.camera.calibration import calibration_of
from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.camera.calibration import CameraSizeError
from hoi_ros.camera.calibration import load_camera_yaml
from hoi_ros.camera.calibration import UncalibratedError

from .test_calibration import edited
from .test_calibration import Info
from .test_calibration import Roi

P = (800.0, 0, 630.0, 0, 0, 802.0, 350.0, 0, 0, 0, 1, 0)
RAW = Pinhole(1280, 720, 900, 901, 640, 360)
RECTIFIED = Pinhole(1280, 720, 800, 802, 630, 350)
NO_K, NO_D = (0.0,) * 9, (0.0,) * 5


def test_a_rectified_image_takes_p_and_is_not_undistorted_again():
    calibration = calibration_of(Info(p=P), 1280, 720, rectified=True)
    assert calibration.camera == RECTIFIED and not calibration.distorted
    raw = calibration_of(Info(p=P), 1280, 720)
    assert raw.camera == RAW and raw.distorted


def test_the_distortion_model_of_a_rectified_image_does_not_matter():
    assert calibration_of(Info(p=P, distortion_model='f_theta'), 1280, 720, rectified=True).camera == RECTIFIED


def test_p_of_the_second_camera_of_a_stereo_pair_is_that_of_its_own_image():
    info = Info(p=(*P[:3], -96.0, *P[4:]))
    assert calibration_of(info, 1280, 720, rectified=True).camera == RECTIFIED


def test_only_p_is_filled():
    assert calibration_of(Info(k=NO_K, p=P, d=NO_D), 1280, 720).camera == RECTIFIED
    assert calibration_of(Info(k=NO_K, p=P, d=()), 1280, 720).camera == RECTIFIED


def test_a_rectified_image_without_p_or_distortion_takes_k():
    assert calibration_of(Info(d=NO_D), 1280, 720, rectified=True).camera == RAW


@pytest.mark.parametrize(
    ('info', 'rectified', 'error', 'told'),
    [
        (Info(k=NO_K, p=P), False, CalibrationError, 'fill K, or set rectified to true'),
        (Info(), True, CalibrationError, 'fill P, or set rectified to false'),
        (Info(k=NO_K), False, UncalibratedError, 'not calibrated'),
        (Info(k=NO_K), True, UncalibratedError, 'not calibrated'),
        (Info(d=(-2.0, 0, 0, 0, 0)), False, CalibrationError, 'as no lens does'),
        (Info(k=(9.0, 0, 640, 0, 9.0, 360, 0, 0, 1)), False, CalibrationError, 'focal lengths'),
        (Info(k=(900.0, 0, 1900, 0, 900, 540, 0, 0, 1)), False, CalibrationError, 'principal point'),
    ],
)
def test_what_is_ambiguous_or_of_no_lens_is_refused_with_the_mend(info, rectified, error, told):
    with pytest.raises(error, match=told):
        calibration_of(info, 1280, 720, rectified=rectified)


@pytest.mark.parametrize(
    'info',
    [
        Info(binning_x=2, binning_y=2),
        Info(binning_x=2, binning_y=1),
        Info(roi=Roi(320, 180, 1280, 720)),
        Info(roi=Roi(320, 180, 1280, 720), binning_x=2, binning_y=2),
        Info(roi=Roi(0, 0, 2560, 1440), binning_x=2, binning_y=2),
        Info(roi=Roi(100, 50, 800, 600)),
    ],
)
def test_binning_and_regions_that_the_driver_has_applied_are_not_applied_again(info):
    assert calibration_of(info, 1280, 720).camera == RAW


def test_a_region_that_the_driver_has_applied_to_a_resized_image():
    info = Info(roi=Roi(320, 180, 1280, 720))
    assert calibration_of(info, 640, 360).camera == RAW.scaled(640, 360)


def test_an_applied_region_beside_the_axis():
    info = Info(width=320, height=240, k=(900.0, 0, -50, 0, 900, 100, 0, 0, 1), d=NO_D, roi=Roi(690, 260, 320, 240))
    assert calibration_of(info, 320, 240).camera == Pinhole(320, 240, 900, 900, -50, 100)


def test_region_and_binning_of_a_rectified_image():
    camera = calibration_of(Info(p=P, roi=Roi(100, 50, 800, 600)), 800, 600, rectified=True).camera
    assert camera == Pinhole(800, 600, 800, 802, 530, 300)
    binned = calibration_of(Info(p=P, binning_x=2, binning_y=2), 640, 360, rectified=True).camera
    np.testing.assert_allclose([binned.fx, binned.cx], [400, 314.75])


def test_an_image_of_the_shape_of_region_and_whole_is_refused():
    info = Info(roi=Roi(100, 50, 640, 360))
    assert calibration_of(info, 640, 360).camera.cx == 540
    with pytest.raises(CalibrationError, match='the shape of the region .* and of the whole image'):
        calibration_of(info, 320, 180)
    with pytest.raises(CameraSizeError, match='another shape'):
        calibration_of(info, 500, 500)


def test_a_calibration_file_of_rectified_images(tmp_path):
    def fill(fields):
        fields['projection_matrix'] = {'rows': 3, 'cols': 4, 'data': [500.0, 0, 320, 0, 0, 501, 240, 0, 0, 0, 1, 0]}
        fields['distortion_coefficients']['data'] = [0.1, -0.2, 0.001, 0.002, 0.05, 0, 0, 0]

    path = edited(tmp_path, fill)
    assert load_camera_yaml(path, rectified=True).camera == Pinhole(640, 480, 500, 501, 320, 240)
    raw = load_camera_yaml(path)
    assert raw.distortion == (0.1, -0.2, 0.001, 0.002, 0.05) and raw.camera.fx == 476.007
