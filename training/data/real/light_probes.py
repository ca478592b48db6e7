# SPDX-License-Identifier: Apache-2.0
"""Measured light of real rooms (Poly Haven, CC0) for generated colour scenes.

A folder holds panoramas of linear radiance: the width is twice the height, the upper edge is the zenith. One of three
is for validation and tests, the others are for training. What shines much brighter than the rest becomes a lamp, so
that it casts shadows; the rest lights from all directions.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import cv2
import numpy as np

from training.data.synthetic.colour import LUMINANCE
from training.data.synthetic.lighting import Lamp
from training.data.synthetic.lighting import Lighting

_HEIGHT = 32
"""Rows of the room of `Lighting`."""
_LAMPS = 3
_BRIGHT = 4.0
"""Directions above this multiple of the mean radiance belong to lamps."""
_REACH = np.cos(np.radians(25))
"""Cosine of the largest angle of bright directions of one lamp."""
_FAINT = 0.05
"""Lamps of a smaller share of all light stay parts of the room."""


class LightProbes:
    """Draws the lighting of a scene from a folder of panoramas.

    Args:
        folder: the panoramas are its `hdri/*.hdr`; it may have none.
        split: 'train' draws from two of three panoramas, any other split from the rest.

    Attributes:
        paths: of the panoramas.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.paths = [path for path in _panoramas(folder) if _is_trained(path) == (split == 'train')]

    @staticmethod
    def key(folder: Path | None) -> str:
        """What samples with this light depend on: the names and sizes of the panoramas; '' without any."""
        paths = _panoramas(folder) if folder else []
        files = ''.join(f'{path.name} {path.stat().st_size}\n' for path in paths)
        return f'light {hashlib.sha256(files.encode()).hexdigest()[:16]}, ' if files else ''

    def draw(self, up: np.ndarray, rng: np.random.Generator) -> Lighting:
        """The light of a random room, turned about the vertical `up` (3,), of random strength."""
        room, lamps = _probe(self.paths[rng.integers(len(self.paths))])
        turn = int(rng.integers(2 * _HEIGHT))
        strength = np.exp(rng.normal(0, 0.2))
        # A lamp that a person stands in front of or a curtain dims.
        dimmed = np.exp(rng.uniform(np.log(0.5), np.log(1.5)))
        lighting = Lighting((), np.roll(room, turn, 1) * np.float32(strength), up)
        placed = []
        for row, column, colour, size in lamps:
            direction = lighting.direction(row, column + turn)
            placed.append(Lamp(direction, colour * strength * dimmed, size * rng.uniform(0.8, 1.5)))
        return Lighting(tuple(placed), lighting.room, up)


def _panoramas(folder: Path) -> list[Path]:
    return sorted((folder / 'hdri').glob('*.hdr'))


def _is_trained(path: Path) -> bool:
    # A room may be there twice, in another resolution.
    name = path.stem.removesuffix('_1k')
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 3 != 0


@functools.cache
def _probe(path: Path) -> tuple[np.ndarray, list[tuple[float, float, np.ndarray, float]]]:
    """The room (H, 2H, 3) without its lamps, and the lamps: row, column, colour (3,) and size of each.

    The light of a white surface that faces all of it has the luminance 1.5, about that of generated rooms.

    Raises:
        ValueError: the file is no image.
    """
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError(f'{path}: no image that can be read')
    image = cv2.resize(image[..., ::-1].astype(np.float32), (2 * _HEIGHT, _HEIGHT), interpolation=cv2.INTER_AREA)
    # Columns of a panorama run to the right, those of a room to the left.
    room = np.ascontiguousarray(image[:, ::-1]).astype(float)
    rows, columns = np.mgrid[:_HEIGHT, : 2 * _HEIGHT] + 0.5
    polar, azimuth = rows * np.pi / _HEIGHT, columns * np.pi / _HEIGHT
    directions = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], -1)
    angle = np.sin(polar) * (np.pi / _HEIGHT) ** 2
    total = (room * angle[..., None]).sum((0, 1))
    limit = _BRIGHT * float(total @ LUMINANCE) / (4 * np.pi)
    lamps = []
    for _ in range(_LAMPS):
        excess = np.maximum(1 - limit / np.maximum(room @ LUMINANCE, 1e-9), 0)
        flux = excess * (room @ LUMINANCE) * angle
        brightest = directions[np.unravel_index(flux.argmax(), flux.shape)]
        share = excess * (directions @ brightest > _REACH)
        light = (room * (share * angle)[..., None]).sum((0, 1))
        if light @ LUMINANCE < _FAINT * (total @ LUMINANCE):
            break
        weights = share * (room @ LUMINANCE) * angle
        centre = (directions * weights[..., None]).sum((0, 1)) / weights.sum()
        spread = np.sqrt(max(2 * (1 - np.linalg.norm(centre)), 0.0))
        row = np.arccos(centre[2] / np.linalg.norm(centre)) * _HEIGHT / np.pi
        column = np.arctan2(centre[1], centre[0]) * _HEIGHT / np.pi
        lamps.append((float(row), float(column), light / np.pi, float(np.clip(spread, 0.03, 0.6))))
        room -= room * share[..., None]
    shining = sum((colour for _, _, colour, _ in lamps), room.mean((0, 1))) @ LUMINANCE
    scale = 1.5 / shining
    return (room * scale).astype(np.float32), [(r, c, colour * scale, size) for r, c, colour, size in lamps]
