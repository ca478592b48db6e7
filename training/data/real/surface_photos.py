# SPDX-License-Identifier: Apache-2.0
"""Photographed surfaces (ambientCG, CC0) for tables, floors, walls, cloth and things of generated scenes.

A folder holds small pictures named by what they show: `Wood_012.jpg`. One of three is for validation and tests, the
others are for training. The photos do not say how large they are: each kind has a plausible range of widths.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from training.data.synthetic.picture import Picture
from training.data.synthetic.pictured import PhotographedSurface

_SIDE = 128
"""Side of the pictures, pixels."""
_SEAM = 1.6
"""Opposite edges of a picture that continues over them differ at most by this multiple of neighbouring pixels."""


class _Use(NamedTuple):
    """Where surfaces of one name are used: probability relative to the other names, by kind of mesh; range of the
    picture's width, metres; range of roughness."""

    shares: dict[str, float]
    width: tuple[float, float]
    roughness: tuple[float, float]


_USES = {
    'Asphalt': _Use({'table': 0.3}, (0.3, 0.8), (0.8, 1.0)),
    'Bamboo': _Use({'table': 0.3, 'thing': 0.3}, (0.2, 0.5), (0.4, 0.8)),
    'Bricks': _Use({'wall': 2.0}, (0.8, 1.6), (0.8, 1.0)),
    'Cardboard': _Use({'thing': 2.0, 'table': 0.3}, (0.15, 0.4), (0.8, 1.0)),
    'Carpet': _Use({'table': 1.0}, (0.2, 0.6), (0.95, 1.0)),
    'Chipboard': _Use({'table': 0.7, 'thing': 0.5}, (0.2, 0.5), (0.5, 0.9)),
    'Concrete': _Use({'wall': 2.0, 'table': 0.7}, (0.5, 1.5), (0.7, 1.0)),
    'Cork': _Use({'table': 0.3, 'thing': 0.3, 'wall': 0.2}, (0.15, 0.4), (0.8, 1.0)),
    'Fabric': _Use({'cloth': 1.0, 'table': 1.5, 'thing': 0.5}, (0.06, 0.25), (0.95, 1.0)),
    'Granite': _Use({'table': 1.0}, (0.2, 0.5), (0.2, 0.6)),
    'Gravel': _Use({'table': 0.2}, (0.4, 0.9), (0.9, 1.0)),
    'Ground': _Use({'table': 0.3}, (0.5, 1.2), (0.9, 1.0)),
    'Marble': _Use({'table': 1.2, 'wall': 0.3}, (0.3, 0.9), (0.15, 0.5)),
    'Metal': _Use({'table': 0.5, 'thing': 1.5}, (0.15, 0.5), (0.25, 0.6)),
    'Paint': _Use({'thing': 0.4}, (0.5, 1.5), (0.4, 0.9)),
    'Paper': _Use({'table': 0.3, 'thing': 0.5, 'wall': 0.3}, (0.2, 0.6), (0.8, 1.0)),
    'PavingStones': _Use({'table': 0.4}, (0.6, 1.4), (0.8, 1.0)),
    'Planks': _Use({'table': 1.5, 'wall': 1.0}, (0.5, 1.2), (0.5, 0.9)),
    'Plaster': _Use({'wall': 2.0}, (0.6, 1.6), (0.8, 1.0)),
    'Plastic': _Use({'table': 0.5, 'thing': 1.5}, (0.1, 0.4), (0.2, 0.7)),
    'Rocks': _Use({'wall': 0.4}, (0.6, 1.4), (0.8, 1.0)),
    'Terrazzo': _Use({'table': 1.0}, (0.2, 0.5), (0.2, 0.6)),
    'Tiles': _Use({'table': 1.0, 'wall': 1.5}, (0.4, 1.2), (0.15, 0.5)),
    'Wallpaper': _Use({'wall': 1.5}, (0.5, 1.2), (0.8, 1.0)),
    'Wood': _Use({'table': 4.0, 'wall': 0.4, 'thing': 1.0}, (0.25, 0.7), (0.3, 0.8)),
    'WoodFloor': _Use({'table': 2.0}, (0.6, 1.4), (0.3, 0.7)),
    'WoodSiding': _Use({'wall': 1.0}, (0.6, 1.4), (0.6, 0.9)),
}
_LAID = {'Bricks', 'PavingStones', 'Planks', 'Tiles', 'WoodFloor', 'WoodSiding'}
"""Surfaces with joints, which a fade would blur: these are mirrored at their edges."""


class SurfacePhotos:
    """Draws materials from a folder of photographed surfaces.

    Args:
        folder: the photos are its `ambientcg/NAME_*.jpg`.
        split: 'train' draws from two of three photos, any other split from the rest.

    Attributes:
        paths: of the photos.

    Raises:
        FileNotFoundError: the folder has no such photo.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.paths = [path for path in _photos(folder) if _is_trained(path) == (split == 'train')]
        if not self.paths:
            raise FileNotFoundError(
                f'{folder}: no ambientcg/NAME_*.jpg for the split {split}: name the folder textures'
            )
        self._by_name: dict[str, list[Path]] = {}
        for path in self.paths:
            self._by_name.setdefault(_name(path), []).append(path)

    @staticmethod
    def key(folder: Path | None) -> str:
        """What samples with these surfaces depend on: the names and sizes of the photos; '' without a folder."""
        if folder is None:
            return ''
        files = ''.join(f'{path.name} {path.stat().st_size}\n' for path in _photos(folder))
        return f'surfaces {hashlib.sha256(files.encode()).hexdigest()[:16]}, '

    def draw(
        self, kind: str, rng: np.random.Generator, frame: np.ndarray | None = None, size: float | None = None
    ) -> PhotographedSurface | None:
        """A random surface; None if no photo suits the kind.

        Args:
            kind: table, wall, cloth or thing.
            rng: the source of the draw.
            frame: (3, 3) rows: right, up and out of the surface; random if None.
            size: largest width of the picture, metres.
        """
        shares = {name: _USES[name].shares.get(kind, 0.0) for name in self._by_name}
        if not any(shares.values()):
            return None
        names = list(shares)
        name = names[rng.choice(len(names), p=np.array(list(shares.values())) / sum(shares.values()))]
        use, paths = _USES[name], self._by_name[name]
        picture = _picture(paths[rng.integers(len(paths))])
        width = float(np.exp(rng.uniform(*np.log(use.width))))
        if frame is None:
            frame = Rotation.random(random_state=rng).as_matrix()
        elif kind == 'wall' and rng.random() < 0.3:  # boards and tiles may stand upright or lie
            frame = np.stack([frame[1], -frame[0], frame[2]])
        return PhotographedSurface(
            picture,
            (width if size is None else min(width, 2 * size)) * (picture.size[0] / _SIDE),
            frame,
            rng.random(2),
            np.exp(rng.normal(-0.1, 0.2) + rng.normal(0, 0.05, 3)),
            0.02 if kind == 'cloth' else float(rng.uniform(0.0, 0.12)),
            0.02 if kind == 'cloth' else 0.04,
            float(rng.uniform(*use.roughness)),
            name == 'Metal',
        )


def _photos(folder: Path) -> list[Path]:
    return [path for path in sorted((folder / 'ambientcg').glob('*_*.jpg')) if _name(path) in _USES]


def _name(path: Path) -> str:
    return path.stem.split('_')[0]


def _is_trained(path: Path) -> bool:
    return int(hashlib.sha256(path.name.encode()).hexdigest()[:8], 16) % 3 != 0


@functools.lru_cache(maxsize=256)
def _picture(path: Path) -> Picture:
    """The picture of a surface, made to continue over its edges where the photo does not.

    Raises:
        ValueError: the file is no image.
    """
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f'{path}: no image that can be read')
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    image = image[top : top + side, left : left + side, ::-1]
    width = _SIDE
    if not _continues(image):
        if _name(path) in _LAID:
            image, width = np.concatenate([image, image[:, ::-1]], 1), 2 * _SIDE
            image = np.concatenate([image, image[::-1]], 0)
        else:
            image = _faded(_faded(image).swapaxes(0, 1)).swapaxes(0, 1)
    return Picture.of(cv2.resize(image, (width, width), interpolation=cv2.INTER_LINEAR))


def _faded(image: np.ndarray) -> np.ndarray:
    """An image whose last columns fade into its first ones, so that it continues over these edges."""
    width = image.shape[1] // 5
    share = ((np.arange(width) + 0.5) / width)[:, None]
    first, last = image[:, :width], image[:, -width:]
    return np.concatenate([np.round(last + share * (first - last.astype(float))), image[:, width:-width]], 1).astype(
        np.uint8
    )


def _continues(image: np.ndarray) -> bool:
    """Whether an image fits to itself at opposite edges."""
    values = image.astype(np.float32)
    for rows in (values, values.swapaxes(0, 1)):
        across = np.abs(rows[0] - rows[-1]).mean()
        within = np.abs(np.diff(rows, axis=0)).mean()
        if across > _SEAM * within + 1:
            return False
    return True
