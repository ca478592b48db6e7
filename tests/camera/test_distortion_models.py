# SPDX-License-Identifier: Apache-2.0
"""Distortion models as drivers name and count them."""

import math

import pytest

from hoi_ros.camera.distortion_models import DistortionError
from hoi_ros.camera.distortion_models import read_distortion

BROWN = (-0.03, 0.035, -0.0001, -0.0002, -0.012)
RATIONAL = (0.5, -0.3, 0.0006, -0.0003, 0.01, 0.8, -0.25, 0.005)
FISHEYE = (-0.02, 0.01, -0.004, 0.001)


@pytest.mark.parametrize(
    ('model', 'coefficients', 'expected'),
    [
        # As drivers write them: more coefficients than the model has, zeros behind.
        ('plumb_bob', BROWN + (0,) * 3, ('plumb_bob', BROWN)),
        ('plumb_bob', BROWN + (0,) * 9, ('plumb_bob', BROWN)),
        ('plumb_bob', RATIONAL, ('rational_polynomial', RATIONAL)),
        ('rational_polynomial', BROWN, ('plumb_bob', BROWN)),
        ('rational_polynomial', RATIONAL + (0,) * 8, ('rational_polynomial', RATIONAL)),
        ('rational_polynomial', RATIONAL[:6], ('rational_polynomial', RATIONAL[:6] + (0, 0))),
        ('equidistant', (*FISHEYE, 0), ('equidistant', FISHEYE)),
        ('equidistant', FISHEYE + (0,) * 10, ('equidistant', FISHEYE)),
        ('equidistant', (*FISHEYE[:2], 0, 0, *FISHEYE[2:], 0, 0), ('equidistant', FISHEYE)),
        # Other names of a model.
        ('radtan', BROWN[:4], ('plumb_bob', (*BROWN[:4], 0))),
        ('Brown Conrady', BROWN, ('plumb_bob', BROWN)),
        ('plumb-bob', BROWN, ('plumb_bob', BROWN)),
        ('fisheye', FISHEYE, ('equidistant', FISHEYE)),
        ('kannala_brandt', FISHEYE, ('equidistant', FISHEYE)),
        ('RationalPolynomial', RATIONAL, ('rational_polynomial', RATIONAL)),
        ('pinhole', BROWN[:4], ('plumb_bob', (*BROWN[:4], 0))),
        ('', BROWN, ('plumb_bob', BROWN)),
        ('perspective', RATIONAL, ('rational_polynomial', RATIONAL)),
        # No distortion.
        ('none', (), ('', ())),
        ('None', (0,) * 5, ('', ())),
        ('rectilinear', (0.0,), ('', ())),
        ('pinhole', (), ('', ())),
        ('', (0,) * 5, ('', ())),
        ('inverse_brown_conrady', (0,) * 5, ('', ())),
        # A fisheye lens distorts without coefficients other than 0, too.
        ('fisheye', (0,) * 5, ('equidistant', (0,) * 4)),
        ('plumb_bob', (0,) * 5, ('plumb_bob', (0,) * 5)),
    ],
)
def test_what_drivers_write_is_read_as_meant(model, coefficients, expected):
    assert read_distortion(model, coefficients) == expected


@pytest.mark.parametrize(
    ('model', 'coefficients', 'told'),
    [
        ('none', BROWN, "'none' with the coefficients"),
        ('', FISHEYE, 'set distortion_model'),
        ('equidistant', RATIONAL, '8 coefficients .* expected 0 or 4'),
        ('plumb_bob', (0.1,), '1 coefficients'),
        ('rational_polynomial', (0.1,) * 15, '15 coefficients'),
        ('f-theta', (0,) * 4, "'f-theta', expected plumb_bob"),
        ('inverse_brown_conrady', BROWN, "'inverse_brown_conrady', expected plumb_bob"),
        ('thin_prism', (math.nan,), "'thin_prism'"),
    ],
)
def test_what_is_ambiguous_or_unknown_is_refused(model, coefficients, told):
    with pytest.raises(DistortionError, match=told):
        read_distortion(model, coefficients)
