# SPDX-License-Identifier: Apache-2.0
"""Crops of photos that show no hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hoi_ros.stages.parts.rgb_detector import DetectedHand
from training.data.real.photos import photos
from training.data.synthetic.rgb_crop_views import RgbAugmentation
from training.recipes import reconstruction_non_hands
from training.recipes.reconstruction_non_hands import NonHandCrops


class Proposing:
    """A detector that proposes the labelled square and one in the lower right corner."""

    def __init__(self, models: Path) -> None:
        assert models == Path('models')

    def __call__(self, image: np.ndarray, most: int, threshold: float) -> list[DetectedHand]:
        height, width = image.shape[:2]
        places = np.array([[width / 2, height / 2], [0.95 * width, 0.9 * height]])
        scores = (0.04, 0.9)
        return [DetectedHand(place, 12.0, score, 0.5, 0.0, None) for place, score in zip(places[:most], scores)]


def test_non_hands_are_about_proposals_off_the_hands(photo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstruction_non_hands, 'RgbDetector', Proposing)
    cut: list[np.ndarray] = []
    whole = reconstruction_non_hands.square_crop
    monkeypatch.setattr(
        reconstruction_non_hands, 'square_crop', lambda image, box, *rest: cut.append(box) or whole(image, box, *rest)
    )
    crops, still = NonHandCrops(photo_root, Path('models')), RgbAugmentation(size=32)
    drawn = [crops.draw(still, np.random.default_rng(seed)) for seed in range(60)]
    assert not any(crop.shows or crop.located or crop.holds or crop.pixels.any() for crop in drawn)
    assert all(crop.image.shape == (32, 32, 3) for crop in drawn)
    np.testing.assert_array_equal(drawn[0].image, crops.draw(still, np.random.default_rng(0)).image)
    corner = np.array([0.955, 0.908])
    proposed = sum(np.allclose((box[:2] + box[2:]) / 2, corner, atol=0.01) for box in cut)
    assert 34 <= proposed <= 54, 'seven of ten, and hardly any about the unlikely place'
    assert all(box.min() >= 0 and box.max() <= 1.1 for box in cut)
    assert crops.files == [(photo_root, [photo.path for photo in photos(photo_root, 'train')])]


def test_a_folder_without_empty_photos_is_named(photo_root: Path) -> None:
    table = photo_root / 'SOURCES.csv'
    table.write_text('\n'.join(line for line in table.read_text().splitlines() if 'backgrounds_rgb' not in line))
    with pytest.raises(FileNotFoundError, match='SOURCES.csv names no photo without hands for the split train'):
        NonHandCrops(photo_root, Path('models'))
