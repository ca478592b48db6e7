# SPDX-License-Identifier: Apache-2.0
"""The One-Euro filter: smooth at rest, quick in motion, safe against bad stamps and numbers."""

import math

import numpy as np
import pytest

from hoi_ros.stages.parts.one_euro import OneEuroConfig
from hoi_ros.stages.parts.one_euro import OneEuroFilter

RATE = 30.0


def filtered(points, stamps, config=OneEuroConfig()):
    filter = OneEuroFilter(config)
    return np.stack([filter(point, stamp) for point, stamp in zip(points, stamps)])


def lag_of_sine(amplitude, config=OneEuroConfig(), stamps=np.arange(0, 10, 1 / RATE)):
    """(lag in seconds, gain) of a 1 Hz sine along x, from the phase of its fundamental."""
    points = np.zeros((len(stamps), 3))
    points[:, 0] = amplitude * np.sin(2 * np.pi * stamps)
    carrier = np.exp(-2j * np.pi * stamps)[60:]
    response = (filtered(points, stamps, config)[60:, 0] @ carrier) / (points[60:, 0] @ carrier)
    return -np.angle(response) / (2 * np.pi), abs(response)


def test_the_documented_lag():
    wide, gain = lag_of_sine(0.10)
    assert wide == pytest.approx(0.012, abs=0.001) and gain == pytest.approx(1, abs=0.02)
    narrow, gain = lag_of_sine(0.02)
    assert narrow == pytest.approx(0.032, abs=0.001) and gain > 0.95


def test_the_documented_smoothing_of_jitter():
    stamps = np.arange(0, 60, 1 / RATE)
    noise = np.random.default_rng(0).normal(0, 0.002, (len(stamps), 21, 3))
    smooth = filtered(noise, stamps)[60:]
    assert smooth.std() < 0.55 * noise.std()
    assert np.diff(smooth, axis=0).std() < 0.32 * np.diff(noise, axis=0).std()


def test_a_higher_beta_lags_less_and_a_lower_cutoff_smooths_more():
    assert lag_of_sine(0.1, OneEuroConfig(beta=40))[0] < lag_of_sine(0.1, OneEuroConfig(beta=5))[0]
    assert lag_of_sine(0.02, OneEuroConfig(min_cutoff_hz=1))[0] > lag_of_sine(0.02, OneEuroConfig(min_cutoff_hz=5))[0]


def test_irregular_stamps_lag_alike():
    stamps = np.sort(np.random.default_rng(0).uniform(0, 10, 300))
    assert lag_of_sine(0.1, stamps=stamps)[0] == pytest.approx(lag_of_sine(0.1)[0], abs=0.006)


def test_a_constant_passes_unchanged():
    point = np.full((21, 3), 0.4, np.float32)
    out = filtered([point] * 5, [0, 0.1, 0.2, 0.25, 9])
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, np.stack([point] * 5))


def test_turning_the_camera_changes_nothing():
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_rotvec([0.3, -0.8, 0.5])
    points = np.random.default_rng(0).normal(0, 0.02, (50, 3)).cumsum(0)
    stamps = np.arange(50) / RATE
    np.testing.assert_allclose(filtered(turn.apply(points), stamps), turn.apply(filtered(points, stamps)), atol=1e-12)


def test_points_are_filtered_independently():
    points = np.random.default_rng(0).normal(0, 0.02, (50, 21, 3))
    stamps = np.arange(50) / RATE
    np.testing.assert_allclose(filtered(points, stamps)[:, 7], filtered(points[:, 7], stamps))


def test_a_repeated_stamp_returns_the_last_estimate():
    filter = OneEuroFilter()
    filter(np.zeros(3), 1.0)
    last = filter(np.ones(3), 1.1)
    np.testing.assert_array_equal(filter(np.full(3, 5.0), 1.1), last)
    assert np.isfinite(filter(np.ones(3), 1.2)).all()


def test_a_stamp_going_backwards_starts_afresh():
    filter = OneEuroFilter()
    for stamp in (10.0, 10.1, 10.2):
        filter(np.zeros(3), stamp)
    np.testing.assert_array_equal(filter(np.ones(3), 2.0), np.ones(3))
    assert (filter(np.zeros(3), 2.1) < 1).all()


def test_after_a_long_gap_the_new_value_counts():
    filter = OneEuroFilter()
    filter(np.zeros(3), 0.0)
    np.testing.assert_allclose(filter(np.ones(3), 60.0), 1, atol=0.01)


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_never_enter_the_state(bad):
    stamps = np.arange(20) / RATE
    points = np.random.default_rng(0).normal(0, 0.01, (20, 2, 3))
    broken = points.copy()
    broken[8:11, 0, 1] = bad
    out, clean = filtered(broken, stamps), filtered(points, stamps)
    assert np.isnan(out[8:11, 0]).all()
    assert np.isfinite(np.delete(out, [8, 9, 10], 0)).all()
    np.testing.assert_array_equal(out[:, 1], clean[:, 1])
    # As if the broken frames had never been.
    np.testing.assert_allclose(
        np.delete(out[:, 0], [8, 9, 10], 0),
        filtered(np.delete(points[:, 0], [8, 9, 10], 0), np.delete(stamps, [8, 9, 10])),
    )


def test_a_point_first_seen_later_passes_unchanged():
    filter = OneEuroFilter()
    assert np.isnan(filter(np.full((1, 3), np.nan), 0.0)).all()
    np.testing.assert_array_equal(filter(np.ones((1, 3)), 0.1), np.ones((1, 3)))


def test_reset_forgets():
    filter = OneEuroFilter()
    filter(np.zeros(3), 0.0)
    filter.reset()
    np.testing.assert_array_equal(filter(np.ones((2, 3)), 0.1), np.ones((2, 3)))


def test_what_was_returned_is_not_changed_later():
    filter = OneEuroFilter()
    first = filter(np.zeros(3), 0.0)
    filter(np.ones(3), 0.1)
    np.testing.assert_array_equal(first, 0)


def test_another_shape_and_bad_stamps_are_refused():
    filter = OneEuroFilter()
    filter(np.zeros((21, 3)), 0.0)
    with pytest.raises(ValueError, match=r'\(20, 3\), expected \(21, 3\)'):
        filter(np.zeros((20, 3)), 0.1)
    with pytest.raises(ValueError, match='stamp is nan'):
        filter(np.zeros((21, 3)), math.nan)


@pytest.mark.parametrize(
    ('field', 'value'),
    [('min_cutoff_hz', 0), ('min_cutoff_hz', -1), ('beta', -1), ('beta', math.nan), ('derivative_cutoff_hz', math.inf)],
)
def test_a_bad_configuration_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        OneEuroConfig(**{field: value})
