# SPDX-License-Identifier: Apache-2.0
"""Real photos without hands behind the people of generated colour scenes.

The photos are those of kind 'none' in `photos.py`, with its split.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from training.data.real.photos import photos
from training.data.synthetic.colour import linear
from training.data.synthetic.colour import LUMINANCE
from training.data.synthetic.lighting import Lighting
from training.data.synthetic.rgb_sensor import metered
from training.data.synthetic.rgb_sensor import TONE

_LIT = 0.16
"""Metered light of a photo, a multiple of that of a white surface which faces all lamps; about as in rendered rooms."""
_BRIGHTEST = 0.985
"""Linear values above this are clipped in a photo."""


@dataclasses.dataclass(frozen=True)
class Backdrop:
    """A photo as the background of an image.

    Attributes:
        image: (H, W, 3) uint8 sRGB.
        gain: (3,) of its light, to the scale of the scene's light.
        share: of the largest part of the photo with the proportions of the image.
        place: (2,) of this part, 0 at the left and top, 1 at the right and bottom.
        blur: standard deviation of the defocus, shares of the image's width.
    """

    image: np.ndarray
    gain: np.ndarray
    share: float
    place: np.ndarray
    blur: float

    def look(self, camera: Pinhole) -> np.ndarray:
        """(H, W, 3) float32, the light behind an image."""
        height, width = self.image.shape[:2]
        shape = np.array([camera.width, camera.height])
        side = np.maximum(np.round(shape * (self.share * min(width / shape[0], height / shape[1]))), 2).astype(int)
        left, top = np.round(self.place * (np.array([width, height]) - side)).astype(int)
        part = _LIGHT[self.image[top : top + side[1], left : left + side[0]]] * self.gain.astype(np.float32)
        enlarged = shape[0] / side[0]
        if enlarged < 1:
            result = cv2.resize(part, tuple(shape.tolist()), interpolation=cv2.INTER_AREA)
        else:
            result = cv2.resize(part, tuple(shape.tolist()), interpolation=cv2.INTER_LINEAR)
        # An enlarged photo is as soft as its pixels, without their edges.
        blur = np.hypot(self.blur * shape[0], 0.4 * enlarged if enlarged > 1 else 0)
        return cv2.GaussianBlur(result, (0, 0), blur) if blur > 0.3 else result


class Scenery:
    """Draws backdrops from the real material.

    Args:
        root: folder of the real material.
        split: 'train', or any other for the photos of the validation.

    Raises:
        FileNotFoundError: the folder has no such photo.
    """

    def __init__(self, root: Path, split: str) -> None:
        self.photos = [
            photo for photo in photos(root, 'train' if split == 'train' else 'validation') if photo.kind == 'none'
        ]
        if not self.photos:
            raise FileNotFoundError(f'{root}: SOURCES.csv names no photo without hands for the split {split}')
        sources = [photo.source for photo in self.photos]
        # Square root: a compromise between equal shares for sources and for photos.
        weights = np.array([sources.count(source) ** -0.5 for source in sources])
        self._shares = weights / weights.sum()

    @staticmethod
    def key(root: Path | None) -> str:
        """What samples with these photos depend on: the names and sizes of the files; '' without a folder."""
        if root is None:
            return ''
        paths = sorted(
            path for folder in ('backgrounds_rgb', 'backgrounds_depth') for path in (root / folder).glob('*.jpg')
        )
        files = ''.join(f'{path.name} {path.stat().st_size}\n' for path in paths)
        return f'scenery {hashlib.sha256(files.encode()).hexdigest()[:16]}, '

    def draw(self, lighting: Lighting, rng: np.random.Generator) -> Backdrop:
        """A random photo, as bright and of the colour as if the scene's lighting lit it."""
        image = self.photos[rng.choice(len(self.photos), p=self._shares)].image()
        if rng.random() < 0.5:
            image = image[:, ::-1]
        total = float(lighting.total() @ LUMINANCE)
        gain = lighting.white() * (_LIT * total * np.exp(rng.normal(0, 0.4)) / metered(_LIGHT[image[::4, ::4]]))
        return Backdrop(
            image,
            gain,
            float(rng.uniform(0.5, 1)),
            rng.random(2),
            0.0 if rng.random() < 0.5 else float(rng.uniform(0, 0.008)),
        )


_LIGHT = (-np.log(1 - np.minimum(linear(np.arange(256) / 255), _BRIGHTEST)) / TONE).astype(np.float32)
"""Light of each value of a photo: the tone curve of `RgbSensor` undone."""
