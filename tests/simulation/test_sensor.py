# SPDX-License-Identifier: Apache-2.0
"""Each fault of the sensor model against its stated figure."""

import dataclasses

import numpy as np
import pytest

from hoi_ros.simulation.sensor import SensorModel

FOCAL = 500.0
CLEAN = SensorModel(
    baseline=0.05,
    projector_side=0,
    disparity_step=1e-5,
    disparity_noise=0.0,
    smoothing=0.0,
    grazing_cosine=0.0,
    edge_loss=0.0,
    flying=0.0,
    speckle_loss=0.0,
)


def observed(depth: np.ndarray, pitch: float = 1.0, seed: int = 0, **effects: float) -> np.ndarray:
    """The depth image that a camera delivers which has these effects and no others."""
    return dataclasses.replace(CLEAN, **effects).observe(depth, FOCAL, np.random.default_rng(seed), pitch)


def wall(depth: float) -> np.ndarray:
    return np.full((120, 160), depth, np.float32)


def box_before_a_wall() -> np.ndarray:
    """A box 0.5 m away in columns 80 to 120, a wall at 1 m."""
    depth = wall(1.0)
    depth[:, 80:121] = 0.5
    return depth


def test_without_effects_the_depth_stays_what_it_is() -> None:
    depth = box_before_a_wall()
    np.testing.assert_allclose(observed(depth), depth, rtol=1e-4)


def test_the_random_generator_decides_everything() -> None:
    depth = box_before_a_wall()
    first, again, other = (
        SensorModel.sample(rng).observe(depth, FOCAL, rng) for rng in map(np.random.default_rng, (3, 3, 4))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == np.float32 and first.shape == depth.shape


@pytest.mark.parametrize('pitch', [1.0, 4.0])
def test_depth_comes_in_steps_that_grow_with_its_square(pitch: float) -> None:
    found = {}
    for z in (0.4, 1.0):
        ramp = np.tile(np.linspace(0.97 * z, 1.03 * z, 4000, dtype=np.float32), (3, 1))
        steps = np.diff(np.unique(observed(ramp, pitch, disparity_step=0.05)))
        found[z] = np.median(steps)
        # The focal length and the disparities of the full-size sensor are `pitch` times this image's.
        assert found[z] == pytest.approx(z**2 * 0.05 / (FOCAL * pitch * CLEAN.baseline), rel=0.04)
    assert found[1.0] / found[0.4] == pytest.approx(6.25, rel=0.04)


@pytest.mark.parametrize('grain', [1.0, 3.0])
def test_noise_of_the_disparity_is_noise_of_the_depth_that_grows_with_its_square(grain: float) -> None:
    noise = {z: observed(wall(z), disparity_noise=0.1, noise_grain=grain).std() for z in (0.5, 1.0)}
    for z, deviation in noise.items():
        assert deviation == pytest.approx(z**2 * 0.1 / (FOCAL * CLEAN.baseline), rel=0.1)
    assert noise[1.0] / noise[0.5] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize('projector_side', [1, -1])
def test_a_shadow_lies_beside_a_near_surface_away_from_the_second_eye(projector_side: int) -> None:
    lost = observed(box_before_a_wall(), projector_side=projector_side) == 0
    width = FOCAL * CLEAN.baseline * (1 / 0.5 - 1 / 1.0)
    per_row = lost.sum(1)
    assert (np.abs(per_row - width) <= 1).all()
    columns = np.flatnonzero(lost.any(0))
    assert columns.max() == 79 if projector_side > 0 else columns.min() == 121


@pytest.mark.parametrize(('cosine_of_limit', 'least', 'most'), [(2.0, 0.0, 0.02), (1.0, 0.4, 0.6), (0.5, 0.9, 1.0)])
def test_surfaces_at_grazing_angles_are_lost(cosine_of_limit: float, least: float, most: float) -> None:
    limit = 0.25
    cosine = cosine_of_limit * limit
    # Along a logarithmic spiral each ray meets the surface at the same angle.
    angles = np.arange(-30, 30) / FOCAL
    depth = 0.5 * np.exp(np.sqrt(1 / cosine**2 - 1) * angles)
    surface = np.tile(depth.astype(np.float32)[:, None], (1, 1000))
    lost = (observed(surface, grazing_cosine=limit) == 0)[2:-2].mean()
    assert least <= lost <= most


def test_the_stated_shares_of_edge_pixels_are_lost_and_fly() -> None:
    depth = np.ones((400, 400), np.float32)
    depth[:, ::20] = depth[:, 1::20] = depth[:, 2::20] = depth[:, 3::20] = 0.5
    at_edge = np.zeros(depth.shape, bool)
    for column in (0, 3, 4, 19):
        at_edge[:, column::20] = True
    at_edge[:, [0, -1]] = False
    result = observed(depth, edge_loss=0.3, flying=0.2, edge_grain=1.0)
    floating = (result > 0.5 * 1.01) & (result < 1.0 * 0.99)
    assert (result[at_edge] == 0).mean() == pytest.approx(0.3, abs=0.03)
    assert floating[at_edge].mean() == pytest.approx(0.2, abs=0.03)
    np.testing.assert_allclose(result[~at_edge], depth[~at_edge], rtol=1e-4)


def test_smoothing_evens_out_surfaces_but_not_their_edges() -> None:
    rough = box_before_a_wall() * np.random.default_rng(0).normal(1, 0.002, (120, 160)).astype(np.float32)
    smooth = observed(rough, smoothing=1.5)
    for columns, z in ((slice(10, 70), 1.0), (slice(90, 110), 0.5)):
        assert smooth[:, columns].std() < 0.4 * rough[:, columns].std()
        assert smooth[:, columns].mean() == pytest.approx(z, rel=1e-3)
    np.testing.assert_allclose(smooth[:, [79, 80, 120, 121]], rough[:, [79, 80, 120, 121]], rtol=1e-4)


def test_speckles_take_about_the_stated_share() -> None:
    assert 0.01 < (observed(np.ones((480, 640), np.float32), speckle_loss=0.02) == 0).mean() < 0.03


def test_what_cannot_be_measured_stays_invalid() -> None:
    depth = box_before_a_wall()
    depth[:20], depth[20:40], depth[40:60] = 0, 0.1, 5.0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        result = SensorModel.sample(rng).observe(depth, FOCAL, rng)
        assert (result[:60] == 0).all() and np.isfinite(result).all()
        assert (result[60:] > 0).mean() > 0.4 and result.max() <= 4.0
