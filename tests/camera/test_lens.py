# SPDX-License-Identifier: Apache-2.0
"""Points into the original, distorted image."""

import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.camera.lens import Lens
from hoi_ros.camera.undistortion import undistort_points

CAMERA = Pinhole(640, 480, 610.0, 612.0, 318.0, 242.0)
LENSES = {
    'plumb_bob': (0.16, -0.5, 0.001, -0.0008, 0.45),  # of a depth camera's colour sensor
    'rational_polynomial': (0.5, -0.3, 0.0006, -0.0003, 0.01, 0.8, -0.25, 0.005),
    'equidistant': (-0.02, 0.01, -0.004, 0.001),
}
BARREL = CameraCalibration(CAMERA, 'plumb_bob', (-0.3, 0.02, 0.0, 0.0, 0.0))


def points_in_view():
    pixels = np.stack(np.meshgrid(np.linspace(20, 620, 9), np.linspace(20, 460, 7)), -1)
    return CAMERA.unproject(pixels, np.full((7, 9), 0.6))


@pytest.mark.parametrize('model', LENSES)
def test_projected_points_lie_on_the_ray_of_their_pixel(model):
    lens = Lens(CameraCalibration(CAMERA, model, LENSES[model]))
    points = points_in_view()
    pixels = lens.project(points)
    assert np.abs(pixels - CAMERA.project(points)).max() > 1
    np.testing.assert_allclose(undistort_points(lens.calibration, pixels), CAMERA.project(points), atol=0.01)


def test_without_distortion_it_is_the_pinhole():
    points = points_in_view()
    np.testing.assert_allclose(Lens(CameraCalibration(CAMERA)).project(points), CAMERA.project(points), atol=1e-9)


@pytest.mark.parametrize('calibration', [BARREL, CameraCalibration(CAMERA, 'plumb_bob', LENSES['plumb_bob'])])
def test_points_far_out_of_view_stay_outside_the_image(calibration):
    across = np.linspace(0, 40, 500)
    points = np.stack([across, 0.3 * across, np.ones(500)], -1)
    x = Lens(calibration).project(points)[:, 0]
    assert (np.diff(x) > 0).all()


@pytest.mark.parametrize('calibration', [CameraCalibration(CAMERA), BARREL])
def test_points_at_and_behind_the_camera_are_finite_and_out_of_view(calibration):
    points = np.array([[0.1, 0.0, 0.0], [0.1, 0.0, -0.5], [-0.1, -0.1, -1e-6]])
    pixels = Lens(calibration).project(points)
    assert np.isfinite(pixels).all()
    assert (pixels[:2, 0] > CAMERA.width).all() and pixels[2, 0] < 0


def test_an_image_of_half_the_size_has_half_the_pixels():
    lens, points = Lens(BARREL), points_in_view()
    half = lens.scaled(320, 240)
    assert (half.width, half.height) == (320, 240)
    np.testing.assert_allclose(half.project(points), (lens.project(points) + 0.5) / 2 - 0.5, atol=1e-9)


def test_no_points_give_no_pixels():
    assert Lens(BARREL).project(np.empty((0, 3))).shape == (0, 2)
