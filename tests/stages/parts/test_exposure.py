# SPDX-License-Identifier: Apache-2.0
"""Dark images are made brighter."""

from __future__ import annotations

import numpy as np
import pytest

from hoi_ros.stages.parts.exposure import lit


def photo(brightness: float) -> np.ndarray:
    """A gradient whose brightest value is given, in a black frame."""
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:50, 10:70] = np.linspace(0, brightness, 60)[None, :, None] * [1.0, 0.8, 0.6]
    return image.repeat(4, 0).repeat(4, 1)


def test_dark_images_become_as_bright_as_usual_ones() -> None:
    usual = photo(135)
    for share in (0.5, 0.2):
        dark = (usual * share).astype(np.uint8)
        np.testing.assert_allclose(lit(dark).astype(float), usual, atol=1 / share + 1)


@pytest.mark.parametrize('brightness', [150, 255])
def test_others_stay(brightness: float) -> None:
    image = photo(brightness)
    assert lit(image) is image


def test_night_is_not_amplified_without_end() -> None:
    assert lit(photo(5)).max() == 40
    black = np.zeros((8, 8, 3), np.uint8)
    assert lit(black) is black
