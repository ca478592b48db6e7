# SPDX-License-Identifier: Apache-2.0
"""The cube around the hand: where things appear in it, and the way back to metres."""

import numpy as np
import pytest

from hoi_ros.camera.crop import CubeCrop
from hoi_ros.camera.crop import normalise_depth
from hoi_ros.camera.pinhole import Pinhole

CAMERA = Pinhole(320, 240, 300.0, 290.0, 159.5, 119.5)
SIZE = 96
BOTH_SIDES = pytest.mark.parametrize('mirrored', [False, True])


def sphere_depth(camera: Pinhole, centre: np.ndarray, radius: float) -> np.ndarray:
    """(H, W) depth of a sphere seen by a camera, 0 beside it."""
    columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = camera.unproject(np.stack([columns, rows], -1), np.ones((camera.height, camera.width)))
    a, b = (rays**2).sum(-1), rays @ centre
    root = b**2 - a * (centre @ centre - radius**2)
    return np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, 0).astype(np.float32)


def cells(size: int) -> np.ndarray:
    """(size, size, 2) normalised u, v of the centre of each pixel of a crop."""
    line = (np.arange(size) + 0.5) * 2 / size - 1
    return np.stack(np.meshgrid(line, line), -1)


@BOTH_SIDES
@pytest.mark.parametrize('turn', [0.0, 2.2])
def test_normalised_and_metric_points_are_inverse(mirrored: bool, turn: float) -> None:
    crop = CubeCrop(CAMERA, np.array([0.11, -0.07, 0.62]), 0.25, mirrored, turn)
    points = np.random.default_rng(0).uniform(-1.2, 1.2, (50, 3))
    np.testing.assert_allclose(crop.from_camera(crop.to_camera(points)), points, atol=1e-12)
    np.testing.assert_allclose(crop.to_camera(np.zeros(3)), crop.centre, atol=1e-12)


@BOTH_SIDES
def test_the_cube_is_as_large_as_it_says(mirrored: bool) -> None:
    crop = CubeCrop(CAMERA, np.array([0.11, -0.07, 0.62]), 0.25, mirrored)
    corners = crop.to_camera(np.stack(np.meshgrid(*3 * [[-1.0, 0.0, 1.0]], indexing='ij'), -1))
    np.testing.assert_allclose(corners[1, 1, :, 2], [0.495, 0.62, 0.745], atol=1e-12)
    across, down = corners[2, 1, 1] - corners[0, 1, 1], corners[1, 2, 1] - corners[1, 0, 1]
    np.testing.assert_allclose([across, down], [[-0.25 if mirrored else 0.25, 0, 0], [0, 0.25, 0]], atol=1e-12)


@BOTH_SIDES
def test_a_sphere_appears_where_it_is_and_as_large_as_it_is(mirrored: bool) -> None:
    centre, radius, side = np.array([0.03, 0.02, 0.5]), 0.04, 0.25
    crop = CubeCrop(CAMERA, centre - [0.05, -0.025, 0.03], side, mirrored)
    image = crop.cut(sphere_depth(CAMERA, centre, radius), SIZE)
    assert image.shape == (SIZE, SIZE) and image.dtype == np.float32

    seen = image < 1
    u, v = cells(SIZE)[seen].mean(0)
    # The sphere's centre lies 30 mm behind the cube's, so it looks smaller by 0.47 / 0.5.
    assert (u, v) == pytest.approx(crop.from_camera(centre)[:2], abs=0.015)
    assert u * (-1 if mirrored else 1) > 0.3 and v < -0.15
    assert np.sqrt(seen.mean() / np.pi) * 2 == pytest.approx(2 * radius / side * 0.47 / 0.5, rel=0.03)
    assert image.min() == pytest.approx((0.03 - radius) * 2 / side, abs=0.01)

    surface = crop.to_camera(np.concatenate([cells(SIZE), image[..., None]], -1)[seen])
    off = np.abs(np.linalg.norm(surface - centre, axis=1) - radius)
    # A pixel's depth is that of the nearest image pixel, up to half a pixel aside.
    assert np.median(off) < 0.001 and np.quantile(off, 0.9) < 0.005


@BOTH_SIDES
def test_pixels_that_need_no_resampling_are_taken_as_they_are(mirrored: bool) -> None:
    depth = np.random.default_rng(1).uniform(0.4, 0.6, (240, 320)).astype(np.float32)
    camera = Pinhole(320, 240, 300.0, 300.0, 159.5, 119.5)
    crop = CubeCrop(camera, np.array([0, 0, 0.5]), 64 * 0.5 / 300, mirrored)
    expected = normalise_depth(depth[88:152, 128:192], 0.5, crop.side)
    np.testing.assert_array_equal(crop.cut(depth, 64), expected[:, ::-1] if mirrored else expected)
    assert 0.2 < (expected < 1).mean() < 0.8


@BOTH_SIDES
def test_a_turned_crop_is_the_view_of_a_camera_rolled_about_its_axis(mirrored: bool) -> None:
    camera = Pinhole(320, 240, 300.0, 300.0, 159.5, 119.5)
    centre, ball, small_ball = np.array([[0.03, 0.02, 0.5], [0.07, 0.03, 0.51], [0.02, -0.04, 0.48]])
    turn = 0.8
    # Clockwise in the picture, where y points down; the mirror comes first.
    roll = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    moved = roll @ np.diag([-1.0 if mirrored else 1.0, 1, 1])

    def two_balls(motion: np.ndarray) -> np.ndarray:
        return np.maximum(sphere_depth(camera, motion @ ball, 0.03), sphere_depth(camera, motion @ small_ball, 0.015))

    turned = CubeCrop(camera, centre, 0.25, mirrored, turn).cut(two_balls(np.eye(3)), SIZE)
    rolled = CubeCrop(camera, moved @ centre, 0.25).cut(two_balls(moved), SIZE)
    assert ((turned < 1) == (rolled < 1)).mean() > 0.99 and 0.03 < (turned < 1).mean() < 0.2
    both = (turned < 1) & (rolled < 1)
    assert np.median(np.abs(turned - rolled)[both]) < 0.01
    crop, seen_by_rolled = CubeCrop(camera, centre, 0.25, mirrored, turn), CubeCrop(camera, moved @ centre, 0.25)
    np.testing.assert_allclose(crop.from_camera(ball), seen_by_rolled.from_camera(moved @ ball), atol=1e-12)


def test_what_is_not_a_surface_inside_the_cube_is_far() -> None:
    depth = np.full((240, 320), 0.5, np.float32)
    depth[:, 100:120], depth[:, 120:140], depth[:, 140:160], depth[:, 160:180] = 0, np.nan, 0.37, 0.63
    crop = CubeCrop(CAMERA, np.array([0, 0, 0.5]), 0.25)
    image = crop.cut(depth, SIZE)
    columns = np.rint(CAMERA.project(crop.to_camera(np.concatenate([cells(SIZE), image[..., None] * 0], -1)))[..., 0])
    within = (columns >= 101) & (columns < 179)
    assert within.any() and (image[within] == 1).all()
    np.testing.assert_allclose(image[(columns < 99) | (columns > 181)], 0, atol=1e-6)


def test_no_depth_is_far_even_in_a_cube_that_reaches_the_camera() -> None:
    depth = np.full((240, 320), 0.12, np.float32)
    depth[:, ::2], depth[::2] = 0, np.nan
    image = CubeCrop(CAMERA, np.array([0, 0, 0.12]), 0.25).cut(depth, SIZE)
    assert set(np.unique(image.round(6))) == {0, 1} and (image == 1).mean() > 0.6


def test_what_lies_outside_of_the_image_is_far() -> None:
    corner = CAMERA.unproject(np.array([-0.5, -0.5]), np.array(0.5))
    image = CubeCrop(CAMERA, corner, 0.25).cut(np.full((240, 320), 0.5, np.float32), SIZE)
    assert (image[:47] == 1).all() and (image[:, :47] == 1).all()
    np.testing.assert_allclose(image[49:, 49:], 0, atol=1e-6)


def test_the_surface_is_what_the_cube_holds() -> None:
    camera = Pinhole(640, 480, 476.0, 476.0, 313.7, 242.8)
    depth = np.zeros((480, 640), np.float32)
    depth[200:280, 300:360] = 0.5
    depth[200:280, 360:420] = 0.9
    crop = CubeCrop(camera, camera.unproject(np.array([340.0, 240.0]), 0.5), 0.27)
    points = crop.surface(depth)
    assert 40 < len(points) <= 450
    np.testing.assert_allclose(points[:, 2], 0.5, atol=1e-6)
    pixels = camera.project(points)
    assert ((pixels > [295, 195]) & (pixels < [365, 285])).all()
    assert not len(crop.surface(np.full((480, 640), np.nan, np.float32)))


@BOTH_SIDES
@pytest.mark.parametrize('turn', [0.0, 2.2])
@pytest.mark.parametrize('roll', [0.0, 0.5])
def test_upright_the_fingers_point_up(mirrored: bool, turn: float, roll: float) -> None:
    centre = np.array([0.12, -0.05, 0.5])
    crop = CubeCrop(CAMERA, centre, 0.25, mirrored, turn)
    for seed in range(5):
        # The wrist and four knuckles on one line through the cube's middle, which perspective leaves in place.
        way = np.random.default_rng(seed).normal(0, 0.02, 3)
        hand = np.tile(centre - way, (21, 1))
        hand[[5, 9, 13, 17]] = centre + way
        upright = crop.upright(hand, roll)
        u, v = (upright.from_camera(centre + way / 100) * 1e4)[:2]
        # Clockwise in the picture.
        assert np.arctan2(u, -v) == pytest.approx(roll, abs=0.02)
        assert (upright.centre == centre).all() and (upright.side, upright.mirrored) == (0.25, mirrored)
    assert np.isfinite(crop.upright(np.zeros((21, 3))).turn)
