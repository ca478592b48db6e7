# SPDX-License-Identifier: Apache-2.0
"""Distortion models as camera drivers name them, and their coefficients as drivers count them."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Allowed numbers of coefficients of each model of sensor_msgs/distortion_models.hpp; 0 means no distortion.
DISTORTION_MODELS = {
    '': (0,),
    'plumb_bob': (0, 4, 5),
    'rational_polynomial': (0, 8, 12, 14),
    'equidistant': (0, 4),
}
_RATIONAL = DISTORTION_MODELS['rational_polynomial'][1:]
_MODELS = {
    'plumb_bob': {'plumbbob', 'radtan', 'radialtangential', 'brown', 'brownconrady', 'distortionbrownconrady'},
    'rational_polynomial': {'rationalpolynomial', 'rational', 'fullopencv', 'opencvfull'},
    'equidistant': {
        'equidistant',
        'equi',
        'fisheye',
        'fisheyeequidistant',
        'opencvfisheye',
        'kannalabrandt',
        'kannalabrandt4',
        'distortionkannalabrandt4',
        'fisheyekannalabrandt',
        'kb4',
    },
}
"""Names of a model, lower case, without separators."""
_PROJECTIONS = {'pinhole', 'perspective', 'rectilinear', 'opencv'}
"""Names that exclude a fisheye lens and leave the polynomial to the number of coefficients."""
_UNDISTORTED = {'none', 'nodistortion', 'distortionnone', 'undistorted', 'rectified', 'ideal'}
_WIDE = re.compile('fish|equi|kannala|kb|fov|theta|omni|mei|ucm|sphere|ocam|scaramuzza|catadioptric|stereographic')
"""Parts of names of models that distort even with coefficients of 0."""


class DistortionError(ValueError):
    """A distortion model or its coefficients cannot be interpreted."""


def read_distortion(model: str, coefficients: Sequence[float]) -> tuple[str, tuple[float, ...]]:
    """The distortion that a driver or a calibration file describes.

    - Names are compared without case and separators; `radtan`, `fisheye` and the like are aliases.
    - Zeros behind the coefficients of a model are dropped. Eight of a fisheye lens are k1, k2, 0, 0, k3, k4, 0, 0.
    - plumb_bob and rational_polynomial are one polynomial in OpenCV's order: the number of coefficients selects it, as
      in OpenCV and image_geometry. It also does if the name is that of the projection (`pinhole`) or empty.
    - A polynomial model without a coefficient other than 0 is no distortion, whatever its name.

    Args:
        model: `distortion_model` of a CameraInfo or a calibration file.
        coefficients: (N,) its coefficients.

    Returns:
        A key of DISTORTION_MODELS and as many coefficients as it allows.

    Raises:
        DistortionError: the model is unknown, contradicts its coefficients, or has too few or too many.
    """
    given = tuple(map(float, coefficients))
    if len(given) in DISTORTION_MODELS.get(model, ()):
        return model, given
    name = re.sub('[^a-z0-9]', '', model.lower())
    used = max((place for place, value in enumerate(given, 1) if value), default=0)
    if name in _MODELS['equidistant']:
        if len(given) == 8 and not any(given[2:4]) and not any(given[6:]):
            # Orbbec writes k1, k2, p1, p2, k3, k4, k5, k6 of every lens.
            given = *given[:2], *given[4:6]
            used = 4
        if used > 4 or 0 < len(given) < 4:
            raise DistortionError(_wrong_count(model, given, '0 or 4'))
        return 'equidistant', given[:4]
    if not used and not _WIDE.search(name):
        return '', ()
    if name in _UNDISTORTED:
        raise DistortionError(
            f'the distortion model {model!r} with the coefficients {list(given)}, expected none or zeros: name the '
            'model of the coefficients, or leave them out'
        )
    if name in _PROJECTIONS or not name or name in _MODELS['plumb_bob'] or name in _MODELS['rational_polynomial']:
        return _polynomial(model, given, used)
    known = ', '.join(filter(None, DISTORTION_MODELS))
    raise DistortionError(
        f'distortion model {model!r}, expected {known}: undistort the images before, or calibrate with one of these'
    )


def _polynomial(model: str, given: tuple[float, ...], used: int) -> tuple[str, tuple[float, ...]]:
    if len(given) < 4 or used > _RATIONAL[-1]:
        raise DistortionError(_wrong_count(model, given, '0, 4, 5, 8, 12 or 14'))
    if len(given) == 4 and not model:
        raise DistortionError(
            '4 coefficients without a distortion model, which both plumb_bob and equidistant have: set '
            'distortion_model to one of them'
        )
    if used <= 5:
        return 'plumb_bob', (*given[:5], *[0.0] * (5 - len(given)))
    count = next(count for count in _RATIONAL if count >= used)
    return 'rational_polynomial', (*given[:count], *[0.0] * (count - len(given)))


def _wrong_count(model: str, given: tuple[float, ...], expected: str) -> str:
    return f'{len(given)} coefficients for the distortion model {model!r}, expected {expected}'
