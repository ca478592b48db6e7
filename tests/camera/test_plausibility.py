# SPDX-License-Identifier: Apache-2.0
"""Calibrations that can belong to a lens and an image, and those that cannot."""

import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.camera.plausibility import distortion_fault
from hoi_ros.camera.plausibility import intrinsics_doubt
from hoi_ros.camera.plausibility import intrinsics_fault

NORMAL = Pinhole(640, 480, 610.0, 610.0, 320.0, 240.0)
WIDE = Pinhole(640, 480, 330.0, 330.0, 318.0, 243.0)
FISHEYE = Pinhole(640, 480, 160.0, 160.0, 320.0, 240.0)
REAL = {
    'a depth camera': (NORMAL, 'plumb_bob', (-0.056, 0.067, 0.0002, 0.0005, -0.021)),
    'a web camera': (NORMAL, 'plumb_bob', (-0.42, 0.24, 0.001, -0.0008, -0.09)),
    'a wide lens': (WIDE, 'plumb_bob', (-0.32, 0.11, 0.0005, 0.0003, -0.018)),
    'a rational model': (NORMAL, 'rational_polynomial', (0.5, -2.6, 0.0007, -0.0003, 1.5, 0.38, -2.4, 1.43)),
    'a wide rational model': (WIDE, 'rational_polynomial', (9.5, 4.7, 0.0001, 0.00002, 0.21, 9.8, 7.6, 1.1)),
    'thin prism': (NORMAL, 'rational_polynomial', (0.1, 0.2, 0.0, 0.0, 0.1, 0.3, 0.2, 0.1, 0.001, 0.0, 0.001, 0.0)),
    'an equidistant lens': (WIDE, 'equidistant', (-0.02, 0.01, -0.004, 0.001)),
    'a circle in the image': (FISHEYE, 'equidistant', (0.0, 0.0, 0.0, 0.0)),
    'pincushion': (NORMAL, 'plumb_bob', (0.2, 0.05, 0.0, 0.0, 0.0)),
}


@pytest.mark.parametrize('lens', REAL)
def test_real_lenses_are_plausible(lens):
    assert distortion_fault(*REAL[lens]) == ''


@pytest.mark.parametrize(
    ('camera', 'model', 'coefficients'),
    [
        (NORMAL, 'plumb_bob', (-2.0, 0.0, 0.0, 0.0, 0.0)),
        (NORMAL, 'plumb_bob', (5.0, 0.0, 0.0, 0.0, 0.0)),
        (NORMAL, 'plumb_bob', (1.0, 0.0, 0.0, 0.0, 0.0)),
        (NORMAL, 'plumb_bob', (0.1, -0.2, 0.8, 0.0, 0.0)),
        (WIDE, 'plumb_bob', (0.5, -2.6, 0.0007, -0.0003, 1.5)),  # a rational model without its denominator
        (NORMAL, 'equidistant', (-3.0, 0.0, 0.0, 0.0)),
        (NORMAL, 'rational_polynomial', (0.0, 0.0, 0.0, 0.0, 0.0, -6.0, 0.0, 0.0)),
        (NORMAL, 'plumb_bob', (1e300, 0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_distortion_that_no_lens_has_is_named(camera, model, coefficients):
    fault = distortion_fault(camera, model, coefficients)
    assert fault.startswith(f'the distortion {model} [') and 'of the image of 640x480 pixels' in fault


def test_the_fold_is_found_wherever_the_principal_point_is():
    camera = Pinhole(640, 480, 610.0, 610.0, 20.0, 30.0)
    assert distortion_fault(camera, 'plumb_bob', (-0.5, 0.0, 0.0, 0.0, 0.0))
    assert not distortion_fault(camera, 'plumb_bob', (-0.05, 0.0, 0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        ({'fx': 1.9, 'fy': 1.9}, 'focal lengths'),  # millimetres
        ({'fx': 0.95, 'fy': 1.27}, 'focal lengths'),  # widths and heights
        ({'fx': 30000.0, 'fy': 30000.0}, 'focal lengths'),
        ({'fx': 2500.0}, 'differ more than 3 times'),
        ({'cx': 960.0}, 'principal point'),
        ({'cy': -10.0}, 'principal point'),
        ({'cx': 0.0, 'cy': 0.0}, 'only the focal lengths'),
    ],
)
def test_intrinsics_of_no_lens_or_another_image_are_named(change, told):
    fields = {'width': 640, 'height': 480, 'fx': 610.0, 'fy': 610.0, 'cx': 320.0, 'cy': 240.0}
    assert told in intrinsics_fault(Pinhole(**{**fields, **change}))


@pytest.mark.parametrize(('fy', 'doubted'), [(610, 0), (640, 0), (305, 0), (1220, 0), (457, 1), (813, 1), (420, 1)])
def test_focal_lengths_that_differ_are_doubted_unless_one_axis_is_binned(fy, doubted):
    doubt = intrinsics_doubt(Pinhole(640, 480, 610.0, float(fy), 320.0, 240.0))
    assert ('K is fx 0 cx 0 fy cy 0 0 1' in doubt) == bool(doubted)


@pytest.mark.parametrize(
    ('cx', 'cy', 'doubted'), [(320, 240, 0), (345, 228, 0), (313, 275, 0), (242, 313, 1), (639, 479, 1), (0, 242, 1)]
)
def test_a_principal_point_far_from_the_middle_is_doubted_but_in_a_part_of_the_sensor(cx, cy, doubted):
    camera = Pinhole(640, 480, 610.0, 610.0, float(cx), float(cy))
    assert ('principal point' in intrinsics_doubt(camera)) == bool(doubted)
    assert intrinsics_doubt(camera, cropped=True) == ''


@pytest.mark.parametrize('camera', [NORMAL, WIDE, FISHEYE, NORMAL.scaled(64, 48), NORMAL.scaled(320, 480)])
def test_real_cameras_are_plausible(camera):
    assert intrinsics_fault(camera) == ''


def test_a_part_of_the_sensor_can_lie_beside_the_axis():
    part = NORMAL.window(500 - 0.5, -0.5, 100, 100, 100, 100)
    assert 'principal point' in intrinsics_fault(part)
    assert intrinsics_fault(part, cropped=True) == ''
    np.testing.assert_allclose(part.cx, -180)
