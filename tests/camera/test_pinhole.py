# SPDX-License-Identifier: Apache-2.0
"""Points ↔ pixels, and what resizing or cutting the image makes of a camera."""

import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole

CAMERA = Pinhole(640, 480, 612.0, 604.0, 322.3, 238.1)


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform([-0.5, -0.4, 0.2], [0.5, 0.4, 2.0], (4, 25, 3))


def test_unprojecting_undoes_projecting(points: np.ndarray) -> None:
    pixels = CAMERA.project(points)
    assert pixels.shape == (4, 25, 2)
    np.testing.assert_allclose(CAMERA.unproject(pixels, points[..., 2]), points, atol=1e-12)


def test_projecting_is_what_the_intrinsic_matrix_says(points: np.ndarray) -> None:
    homogeneous = points @ CAMERA.matrix.T
    np.testing.assert_allclose(CAMERA.project(points), homogeneous[..., :2] / homogeneous[..., 2:], atol=1e-9)


def test_a_resized_image_keeps_its_edges(points: np.ndarray) -> None:
    small = CAMERA.scaled(160, 96)
    assert (small.width, small.height) == (160, 96)
    # The centre of the first pixel is 0, so the image's edge is −0.5, whatever its size.
    share_of_image = (CAMERA.project(points) + 0.5) / [640, 480]
    np.testing.assert_allclose((small.project(points) + 0.5) / [160, 96], share_of_image, atol=1e-9)


def test_a_window_shows_its_part_of_the_image(points: np.ndarray) -> None:
    left, top, width, height = 100.25, -20.5, 210.0, 150.0
    window = CAMERA.window(left, top, width, height, 128, 64)
    assert (window.width, window.height) == (128, 64)
    share_of_window = (CAMERA.project(points) - [left, top]) / [width, height]
    np.testing.assert_allclose((window.project(points) + 0.5) / [128, 64], share_of_window, atol=1e-9)
    assert CAMERA.window(-0.5, -0.5, 640, 480, 640, 480) == CAMERA
