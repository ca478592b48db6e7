# SPDX-License-Identifier: Apache-2.0
"""Hands cut out of photos: their outline, and where they are in the pictures that they are pasted into."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.real import cut_out_hands
from training.data.real import pasted_hands
from training.data.real import photo_crops
from training.data.real import photo_views
from training.data.real.cut_out_hands import cut_out
from training.data.real.pasted_hands import paste
from training.data.real.pasted_hands import paste_holding
from training.data.real.pasted_hands import PastedHands
from training.data.real.pasted_hands import Pasting
from training.data.real.photo_crops import PhotoCrops
from training.data.real.photo_views import PhotoViews
from training.data.real.photos import Photo
from training.data.synthetic.recolouring import OWN_COLOURS
from training.data.synthetic.rgb_crop_views import RgbAugmentation
from training.data.synthetic.rgb_frame_views import RgbFrameAugmentation

from .test_photo_keypoints import HAND

WIDTH, HEIGHT = 320, 240
AT = HAND + [60, 20]
PALM = [0, 1, 5, 9, 13, 17]
RIGHT = np.linalg.det([AT[12] - AT[0], AT[4] - AT[0]])
"""Sign of the turn from the middle finger to the thumb of the right hand."""
SKIN = np.array([205, 150, 120])
MIDDLE = np.array([150.0, 150.0])


def hand_shape(points: np.ndarray) -> np.ndarray:
    """(H, W) bool: palm, fingers and a forearm down to the border."""
    drawn, points = np.zeros((HEIGHT, WIDTH), np.uint8), np.round(points).astype(int)
    cv2.fillConvexPoly(drawn, cv2.convexHull(points[[0, 1, 5, 9, 13, 17]]), 1)
    for first in (1, 5, 9, 13, 17):
        cv2.polylines(drawn, [points[[0, *range(first, first + 4)]]], False, 1, 9)
    cv2.line(drawn, points[0].tolist(), [int(points[0][0]), HEIGHT], 1, 24)
    return drawn > 0


@pytest.fixture(scope='module')
def photo(tmp_path_factory: pytest.TempPathFactory) -> Photo:
    """A hand before a wall whose colour changes from green to blue."""
    rng = np.random.default_rng(0)
    across = np.linspace(0, 1, WIDTH)[None, :, None]
    image = np.tile((1 - across) * [20, 120, 60] + across * [30, 60, 160], (HEIGHT, 1, 1))
    image += rng.normal(0, 12, image.shape)
    image[hand_shape(AT)] = SKIN
    image = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp('photos') / 'rgb_hands' / 'subhi_hand.jpg'
    path.parent.mkdir()
    cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    box = np.concatenate([AT.min(0), AT.max(0)]) / [WIDTH, HEIGHT, WIDTH, HEIGHT]
    return Photo(path, 'bare', box[None], 'somewhere')


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {('rgb_hands/subhi_hand.jpg', 0): ((AT + 0.5) / [WIDTH, HEIGHT], True)}
    for module in (cut_out_hands, pasted_hands):
        monkeypatch.setattr(module, 'labelled_keypoints', lambda: labels)


def test_the_outline_is_that_of_hand_and_forearm(photo: Photo) -> None:
    cut = cut_out(photo, 0)
    assert cut is not None and cut.right and not cut.holds
    # Back to where it came from.
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    low, high = AT.min(0), AT.max(0)
    found = paste(image, cut, Pasting((low + high) / 2, (high - low).max()))
    np.testing.assert_allclose(found, AT, atol=1e-6)
    shape, pasted = hand_shape(AT), image.max(-1) > 100
    window = np.zeros_like(shape)
    reach = 0.9 * (high - low).max()
    top, left = (((low + high) / 2 - reach)[::-1]).astype(int)
    window[max(top, 0) : top + int(2 * reach), left : left + int(2 * reach)] = True
    assert (shape & pasted & window).sum() > 0.9 * ((shape | pasted) & window).sum()


@pytest.mark.parametrize('flip', [False, True])
def test_a_pasted_hand_is_where_its_keypoints_say(photo: Photo, flip: bool) -> None:
    cut = cut_out(photo, 0)
    assert cut is not None
    image = np.full((400, 500, 3), 40, np.uint8)
    points = paste(image, cut, Pasting(np.array([260.0, 190.0]), 120.0, 0.8, flip))
    assert np.linalg.norm(points.mean(0) - [260, 190]) < 60
    column, row = np.round(points).astype(int).T
    assert (np.abs(image[row, column].astype(int) - SKIN).max(1) < 25).mean() > 0.9
    # The thumb of a mirrored hand lies on the other side of its fingers.
    along, thumb = points[12] - points[0], points[4] - points[0]
    given, own = AT[12] - AT[0], AT[4] - AT[0]
    turns = [np.linalg.det(np.stack(pair)) for pair in ((along, thumb), (given, own))]
    assert (turns[0] * turns[1] < 0) == flip
    far = np.ones(image.shape[:2], bool)
    cv2.circle(shadow := far.astype(np.uint8), (260, 190), 190, 0, -1)
    assert (image[shadow > 0] == 40).all()


def test_a_hand_takes_on_the_brightness_around_it(photo: Photo) -> None:
    cut = cut_out(photo, 0)
    assert cut is not None
    bright = []
    for likeness in (0.0, 0.6):
        image = np.full((300, 300, 3), 60, np.uint8)
        points = np.round(paste(image, cut, Pasting(MIDDLE, 120.0, likeness=likeness))).astype(int)
        bright.append(image[points[:, 1], points[:, 0]].mean())
    assert bright[1] < 0.8 * bright[0]


def test_a_hand_takes_another_colour_and_keeps_its_shading(photo: Photo) -> None:
    cut = cut_out(photo, 0)
    assert cut is not None
    image, black = np.full((300, 300, 3), 150, np.uint8), np.full(3, 0.1)
    points = np.round(paste(image, cut, Pasting(MIDDLE, 120.0, colour=black))).astype(int)
    assert image[points[:, 1], points[:, 0]].mean() < 40


@pytest.mark.parametrize('flip', [False, True])
def test_a_forearm_can_enter_at_each_border(photo: Photo, flip: bool) -> None:
    cut = cut_out(photo, 0)
    assert cut is not None
    for border, outwards in enumerate(((1, 0), (0, 1), (-1, 0), (0, -1))):
        turn = pasted_hands._toward(border, cut, flip)
        points = paste(np.zeros((300, 300, 3), np.uint8), cut, Pasting(MIDDLE, 120.0, turn, flip))
        arm = points[0] - points[[5, 9, 13, 17]].mean(0)
        np.testing.assert_allclose(arm / np.linalg.norm(arm), outwards, atol=1e-6)


def test_a_held_thing_lies_behind_the_hand_or_hides_what_is_not_counted_as_shown(photo: Photo) -> None:
    cut = cut_out(photo, 0)
    assert cut is not None
    blue = np.tile(np.array([10, 10, 250], np.uint8), (80, 80, 1)), np.full((80, 80), 255, np.uint8)
    alone = np.zeros((300, 300, 3), np.uint8)
    paste(alone, cut, Pasting(MIDDLE, 120.0))
    hand, shown = alone.max(-1) > 100, []
    for seed in range(20):
        image = np.zeros((300, 300, 3), np.uint8)
        pasted = paste_holding(image, cut, Pasting(MIDDLE, 120.0), blue, np.random.default_rng(seed))
        left = (np.abs(image.astype(int) - alone).max(-1) < 20) & hand
        assert abs(left.sum() / hand.sum() - pasted.shown) < 0.08
        shown.append(pasted.shown)
        if pasted.held is None:
            # Before a thing, a hand may hold it or not.
            assert pasted.holds is None and pasted.shown == 1
            continue
        thing = (np.abs(image.astype(int) - [10, 10, 250]).max(-1) < 20).nonzero()
        low, high = np.array(thing)[::-1].min(1), np.array(thing)[::-1].max(1)
        assert (low >= pasted.held[:2] - 2).all() and (high <= pasted.held[2:] + 2).all()
        record = photo_views.pasted_record(image, [pasted])
        assert record['holds'].all() and record['known'].all() and record['visible'][0] == pasted.shown
    assert max(shown) == 1 and min(shown) < 0.8


def test_a_hand_that_the_photo_cuts_off_is_none(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    beyond = ((AT + [-170, 0] + 0.5) / [WIDTH, HEIGHT], True)
    monkeypatch.setattr(cut_out_hands, 'labelled_keypoints', lambda: {('rgb_hands/subhi_hand.jpg', 0): beyond})
    assert cut_out(photo, 0) is None


def test_views_with_pasted_hands_are_labelled_and_repeatable(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    root = photo.path.parents[1]
    empty = root / 'backgrounds_rgb' / 'coco_room.jpg'
    empty.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(empty), np.full((240, 320, 3), 90, np.uint8))
    shown = [photo, Photo(empty, 'none', np.zeros((0, 4)), 'elsewhere')]
    for module in (pasted_hands, photo_views, photo_crops):
        monkeypatch.setattr(module, 'photos', lambda root, split: shown)
    hands = PastedHands(root)
    sides = set()
    for seed in range(12):
        image, pasted = hands.draw(np.random.default_rng(seed))
        assert len(pasted) in (1, 2) and not any(hand.holds for hand in pasted)
        for hand in pasted:
            sides.add(hand.right)
            along, thumb = hand.keypoints[12] - hand.keypoints[0], hand.keypoints[4] - hand.keypoints[0]
            assert hand.right == (np.linalg.det([along, thumb]) * RIGHT > 0)
        for hand in pasted:
            inside = hand.keypoints[((hand.keypoints >= 0) & (hand.keypoints < [319, 239])).all(1)]
            column, row = np.round(inside).astype(int).T
            assert not len(row) or (np.abs(image[row, column].astype(int) - 90).max(1) > 20).mean() > 0.8
    assert sides == {True, False}
    views = PhotoViews(root, pasted=1.0)
    first, second = (views.draw(RgbFrameAugmentation(), np.random.default_rng(3)).image for _ in range(2))
    assert np.array_equal(first, second)
    seen = views.draw(RgbFrameAugmentation(turn=0, mounted=0, cropped=0, zoom=(1, 1)), np.random.default_rng(4))
    image, pasted = hands.draw(np.random.default_rng(6))
    record = photo_views.pasted_record(image, pasted)
    low, high = pasted[0].keypoints.min(0), pasted[0].keypoints.max(0)
    np.testing.assert_allclose(record['square'][0], [*(low + high) / 2, (high - low).max()])
    inside = ((pasted[0].keypoints >= 0) & (pasted[0].keypoints < [320, 240])).all(1).mean()
    assert record['visible'][0] == inside and record['right'][0] == pasted[0].right
    assert len(seen.square) and seen.known[:, :2].all() and not seen.known[:, 2].any() and not seen.holds.any()
    crops = PhotoCrops(root, pasted=1.0)
    for seed in range(8):
        crop = crops.draw(RgbAugmentation(size=128, colours=OWN_COLOURS), np.random.default_rng(seed))
        assert crop.located and crop.shows and not crop.holds
        palm = np.round((crop.pixels[PALM] + 1) * 64 - 0.5).astype(int)
        column, row = palm[((palm >= 0) & (palm < 128)).all(1)].T
        assert len(row) and (np.abs(crop.image[row, column].astype(int) - 90).max(1) > 20).mean() > 0.7


def test_material_without_keypoints_is_refused(photo_root: Path) -> None:
    with pytest.raises(FileNotFoundError, match='no hand with keypoints'):
        PastedHands(photo_root)
