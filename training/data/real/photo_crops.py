# SPDX-License-Identifier: Apache-2.0
"""Crops of hands in real photos, which join the generated crops that train `reconstruction`."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.view_crop import ViewCrop
from training.data.real.pasted_hands import PastedHands
from training.data.real.photo_keypoints import keypoint_labels
from training.data.real.photo_keypoints import labelled_keypoints
from training.data.real.photos import one_of
from training.data.real.photos import Photo
from training.data.real.photos import photos
from training.data.real.photos import Split
from training.data.real.scans import ScannedObjects
from training.data.synthetic.recolouring import recoloured
from training.data.synthetic.rgb_crop_views import random_crop
from training.data.synthetic.rgb_crop_views import RgbAugmentation

_FOCAL = 0.785
"""Focal length assumed for photos, multiples of the longer side: 65° across it."""
_SHOWN = 0.25
"""Least share of a pasted hand that its thing leaves visible."""
_HELD = 0.6
"""Share of crops of hands that hold something."""


class PhotoCrop(NamedTuple):
    """A crop of a right hand, or of a left one mirrored."""

    image: np.ndarray
    """(size, size, 3) uint8 RGB."""
    pixels: np.ndarray
    """(21, 2) the keypoints relative to the crop's centre, in halves of its side; 0 without keypoints."""
    located: bool
    """Whether the photo has keypoints and a side; otherwise the crop is about the box, and the side is unknown."""
    shows: bool
    """Whether it shows a hand."""
    holds: bool
    focal: float
    """As `ViewCrop.focal`, of a camera that is assumed."""


class PhotoCrops:
    """Draws augmented crops of the labelled hands of a split.

    Args:
        root: folder of the real material.
        split: of the photos.
        pasted: share of the crops of hands that are cut out and pasted before photos without hands.
        objects: scanned objects that pasted hands may hold; without them all are empty.

    Attributes:
        files: the root and the photos that crops show, for `material.origins`.

    Raises:
        FileNotFoundError: the split has no such photo.
    """

    def __init__(
        self, root: Path, split: Split = 'train', pasted: float = 0.0, objects: ScannedObjects | None = None
    ) -> None:
        self._pasted = pasted
        self._cut_outs = PastedHands(root, split, objects) if pasted else None
        hands: dict[bool, dict[str, list[tuple[Photo, int]]]] = {True: defaultdict(list), False: defaultdict(list)}
        labelled = photos(root, split)
        shown = [photo for photo in labelled if photo.kind != 'none']
        self.files = [(root, [photo.path for photo in (labelled if pasted else shown)])]
        for photo in shown:
            for number in range(len(photo.boxes)):
                hands[photo.kind == 'held'][photo.source].append((photo, number))
        if not shown:
            raise FileNotFoundError(f'{root}: SOURCES.csv names no photo with a labelled hand for the split {split}')
        self._hands = {holds: list(groups.values()) for holds, groups in hands.items() if groups}

    @property
    def labels(self) -> dict[str, str]:
        """The sources of the keypoints, for the card of a network."""
        return keypoint_labels(photo for groups in self._hands.values() for group in groups for photo, _ in group)

    def draw(self, config: RgbAugmentation, rng: np.random.Generator) -> PhotoCrop:
        """A random crop."""
        if self._cut_outs and rng.random() < self._pasted:
            image, pasted = self._cut_outs.draw(rng)
            # What is left of a held thing may be nothing.
            if told := [hand for hand in pasted if hand.holds is not None and hand.shown >= _SHOWN]:
                places = (told[-1].keypoints + 0.5) / image.shape[1::-1]
                return located_crop(image, places, told[-1].right, bool(told[-1].holds), config, rng)
        drawn = bool(rng.random() < _HELD)
        groups = self._hands.get(drawn) or self._hands[not drawn]
        return photo_crop(*one_of(groups, rng), config, rng)


def photo_crop(photo: Photo, number: int, config: RgbAugmentation, rng: np.random.Generator) -> PhotoCrop:
    """An augmented crop of the hand in a photo's box of that number."""
    image = photo.image()
    keypoints, right = labelled_keypoints().get((photo.name, number), (None, True))
    if keypoints is None:
        return square_crop(image, photo.boxes[number], config, rng)._replace(shows=True, holds=photo.kind == 'held')
    return located_crop(image, keypoints, right, photo.kind == 'held', config, rng)


def located_crop(
    image: np.ndarray,
    keypoints: np.ndarray,
    right: bool,
    holds: bool,
    config: RgbAugmentation,
    rng: np.random.Generator,
) -> PhotoCrop:
    """An augmented crop of a hand whose keypoints (21, 2) are known, shares of width and height of an image (H, W, 3)
    RGB."""
    plain, points = _whole(image, keypoints, not right)
    crop = random_crop(plain, points, None, config, rng, whole=True)
    pixels = crop.project(crop.from_camera(points)).astype(np.float32)
    picture = recoloured(crop.warp(image, config.size), config.colours, rng)
    return PhotoCrop(picture, pixels, True, True, holds, crop.focal)


def square_crop(image: np.ndarray, box: np.ndarray, config: RgbAugmentation, rng: np.random.Generator) -> PhotoCrop:
    """An augmented crop about a box in an image (H, W, 3) RGB, without keypoints, as of no hand.

    Args:
        image: the picture.
        box: (4,) left, top, right, bottom, shares of width and height.
        config: the distribution of crops; none is upright, because nothing tells which way is up.
        rng: of the augmentation.
    """
    plain, corners = _whole(image, box[[[0, 1], [2, 1], [0, 3], [2, 3]]], bool(rng.random() < 0.5))
    crop = random_crop(plain, corners, None, dataclasses.replace(config, upright=0.0), rng, whole=True)
    picture = recoloured(crop.warp(image, config.size), config.colours, rng)
    return PhotoCrop(picture, np.zeros((21, 2), np.float32), False, False, False, crop.focal)


def _whole(image: np.ndarray, places: np.ndarray, mirrored: bool) -> tuple[ViewCrop, np.ndarray]:
    """The square about an image, of the camera that is assumed, and points (N, 3) of that camera that are seen at
    places (N, 2), shares of width and height."""
    size = np.array([image.shape[1], image.shape[0]])
    focal = _FOCAL * float(size.max())
    camera = Pinhole(*size.tolist(), focal, focal, *((size - 1) / 2).tolist())
    points = camera.unproject(places * size - 0.5, np.ones(len(places)))
    return ViewCrop(camera, size / 2, float(size.max()), mirrored=mirrored), points
