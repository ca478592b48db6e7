# SPDX-License-Identifier: Apache-2.0
"""Keypoints of hands in real photos: when a reading of the landmark network becomes a label, and the shipped table."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.data.real import photo_keypoints
from training.data.real.photo_crops import PhotoCrops
from training.data.real.photo_keypoints import keypoints_in
from training.data.real.photo_keypoints import label
from training.data.real.photo_keypoints import labelled_keypoints
from training.data.real.photo_keypoints import LandmarkNetwork
from training.data.real.photo_keypoints import SeenHand
from training.data.synthetic.rgb_crop_views import RgbAugmentation

DATA = Path(os.environ.get('HOI_DATA') or Path(__file__).parents[5] / 'shared/data') / 'real'
HAND = np.array([[100.0, 160], [85, 150], [75, 140], [68, 130], [62, 120]] + [
    [84 + 10 * finger, 110 - 16 * joint] for finger in range(4) for joint in range(4)
])  # fmt: skip
BOX = np.array([55.0, 55, 125, 165])


class Planted(LandmarkNetwork):
    """Sees a hand that lies in an image of 240 pixels' width, and its mirror image in the mirrored one."""

    def __init__(
        self, hand: np.ndarray, presence: float = 0.9, mirrors: bool = True, side_follows: bool = True
    ) -> None:
        self._hand, self._presence, self._mirrors, self._side_follows = hand, presence, mirrors, side_follows

    def __call__(self, image: np.ndarray, centre: np.ndarray, side: float, turn: float) -> SeenHand:
        mirrored = not image[0, 0].any()
        hand = self._hand * [-1, 1] + [239, 0] if mirrored and self._mirrors else self._hand
        return SeenHand(hand, self._presence, 0.1 if mirrored and self._side_follows else 0.9)


@pytest.fixture
def image() -> np.ndarray:
    picture = np.zeros((200, 240, 3), np.uint8)
    picture[:, :100] = 255
    return picture


def test_a_hand_that_both_readings_see_is_labelled(image: np.ndarray) -> None:
    hand = label(Planted(HAND), image, BOX)
    assert hand is not None
    np.testing.assert_allclose(hand.keypoints, HAND)
    assert hand.right == pytest.approx(0.9) and hand.presence == 0.9


@pytest.mark.parametrize(
    'network',
    [
        Planted(HAND, presence=0.6),
        Planted(HAND, mirrors=False),
        Planted(HAND, side_follows=False),
        Planted(HAND + [60, 0]),
        Planted(HAND * 0.01 + 100),
    ],
    ids=['hardly present', 'elsewhere in the mirror', 'the same side in the mirror', 'beside the box', 'a point'],
)
def test_a_doubtful_hand_is_not_labelled(network: Planted, image: np.ndarray) -> None:
    assert label(network, image, BOX) is None


def test_the_next_square_has_the_fingers_above_the_wrist() -> None:
    centre, side, turn = photo_keypoints._next_square(HAND)
    assert abs(turn) < 0.2 and side > 100
    quarter = HAND @ np.array([[0.0, 1], [-1, 0]])  # clockwise in the image
    turned_centre, turned_side, turned = photo_keypoints._next_square(quarter)
    assert turned - turn == pytest.approx(np.pi / 2)
    np.testing.assert_allclose(turned_centre, centre @ np.array([[0.0, 1], [-1, 0]]), atol=1e-9)
    assert turned_side == pytest.approx(side)


def test_the_tables_label_boxes_of_photos() -> None:
    labelled = set()
    for table, column in zip(photo_keypoints.tables(), ('presence', 'spread')):
        with table.open(newline='') as file:
            rows = list(csv.DictReader(file))
        assert sum(row['file'].startswith('rgb_hands_with_objects/') for row in rows) > 100
        assert {row['side'] for row in rows} == {'left', 'right'}
        places = np.array([list(row.values())[4:] for row in rows], float)
        assert places.shape == (len(rows), 42) and ((places > -0.7) & (places < 1.7)).all()
        # What one of them labels, the other one does not.
        assert not labelled & keypoints_in(table).keys() and len(keypoints_in(table)) == len(rows)
        labelled |= keypoints_in(table).keys()
        values = [float(row[column]) for row in rows]
        assert min(values) >= 0.7 if column == 'presence' else max(values) <= 0.065
    assert labelled == labelled_keypoints().keys() and len(labelled) > 1600


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f'{DATA} is absent (set HOI_DATA)')
def test_crops_of_real_photos_show_their_keypoints() -> None:
    crops, config = PhotoCrops(DATA), RgbAugmentation(size=128, upright=1.0, roll=0.0)
    rng = np.random.default_rng(2)
    drawn = [crops.draw(config, rng) for _ in range(40)]
    located = [crop for crop in drawn if crop.located]
    assert {crop.holds for crop in drawn} == {True, False} and len(located) > 15
    pixels = np.stack([crop.pixels for crop in located])
    assert (np.abs(pixels) < 1).mean() > 0.9
    # Upright: the middle knuckle is above the wrist.
    assert (pixels[:, 9, 1] < pixels[:, 0, 1]).all()
    assert all(not crop.pixels.any() for crop in drawn if not crop.located)


def test_a_hand_without_keypoints_is_cut_about_its_box(photo_root: Path, located: Callable) -> None:
    located()
    crops = PhotoCrops(photo_root)
    crop = crops.draw(RgbAugmentation(size=64), np.random.default_rng(1))
    assert not crop.located and crop.image.max() > 150
    assert crops.labels == {photo_keypoints.MEDIAPIPE: 'keypoints of 0 hands in these images, Apache-2.0'}
