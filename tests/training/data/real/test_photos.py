# SPDX-License-Identifier: Apache-2.0
"""Labelled real photos: their split, and what the detector receives of them."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.real import photo_views
from training.data.real import photos
from training.data.real.photo_views import PhotoViews
from training.data.real.photo_views import record_of
from training.data.synthetic.recolouring import OWN_COLOURS
from training.data.synthetic.rgb_frame_views import frame_view
from training.data.synthetic.rgb_frame_views import RgbFrameAugmentation
from training.recipes.rgb_detector import targets

LIME = 'grocery_train-Fruit-Lime-Lime'


def names(photo_root: Path, split: photos.Split) -> set[str]:
    return {photo.path.stem for photo in photos.photos(photo_root, split)}


def test_each_photo_has_one_split_and_products_and_sessions_are_not_divided(photo_root: Path) -> None:
    train, validation = names(photo_root, 'train'), names(photo_root, 'validation')
    assert train | validation == {path.stem for path in photo_root.rglob('*.jpg')}
    assert not train & validation
    assert {'rbh_a', 'core50_C_03_01_000', 'cards_a'} <= validation
    assert 'core50_C_04_01_000' in train
    assert (f'{LIME}-004' in train) == (f'{LIME}-009' in train)


def test_a_background_that_shows_a_hand_is_no_photo_without_hands(photo_root: Path) -> None:
    (empty, *_) = (photo for photo in photos.photos(photo_root, 'train') if photo.kind == 'none')
    with photos.TRAINING_BOXES.open('a') as file:
        file.write(f'{empty.name},0.1,0.2,0.3,0.4\n')
    (shown,) = (photo for photo in photos.photos(photo_root, 'train') if photo.name == empty.name)
    assert shown.kind == 'held' and shown.boxes.tolist() == [[0.1, 0.2, 0.3, 0.4]]


def test_photos_that_were_stretched_to_squares_are_portraits(photo_root: Path) -> None:
    for photo in photos.photos(photo_root, 'validation'):
        stored = cv2.imread(str(photo.path)).shape
        width = round(0.75 * stored[1]) if photo.path.stem.startswith(('leb_', 'rbh_')) else stored[1]
        assert photo.image().shape == (stored[0], width, 3)


def test_the_name_of_a_product_is_read_behind_its_categories() -> None:
    assert photos.product_of(f'{LIME}-004') == 'Lime'
    milk = 'Arla-Medium-Fat-Milk'
    assert photos.product_of(f'grocery_val-Packages-Milk-{milk}-{milk}-001') == milk


def test_a_view_marks_the_hand_and_leaves_its_side_open(photo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_views, 'labelled_keypoints', dict)
    for photo in (*photos.photos(photo_root, 'train'), *photos.photos(photo_root, 'validation')):
        view = frame_view(record_of(photo), RgbFrameAugmentation(), None)
        heat, _, near, _, kind, told, _, holding = targets(view)
        if photo.kind == 'none':
            assert not heat.any() and not near.any()
            continue
        width = photo.image().shape[1]
        row, column = np.unravel_index(heat[0].argmax(), heat[0].shape)
        assert view.image[4 * row + 2, 4 * column + 2].min() > 150
        assert view.square[0, 2] == pytest.approx(0.92 * 30 * width / 90 * min(192 / width, 144 / 60))
        assert not told[0].any() and np.array_equal(told[1], near[0])
        assert (kind[1][near[0] > 0] == (photo.kind == 'held')).all()
        assert not holding.any()


def test_labelled_keypoints_give_square_and_side(photo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photo, *_) = (each for each in photos.photos(photo_root, 'train') if each.kind != 'none')
    size = np.array(photo.image().shape[1::-1])
    places = np.random.default_rng(0).uniform(0.3, 0.6, (21, 2))
    monkeypatch.setattr(photo_views, 'labelled_keypoints', lambda: {(photo.name, 0): (places, True)})
    record = record_of(photo)
    pixels = places * size - 0.5
    np.testing.assert_allclose(record['square'][0, :2], (pixels.min(0) + pixels.max(0)) / 2)
    assert record['square'][0, 2] == pytest.approx(np.ptp(pixels, axis=0).max())
    assert record['right'][0] and record['known'][0].tolist() == [True, True, False]


def test_beyond_a_photo_lies_another_one_and_the_bars_of_the_stage_stay_black() -> None:
    record = {
        'image': np.full((90, 120, 3), 200, np.uint8),
        'count': 0,
        'square': np.zeros((0, 3)),
        'right': np.zeros(0, bool),
        'visible': np.zeros(0),
        'holds': np.zeros(0, bool),
        'held': np.zeros((0, 4)),
    }
    config = RgbFrameAugmentation(zoom=(0.3, 0.4), cropped=1.0, colours=OWN_COLOURS)
    for seed in range(6):
        view = frame_view(record, config, np.random.default_rng(seed), np.full((300, 200, 3), 90, np.uint8))
        assert set(np.unique(view.image)) == {0, 90, 200}
        lit = view.image.max(-1) > 0
        assert lit[: lit.any(1).sum(), : lit.any(0).sum()].all(), 'bars lie at the right or below'


def test_photos_are_shown_as_from_afar_on_others_and_as_close_as_generated_images_on_nothing(
    photo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[tuple[float, float], bool]] = []
    monkeypatch.setattr(
        photo_views,
        'frame_view',
        lambda record, config, rng, behind: drawn.append((config.zoom, behind is not None)),
    )
    views, generated = PhotoViews(photo_root), RgbFrameAugmentation()
    for seed in range(60):
        views.draw(generated, np.random.default_rng(seed))
    zooms = {others: {zoom for zoom, behind in drawn if behind == others} for others in (True, False)}
    assert zooms[False] == {generated.zoom} and max(low for low, _ in zooms[True]) < 0.5
    assert 15 < sum(behind for _, behind in drawn) < 45


def test_drawn_views_are_repeatable(photo_root: Path) -> None:
    views = PhotoViews(photo_root)
    first, second = (
        [views.draw(RgbFrameAugmentation(), np.random.default_rng(seed)).image for seed in range(5)] for _ in range(2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='SOURCES.csv is missing'):
        photos.photos(tmp_path, 'train')


@pytest.mark.parametrize(('table', 'least'), [(photos.HELD_BOXES, 100), (photos.TRAINING_BOXES, 600)])
def test_the_drawn_boxes_lie_in_their_photos(table: Path, least: int) -> None:
    with table.open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert len({row['file'] for row in rows}) >= least
    boxes = np.array([[float(row[name]) for name in ('x0', 'y0', 'x1', 'y1')] for row in rows])
    assert ((boxes >= 0) & (boxes <= 1)).all() and (boxes[:, 2:] > boxes[:, :2]).all()
