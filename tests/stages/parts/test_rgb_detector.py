# SPDX-License-Identifier: Apache-2.0
"""The detector's geometry on planted peaks, and the one that ships on images of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from hoi_ros.stages.parts.rgb_detector import decode
from hoi_ros.stages.parts.rgb_detector import fitted
from hoi_ros.stages.parts.rgb_detector import RgbDetector
from hoi_ros.stages.parts.rgb_detector import STRIDE


@pytest.fixture(scope='module')
def detector() -> RgbDetector:
    return RgbDetector()


def maps(height: int = 36, width: int = 48) -> dict[str, np.ndarray]:
    return {
        'heat': np.zeros((1, height, width)),
        'square': np.zeros((3, height, width)),
        'kind': np.zeros((2, height, width)),
        'held': np.zeros((4, height, width)),
    }


def test_peaks_become_hands() -> None:
    planted = maps()
    for row, column, score in ((10, 20, 0.9), (10, 22, 0.6), (30, 40, 0.7)):
        planted['heat'][0, row, column] = score
    planted['square'][:, 10, 20] = 0.25, -0.5, np.log(60 / (36 * STRIDE))
    planted['square'][:, 30, 40] = 0, 0, np.log(20 / (36 * STRIDE))
    planted['kind'][:, 10, 20] = 0.8, 0.9
    planted['held'][:, 10, 20] = -0.5, -1, 1.5, 1
    first, second = decode(**planted, most=3)  # the second peak lies within the first hand
    np.testing.assert_allclose(first.centre, [(20.75 * STRIDE) - 0.5, 10 * STRIDE - 0.5])
    assert first.side == pytest.approx(60) and (first.score, first.right, first.holds) == (0.9, 0.8, 0.9)
    np.testing.assert_allclose(first.held, [first.centre[0] - 30, first.centre[1] - 60, 120, 120])
    assert second.side == pytest.approx(20) and second.held is None
    assert [hand.score for hand in decode(**planted, most=1)] == [0.9]


@pytest.mark.parametrize('size', [(480, 640), (100, 100), (2160, 3840), (10, 10), (1, 7)])
def test_an_image_fits_in_whole(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 200, np.uint8)
    small, scale = fitted(image, 192, 144)
    assert small.shape == (144, 192, 3)
    bright = (small > 100).all(-1)
    np.testing.assert_allclose(
        [bright.any(1).sum(), bright.any(0).sum()], np.maximum(np.array(size) * scale, 1), atol=0.51
    )


def test_a_dark_image_is_brightened(detector: RgbDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, engine = [], detector._engine
    monkeypatch.setattr(detector, '_engine', lambda image: shown.append(image) or engine(image=image))
    for value in (30, 180):
        detector(np.full((48, 64, 3), value, np.uint8))
    assert [float(image.max()) for image in shown] == pytest.approx([128 / 127.5 - 1, 180 / 127.5 - 1], abs=0.01)


@pytest.mark.parametrize('size', [(480, 640), (32, 32), (2160, 3840)])
def test_nothing_is_seen_where_nothing_is(detector: RgbDetector, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(4)
    noise = rng.integers(0, 255, (*size, 3), np.uint8)
    for image in (np.zeros((*size, 3), np.uint8), np.full((*size, 3), 128, np.uint8), noise):
        assert detector(image, 2, 0.5) == []
