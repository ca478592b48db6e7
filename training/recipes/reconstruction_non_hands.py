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

_PROPOSED, _LEAST = 6, 0.02
"""Most proposals of the detector in a photo, and their least score."""
_ANYWHERE = 0.3
"""Share of crops about squares anywhere in photos without hands; the others are about proposals, drawn in proportion to
their scores: the surer the detector, the more often a crop reaches the network."""
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
        found = [
            (photo, *proposal)
            for photo in tqdm(looked_at, desc='looking for what is no hand', unit='photo', mininterval=5)
            for proposal in _mistakable(detector, photo)
        ]
        self._proposed = [(photo, box) for photo, box, _ in found]
        scores = np.array([score for _, _, score in found])
        self._shares = scores / max(scores.sum(), 1e-9)

    def draw(self, config: RgbAugmentation, rng: np.random.Generator) -> PhotoCrop:
        """A random crop."""
        if self._proposed and rng.random() >= _ANYWHERE:
            photo, box = self._proposed[rng.choice(len(self._proposed), p=self._shares)]
            return square_crop(photo.image(), box, config, rng)
        image = self._empty[rng.integers(len(self._empty))].image()
        size = np.array([image.shape[1], image.shape[0]])
        side = size.min() * np.exp(rng.uniform(*np.log(_SIDES)))
        corner = rng.uniform(0, size - side)
        return square_crop(image, np.concatenate([corner, corner + side]) / np.tile(size, 2), config, rng)


def _mistakable(detector: RgbDetector, photo: Photo) -> list[tuple[np.ndarray, float]]:
    """Boxes (4,) about proposals that show no part of a labelled hand, shares of width and height, and their scores."""
    record = record_of(photo)
    image = record['image']
    size = np.tile([image.shape[1], image.shape[0]], 2)
    return [
        ((np.tile(hand.centre, 2) + np.array([-0.5, -0.5, 0.5, 0.5]) * hand.side + 0.5) / size, hand.score)
        for hand in detector(image, _PROPOSED, _LEAST)
        if shown_hand(hand.centre, hand.side, record['square'], record['visible']) == NO_HAND
    ]
