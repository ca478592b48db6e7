# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.view_crop import ViewCrop

CAMERA = Pinhole(640, 480, 560.0, 560.0, 322.0, 236.0)
CROPS = [
    ViewCrop(CAMERA, np.array([90.0, 400.0]), 130, mirrored, turn) for mirrored in (False, True) for turn in (0.0, 0.7)
]


@pytest.mark.parametrize('crop', CROPS)
def test_pixels_land_where_their_points_are_projected(crop: ViewCrop) -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    pixel = np.array([110, 380])
    cv2.circle(image, tuple(int(x) for x in pixel), 3, (255, 255, 255), -1)
    cut = crop.warp(image, 128)[..., 0].astype(float)
    rows, columns = np.mgrid[:128, :128]
    seen = np.array([(columns * cut).sum(), (rows * cut).sum()]) / cut.sum()
    expected = crop.project(crop.from_camera(CAMERA.unproject(pixel, np.float64(0.6))))
    np.testing.assert_allclose((seen + 0.5) / 64 - 1, expected, atol=0.02)


@pytest.mark.parametrize('crop', CROPS)
def test_what_is_projected_comes_back(crop: ViewCrop) -> None:
    points = np.array([[-0.2, 0.15, 0.6], [-0.25, 0.1, 0.9]])
    turned = crop.from_camera(points)
    np.testing.assert_allclose(crop.to_camera(turned), points, atol=1e-12)
    for point in turned:
        np.testing.assert_allclose(crop.point(crop.project(point), crop.width_at(point[2])), point, atol=1e-12)


def test_a_hand_in_the_middle_is_cut_as_it_is() -> None:
    crop = ViewCrop(CAMERA, np.array([CAMERA.cx, CAMERA.cy]), 100)
    points = np.array([[0.02, -0.03, 0.7]])
    np.testing.assert_allclose(crop.from_camera(points), points, atol=1e-12)
    pixels = CAMERA.project(points) - [CAMERA.cx, CAMERA.cy]
    np.testing.assert_allclose(crop.project(points), pixels / 50, atol=1e-9)


def test_a_point_at_the_squares_centre_is_straight_ahead() -> None:
    crop = CROPS[1]
    ahead = crop.from_camera(CAMERA.unproject(crop.centre, np.float64(0.5)))
    np.testing.assert_allclose(ahead[:2], 0, atol=1e-12)


def test_a_hand_that_fills_a_photo_lands_where_it_is_projected(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is not warped at the photo's resolution."""
    sizes, warp = [], cv2.warpPerspective
    monkeypatch.setattr(cv2, 'warpPerspective', lambda *given, **named: sizes.append(given[2]) or warp(*given, **named))
    camera = Pinhole(4003, 3001, 3500.0, 3500.0, 2010.0, 1490.0)
    crop = ViewCrop(camera, np.array([1900.0, 1500.0]), 2700, True, 0.7)
    image = np.zeros((3001, 4003, 3), np.uint8)
    pixel = np.array([2500, 900])
    cv2.circle(image, (2500, 900), 90, (255, 255, 255), -1)
    cut = crop.warp(image, 128)[..., 0].astype(float)
    rows, columns = np.mgrid[:128, :128]
    seen = np.array([(columns * cut).sum(), (rows * cut).sum()]) / cut.sum()
    expected = crop.project(crop.from_camera(camera.unproject(pixel, np.float64(0.6))))
    np.testing.assert_allclose((seen + 0.5) / 64 - 1, expected, atol=0.004)
    assert sizes == [(384, 384)]


def test_a_large_image_is_averaged_not_sampled() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (2160, 3840), dtype=np.uint8)
    camera = Pinhole(3840, 2160, 3000, 3000, 1919.5, 1079.5)
    cut = ViewCrop(camera, np.array([1919.5, 1079.5]), 1600).warp(image, 100)
    assert cut.std() < 12  # single pixels would keep the noise's 74


@pytest.mark.parametrize('mirrored', [False, True])
@pytest.mark.parametrize('roll', [0.0, -0.4])
def test_upright_the_fingers_point_up(mirrored: bool, roll: float) -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        hand = np.array([-0.3, 0.2, 0.7]) + rng.normal(0, 0.05, (21, 3))
        crop = ViewCrop(CAMERA, np.array([90.0, 400.0]), 130, mirrored, float(rng.uniform(-3, 3)))
        upright = crop.upright(hand, roll)
        wrist, *knuckles = upright.from_camera(hand[[0, 5, 9, 13, 17]])
        away = np.mean(knuckles, 0) - wrist
        way = away[:2] - knuckles[1][:2] * away[2] / knuckles[1][2]
        np.testing.assert_allclose(way / np.linalg.norm(way), [-np.sin(roll), -np.cos(roll)], atol=1e-9)
        assert (upright.centre == crop.centre).all() and (upright.side, upright.mirrored) == (130, mirrored)
    assert np.isfinite(crop.upright(np.zeros((21, 3))).turn)
