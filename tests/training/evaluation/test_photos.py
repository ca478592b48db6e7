# SPDX-License-Identifier: Apache-2.0
"""Figures of a stage on labelled photos, with estimates whose places are known."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.playback.cameras import assumed_camera
from training.data.real.photos import Photo
from training.evaluation import photos as evaluation
from training.evaluation.photos import on_hand
from training.evaluation.photos import over_hand
from training.evaluation.photos import PhotoResult
from training.evaluation.photos import sums

CAMERA = Pinhole(100, 100, 100.0, 100.0, 49.5, 49.5)
BOX = np.array([20.0, 20, 60, 60])


def estimate(left: float, top: float, right: float, bottom: float, held: object = None) -> SimpleNamespace:
    """21 joints spread over a box of pixels, 0.5 m away."""
    pixels = np.stack([np.linspace(left, right, 21), np.linspace(top, bottom, 21)], 1)
    return SimpleNamespace(joints=CAMERA.unproject(pixels, np.full(21, 0.5)), score=0.9, held=held)


@pytest.mark.parametrize(
    ('place', 'found'),
    [
        ((22, 22, 58, 58), True),
        ((10, 10, 50, 50), True),
        ((38, 38, 42, 42), False),  # far too small
        ((60, 60, 95, 95), False),
        ((0, 0, 99, 99), False),  # far too large
    ],
)
def test_an_estimate_is_on_a_hand_if_its_joints_fill_the_box(place: tuple[float, ...], found: bool) -> None:
    assert on_hand(estimate(*place), BOX, CAMERA) == found


def test_an_estimate_lies_over_a_hand_whose_fingers_are_hidden() -> None:
    hidden = estimate(34, 22, 94, 62)  # half of its joints are beyond the visible part
    assert over_hand(hidden, BOX, CAMERA) and not on_hand(hidden, BOX, CAMERA)
    assert not over_hand(estimate(55, 20, 99, 60), BOX, CAMERA)
    assert not over_hand(estimate(0, 0, 99, 99), BOX, CAMERA)
    behind = estimate(5, 5, 95, 95)
    assert not over_hand(behind, BOX, CAMERA)
    behind.joints[:5] = estimate(45, 45, 55, 55).joints[:5]  # wrist and thumb are in the box, the rest behind a carton
    assert over_hand(behind, BOX, CAMERA)


def test_groups_are_summed() -> None:
    results = [
        PhotoResult('bare a', 2, 1, 2, 1, 0),
        PhotoResult('bare a', 1, 1, 1, 0, 1),
        PhotoResult('none b', 0, 0, 0, 0, 3),
    ]
    assert sums(results) == {
        'bare a': {
            'photos': 2,
            'hands': 3,
            'false_per_photo': 0.5,
            'found': 2 / 3,
            'overlaid': 1.0,
            'said_to_hold': 0.5,
        },
        'none b': {'photos': 1, 'hands': 0, 'false_per_photo': 3.0},
    }


def test_each_estimate_counts_for_one_hand_or_as_false(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2.imwrite(str(tmp_path / 'rbh_a.jpg'), np.zeros((100, 100, 3), np.uint8))
    camera = assumed_camera(100, 100).camera
    places = [(22, 22, 58, 58), (24, 24, 56, 56), (70, 70, 90, 90)]
    estimates = []
    for place in places:
        one = estimate(*place, held='a cup')
        one.joints = camera.unproject(CAMERA.project(one.joints), np.full(21, 0.5))
        estimates.append(one)

    class Stage:
        reset = staticmethod(lambda: None)

        def __call__(self, image: np.ndarray, camera: Pinhole, stamp: float) -> list[SimpleNamespace]:
            return estimates

    monkeypatch.setattr(evaluation, '_stage', lambda models: Stage())
    photo = Photo(tmp_path / 'rbh_a.jpg', 'bare', BOX[None] / 100, 'source')
    config = evaluation.PhotosEvaluation(tmp_path)
    assert evaluation._run(config, (photo, None)) == PhotoResult('bare rbh', 1, 1, 1, 1, 2)
    strict = dataclasses.replace(config, min_score=0.95)
    assert evaluation._run(strict, (photo, None)) == PhotoResult('bare rbh', 1, 0, 0, 0, 0)


def test_dark_photos_have_less_light_and_noise() -> None:
    dark = evaluation.darkened(np.full((60, 80, 3), 200, np.uint8), 0.2, np.random.default_rng(0)).astype(float)
    assert dark.mean() == pytest.approx(39.5, abs=0.1) and dark.std() == pytest.approx(2, abs=0.1)


def test_a_photo_laid_on_another_one_is_a_hand_further_away() -> None:
    image, behind = np.full((300, 200, 3), 250, np.uint8), np.zeros((600, 1000, 3), np.uint8)
    image[100:150, 40:90] = [9, 120, 9]
    box = np.array([[40.0, 100.0, 90.0, 150.0]])
    whole, boxes = evaluation.laid_on(image, box, behind, 0.4, np.random.default_rng(1))
    assert whole.shape == (480, 640, 3)
    assert (whole.max(-1) > 100).any(1).sum() == 192, '0.4 of the height'
    left, top, right, bottom = np.round(boxes[0]).astype(int)
    green = (np.abs(whole.astype(int) - [9, 120, 9]).max(-1) < 40).nonzero()
    np.testing.assert_allclose(
        [green[1].min(), green[0].min(), green[1].max(), green[0].max()], [left, top, right, bottom], atol=2
    )
