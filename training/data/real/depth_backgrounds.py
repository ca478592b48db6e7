# SPDX-License-Identifier: Apache-2.0
"""Real depth images of scenes without hands, put behind generated hands.

The folder is `backgrounds_depth/` of the real material: table tops seen by structured-light cameras (Point Cloud
Library's modified Object Segmentation Database, BSD-3-Clause; Redwood, MIT). The learning part is for training; the
test part and the other source are for validation.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole

FOCAL = 525.0
"""Focal length of the cameras, pixels of a width of 640."""
TRAINED = 'mosd_learn'
"""Names of the images of the training part begin with this."""


@dataclasses.dataclass(frozen=True)
class DepthBackground:
    """A real depth image as another camera shows it.

    Attributes:
        depth: (H, W) float32 metres, 0 invalid.
        mirrored: whether left and right are exchanged.
        zoom: pixels of the other camera, at equal focal lengths, for one of the image.
        shift: (2,) of its centre, shares of its width.
    """

    depth: np.ndarray
    mirrored: bool
    zoom: float
    shift: np.ndarray

    def look(self, camera: Pinhole) -> np.ndarray:
        """Depth (H, W) of a camera, metres, 0 invalid or outside the image."""
        height, width = self.depth.shape
        scale = FOCAL * width / 640 / self.zoom
        sign = -1 if self.mirrored else 1
        middle = np.array([width - 1, height - 1]) / 2 + self.shift * width
        linear = np.array([sign * scale / camera.fx, scale / camera.fy])
        offset = middle - linear * [camera.cx, camera.cy]
        return cv2.warpAffine(
            self.depth,
            np.array([[linear[0], 0, offset[0]], [0, linear[1], offset[1]]]),
            (camera.width, camera.height),
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
            borderValue=0,
        )


class DepthBackgrounds:
    """Draws backgrounds from a folder of 16-bit depth images in millimetres.

    Args:
        folder: the images are its `*_depth.png`.
        split: 'train' draws from the training part, any other split from the rest.

    Raises:
        FileNotFoundError: the folder has no such image.
    """

    def __init__(self, folder: Path, split: str) -> None:
        paths = sorted(folder.glob('*_depth.png'))
        self.paths = [path for path in paths if path.name.startswith(TRAINED) == (split == 'train')]
        if not self.paths:
            raise FileNotFoundError(
                f'{folder}: no *_depth.png for the split {split}; name the folder backgrounds_depth'
            )
        self._images: dict[Path, np.ndarray] = {}

    @staticmethod
    def key(folder: Path | None) -> str:
        """What samples with these backgrounds depend on: the names and sizes of the images; '' without a folder."""
        if folder is None:
            return ''
        files = ''.join(f'{path.name} {path.stat().st_size}\n' for path in sorted(folder.glob('*_depth.png')))
        return f'backgrounds {hashlib.sha256(files.encode()).hexdigest()[:16]}, '

    def image(self, number: int) -> np.ndarray:
        """(H, W) float32 metres, 0 invalid."""
        path = self.paths[number]
        if path not in self._images:
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if image is None or image.dtype != np.uint16 or image.ndim != 2:
                raise ValueError(f'{path}: not a 16-bit depth image of one channel')
            self._images[path] = image.astype(np.float32) * np.float32(1e-3)
        return self._images[path]

    def draw(self, rng: np.random.Generator) -> DepthBackground:
        """A random image, mirrored, magnified and shifted at random."""
        return DepthBackground(
            self.image(int(rng.integers(len(self.paths)))),
            bool(rng.random() < 0.5),
            float(np.exp(rng.uniform(0.0, 0.4))),
            rng.normal(0, 0.05, 2),
        )
