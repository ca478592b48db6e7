# SPDX-License-Identifier: Apache-2.0
"""Crops of real photos that show no hand, which teach `reconstruction` what is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from hoi_ros.stages.parts.rgb_detector import RgbDetector
from training.data.real.photo_crops import PhotoCrop
from training.data.real.photo_crops import square_crop
from training.data.real.photo_views import record_of
from training.data.real.photos import Photo
from training.data.real.photos import photos
from training.data.real.photos import Split
from training.data.synthetic.rgb_crop_views import RgbAugmentation
from training.recipes.reconstruction_score_crops import NO_HAND
from training.recipes.reconstruction_score_crops import shown_hand

_PROPOSED = 6
"""Most proposals of the detector in a photo, whatever their score."""
_ANYWHERE = 0.3
"""Share of crops about squares anywhere in photos without hands; the others are about proposals."""
_SIDES = 0.1, 0.9
"""Least and largest side of these squares, shares of a photo's shorter side."""


class NonHandCrops:
    """Draws augmented crops of a split: about what the RGB detector might take for a hand, and anywhere.

    Args:
        root: folder of the real material.
        models: folder of the detector (rgb_detector).
        split: of the photos.

    Attributes:
        files: the root and the photos, for `material.origins`.
        labels: sources of labels for the card of a network; none.

    Raises:
        EngineError: the detector is missing or damaged.
        FileNotFoundError: the split has no photo without hands.
    """

    def __init__(self, root: Path, models: Path, split: Split = 'train') -> None:
        looked_at = photos(root, split)
        self._empty = [photo for photo in looked_at if photo.kind == 'none']
        if not self._empty:
            raise FileNotFoundError(f'{root}: SOURCES.csv names no photo without hands for the split {split}')
        self.files = [(root, [photo.path for photo in looked_at])]
        self.labels: dict[str, str] = {}
        detector = RgbDetector(models)
        self._proposed = [
            (photo, box)
            for photo in tqdm(looked_at, desc='looking for what is no hand', unit='photo', mininterval=5)
            for box in _mistakable(detector, photo)
        ]

    def draw(self, config: RgbAugmentation, rng: np.random.Generator) -> PhotoCrop:
        """A random crop."""
        if self._proposed and rng.random() >= _ANYWHERE:
            photo, box = self._proposed[rng.integers(len(self._proposed))]
            return square_crop(photo.image(), box, config, rng)
        image = self._empty[rng.integers(len(self._empty))].image()
        size = np.array([image.shape[1], image.shape[0]])
        side = size.min() * np.exp(rng.uniform(*np.log(_SIDES)))
        corner = rng.uniform(0, size - side)
        return square_crop(image, np.concatenate([corner, corner + side]) / np.tile(size, 2), config, rng)


def _mistakable(detector: RgbDetector, photo: Photo) -> list[np.ndarray]:
    """Boxes (4,) about proposals that show no part of a labelled hand, shares of width and height."""
    record = record_of(photo)
    image = record['image']
    size = np.tile([image.shape[1], image.shape[0]], 2)
    return [
        (np.tile(hand.centre, 2) + np.array([-0.5, -0.5, 0.5, 0.5]) * hand.side + 0.5) / size
        for hand in detector(image, _PROPOSED, 0.0)
        if shown_hand(hand.centre, hand.side, record['square'], record['visible']) == NO_HAND
    ]
