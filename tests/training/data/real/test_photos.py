# SPDX-License-Identifier: Apache-2.0
"""Labelled real photos: their split, and what the detector receives of them."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.real import photos
from training.data.real.photo_views import photo_view
from training.data.real.photo_views import PhotoViews
from training.data.synthetic.rgb_frame_views import RgbFrameAugmentation
from training.recipes.rgb_detector import targets

HELD = [
    'grocery_train-Fruit-Lime-Lime-004',
    'grocery_train-Fruit-Lime-Lime-009',
    'grocery_val-Packages-Milk-Arla-Medium-Fat-Milk-Arla-Medium-Fat-Milk-001',
    'core50_C_03_01_000',
    'core50_C_04_01_000',
]
BARE = ['leb_a', 'rbh_a']
NONE = ['cards_a', *(f'hdri_{number}' for number in range(9))]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A miniature of the real material: a bright square in every photo of a hand, with its box."""
    folders = {'rgb_hands_with_objects': HELD, 'rgb_hands': BARE, 'backgrounds_rgb': NONE}
    image = np.zeros((60, 90, 3), np.uint8)
    rows = []
    for folder, names in folders.items():
        (tmp_path / folder).mkdir()
        for name in names:
            shown = image.copy()
            if names is not NONE:
                shown[20:40, 30:60] = 255
            cv2.imwrite(str(tmp_path / folder / f'{name}.jpg'), shown)
            rows.append({'file': f'{folder}/{name}.jpg', 'source': name.split('_')[0]})
    with (tmp_path / 'SOURCES.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, ['file', 'source'])
        writer.writeheader()
        writer.writerows(rows)
    box = f'{1 / 3},{1 / 3},{2 / 3},{2 / 3}'
    (tmp_path / 'rgb_hands' / 'hand_boxes.csv').write_text(
        'file,x0,y0,x1,y1\n' + ''.join(f'rgb_hands/{name}.jpg,{box}\n' for name in BARE)
    )
    (tmp_path / 'held.csv').write_text(
        'file,x0,y0,x1,y1\n' + ''.join(f'rgb_hands_with_objects/{name}.jpg,{box}\n' for name in HELD)
    )
    monkeypatch.setattr(photos, 'HELD_BOXES', tmp_path / 'held.csv')
    (tmp_path / 'training.csv').write_text('file,x0,y0,x1,y1\n')
    monkeypatch.setattr(photos, 'TRAINING_BOXES', tmp_path / 'training.csv')
    return tmp_path


def names(root: Path, split: photos.Split) -> set[str]:
    return {photo.path.stem for photo in photos.photos(root, split)}


def test_each_photo_has_one_split_and_products_and_sessions_are_not_divided(root: Path) -> None:
    train, validation = names(root, 'train'), names(root, 'validation')
    assert train | validation == {*HELD, *BARE, *NONE}
    assert not train & validation
    assert {'rbh_a', 'core50_C_03_01_000', 'cards_a'} <= validation
    assert 'core50_C_04_01_000' in train
    assert (HELD[0] in train) == (HELD[1] in train)


def test_the_name_of_a_product_is_read_behind_its_categories() -> None:
    assert photos.product_of(HELD[0]) == 'Lime'
    assert photos.product_of(HELD[2]) == 'Arla-Medium-Fat-Milk'


def test_a_view_marks_the_hand_and_leaves_its_side_open(root: Path) -> None:
    for photo in (*photos.photos(root, 'train'), *photos.photos(root, 'validation')):
        view = photo_view(photo, RgbFrameAugmentation(), None)
        heat, _, near, _, kind, told, _, holding = targets(view)
        if photo.kind == 'none':
            assert not heat.any() and not near.any()
            continue
        row, column = np.unravel_index(heat[0].argmax(), heat[0].shape)
        assert view.image[4 * row + 2, 4 * column + 2].min() > 150
        assert view.square[0, 2] == pytest.approx(0.92 * 30 * 192 / 90)
        assert not told[0].any() and np.array_equal(told[1], near[0])
        assert (kind[1][near[0] > 0] == (photo.kind == 'held')).all()
        assert not holding.any()


def test_drawn_views_are_repeatable(root: Path) -> None:
    views = PhotoViews(root)
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
