# SPDX-License-Identifier: Apache-2.0
"""Data that several tests of training share."""

import csv
import pickle
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.real import photo_keypoints
from training.data.real import photos
from training.data.synthetic.rgb_scenes import RgbFrame

HELD = [
    'grocery_train-Fruit-Lime-Lime-004',
    'grocery_train-Fruit-Lime-Lime-009',
    'grocery_val-Packages-Milk-Arla-Medium-Fat-Milk-Arla-Medium-Fat-Milk-001',
    'core50_C_03_01_000',
    'core50_C_04_01_000',
]
BARE = ['leb_a', 'rbh_a']
NONE = ['cards_a', *(f'hdri_{number}' for number in range(9))]


class FullPool:
    """A sample pool whose records are all rendered."""

    def __init__(self, records: np.ndarray, make: Callable, dtype: np.dtype) -> None:
        assert records.dtype == dtype
        pickle.loads(pickle.dumps(make))  # a worker process would receive it so
        self.records = records
        self.ready = len(records)

    def wait(self, count: int, least: int | None = None, until: float = 0.0) -> None:
        assert count <= self.ready

    def close(self) -> None:
        pass


@pytest.fixture
def full_pool() -> Callable[[np.ndarray], Callable]:
    """full_pool(records) replaces `SamplePool` in a recipe."""
    return lambda records: lambda make, dtype, *_, **__: FullPool(records, make, dtype)


@pytest.fixture(scope='session')
def validation_images() -> list[RgbFrame]:
    """Six validation images of 640×480."""
    from training.evaluation.reconstruction_stage import rendered

    return list(rendered('validation', 6, 1))


@pytest.fixture
def photo_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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
            rows.append({'file': f'{folder}/{name}.jpg', 'source': name.split('_')[0], 'licence': 'MIT'})
    with (tmp_path / 'SOURCES.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, ['file', 'source', 'licence'])
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


@pytest.fixture
def located(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Writes a table in which the hands of these photos, by name without the ending, have keypoints in their boxes."""

    def write(*names: str) -> Path:
        rng = np.random.default_rng(4)
        places = {name: rng.uniform(1 / 3, 2 / 3, 42) for name in names}
        path = tmp_path / 'keypoints.csv'
        path.write_text(
            'file,box,side,presence\n'
            + ''.join(f'{name}.jpg,0,right,0.9,{",".join(map(str, values))}\n' for name, values in places.items())
        )
        none = tmp_path / 'inferred.csv'
        none.write_text('file,box,side,spread\n')
        monkeypatch.setattr(photo_keypoints, 'KEYPOINTS', path)
        monkeypatch.setattr(photo_keypoints, 'INFERRED', none)
        photo_keypoints.keypoints_in.cache_clear()
        return path

    yield write
    photo_keypoints.keypoints_in.cache_clear()
