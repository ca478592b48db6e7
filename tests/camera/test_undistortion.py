# SPDX-License-Identifier: Apache-2.0
"""Lens distortion, forward and back, for points and images."""

import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.camera.lens import Lens
from hoi_ros.camera.undistortion import distort_points
from hoi_ros.camera.undistortion import Rectifier
from hoi_ros.camera.undistortion import share_in_view
from hoi_ros.camera.undistortion import undistort_in_front
from hoi_ros.camera.undistortion import undistort_points

CAMERA = Pinhole(320, 240, 250.0, 252.0, 158.0, 122.0)
LENSES = {
    'plumb_bob': (0.12, -0.24, 0.001, -0.0008, 0.09),
    'rational_polynomial': (0.5, -0.3, 0.0006, -0.0003, 0.01, 0.8, -0.25, 0.005),
    'equidistant': (-0.02, 0.01, -0.004, 0.001),
}


def lens(model):
    return CameraCalibration(CAMERA, model, LENSES[model])


def grid():
    return np.stack(np.meshgrid(np.linspace(40, 280, 9), np.linspace(30, 210, 7)), -1)


@pytest.mark.parametrize('model', LENSES)
def test_points_go_there_and_back(model):
    calibration, pixels = lens(model), grid()
    bent = distort_points(calibration, pixels)
    assert bent.shape == pixels.shape and np.abs(bent - pixels).max() > 1
    np.testing.assert_allclose(undistort_points(calibration, bent), pixels, atol=1e-3)


def test_plumb_bob_is_brown_conrady():
    k1, k2, p1, p2, k3 = LENSES['plumb_bob']
    x, y = np.moveaxis((grid() - [CAMERA.cx, CAMERA.cy]) / [CAMERA.fx, CAMERA.fy], -1, 0)
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    bent = np.stack(
        [x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], -1
    )
    expected = bent * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy]
    np.testing.assert_allclose(distort_points(lens('plumb_bob'), grid()), expected, atol=1e-6)


def test_equidistant_is_kannala_brandt():
    x, y = np.moveaxis((grid() - [CAMERA.cx, CAMERA.cy]) / [CAMERA.fx, CAMERA.fy], -1, 0)
    radius = np.hypot(x, y)
    angle = np.arctan(radius)
    bent = angle * (1 + sum(k * angle ** (2 * i + 2) for i, k in enumerate(LENSES['equidistant'])))
    scale = np.where(radius > 0, bent / np.maximum(radius, 1e-12), 1)
    expected = np.stack([x * scale, y * scale], -1) * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy]
    np.testing.assert_allclose(distort_points(lens('equidistant'), grid()), expected, atol=1e-6)


def test_what_a_wide_lens_sees_beyond_a_plane_has_no_place_in_it():
    """A fisheye of 163 degrees: the corners of its image lie behind the plane of the undistorted one."""
    wide = CameraCalibration(Pinhole(848, 800, 286.0, 286.0, 424.0, 400.0), 'equidistant', (0.0, 0.0, 0.0, 0.0))
    corner, middle = np.array([[0.0, 0.0], [20.0, 30.0]]), np.array([[424.0, 400.0], [500.0, 300.0]])
    assert not len(undistort_in_front(Lens(wide), corner))
    np.testing.assert_allclose(undistort_in_front(Lens(wide), middle), undistort_points(wide, middle))
    # The plane shows 56 degrees to each side, 286 * 0.977 pixels of the lens.
    assert 0.33 < share_in_view(Lens(wide)) < 0.43
    assert share_in_view(Lens(lens('plumb_bob'))) > 0.9
    assert share_in_view(Lens(CameraCalibration(CAMERA, '', ()))) == 1


@pytest.mark.parametrize('model', LENSES)
def test_images_move_as_points_do(model):
    calibration = lens(model)
    rows, columns = np.mgrid[:240, :320].astype(np.float32)
    rectifier = Rectifier(calibration)
    assert rectifier.camera == CAMERA
    seen = np.stack([rectifier.depth(columns + 1), rectifier.depth(rows + 1)], -1)
    inside = (seen > 0).all(-1)
    assert inside.mean() > 0.8
    source = distort_points(calibration, np.stack([columns, rows], -1))
    assert np.abs(seen - 1 - source)[inside].max() <= 0.5 + 0.05


@pytest.mark.parametrize('model', LENSES)
def test_depth_edges_are_never_blended(model):
    depth = np.where(np.random.default_rng(0).random((240, 320)) < 0.5, 0.3, 1.2).astype(np.float32)
    rectified = Rectifier(lens(model)).depth(depth)
    assert rectified.dtype == np.float32
    assert set(np.unique(rectified)) <= {np.float32(0), np.float32(0.3), np.float32(1.2)}


def test_colours_are_interpolated():
    image = np.zeros((240, 320, 3), np.uint8)
    image[:, 160:] = 200
    rectified = Rectifier(lens('plumb_bob')).colour(image)
    assert rectified.shape == image.shape and len(np.unique(rectified)) > 2


@pytest.mark.parametrize('calibration', [CameraCalibration(CAMERA), CameraCalibration(CAMERA, 'plumb_bob', (0,) * 5)])
def test_without_distortion_nothing_is_touched(calibration):
    depth = np.ones((240, 320), np.float32)
    assert Rectifier(calibration).depth(depth) is depth
    np.testing.assert_array_equal(undistort_points(calibration, grid()), grid())
    np.testing.assert_array_equal(distort_points(calibration, grid()), grid())


def test_an_ideal_equidistant_lens_still_bends():
    calibration = CameraCalibration(CAMERA, 'equidistant', (0, 0, 0, 0))
    assert np.abs(distort_points(calibration, grid()) - grid()).max() > 1


def test_no_points():
    assert undistort_points(lens('plumb_bob'), np.empty((0, 2))).shape == (0, 2)


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match='640x480 pixels, expected 320x240'):
        Rectifier(lens('plumb_bob')).depth(np.ones((480, 640), np.float32))
