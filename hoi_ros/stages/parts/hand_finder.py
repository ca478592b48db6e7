# SPDX-License-Identifier: Apache-2.0
"""Detects the hands in a whole depth image, with their distances."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.engines import load_engine
from hoi_ros.engines.loading import Backend
from hoi_ros.resources import model_dir
from hoi_ros.stages.parts.heat_maps import peaks
from hoi_ros.stages.parts.heat_maps import pixel_of
from hoi_ros.stages.parts.inferred_hand import SAME_HAND

STRIDE = 4
"""Pixels of the network's image per cell of its maps."""


@dataclasses.dataclass(frozen=True)
class FoundHand:
    """A detected hand: its centre (3,) in metres, optical frame, and its score in [0, 1]."""

    centre: np.ndarray
    score: float


def finder_input(depth: np.ndarray) -> np.ndarray:
    """Depth (H, W) metres, 0 or NaN invalid → (2, H, W) float32: scaled depth, and 1 where it is valid."""
    valid = (depth > 0.1) & (depth < 2.0)
    scaled = np.where(valid, (depth - 0.7) * 2, 2.6)
    return np.stack([scaled, valid]).astype(np.float32)


class HandFinder:
    """Runs the finder's network on an image of any size.

    Args:
        models: folder that holds hand_finder/.
        backend, threads: of the engine.
    """

    def __init__(self, models: Path | None = None, backend: Backend = 'auto', threads: int | None = None) -> None:
        self._engine = load_engine(model_dir('hand_finder', models), backend, threads=threads)
        _, _, self._height, self._width = self._engine.inputs[0].shape

    def __call__(
        self,
        depth: np.ndarray,
        camera: Pinhole,
        most: int = 2,
        threshold: float = 0.3,
        known: Sequence[np.ndarray] = (),
    ) -> list[FoundHand]:
        """Detects hands.

        Args:
            depth: (H, W) metres, 0 or NaN invalid.
            camera: of that image.
            most: hands at most, by falling score.
            threshold: lowest score.
            known: (3,) centres of hands that are not looked for.
        """
        small, small_camera = self.shrink(depth, camera)
        maps = self._engine(frame=finder_input(small)[None])
        return decode(maps['heat'][0], maps['place'][0], small_camera, most, threshold, known)

    def shrink(self, depth: np.ndarray, camera: Pinhole) -> tuple[np.ndarray, Pinhole]:
        """The image at the network's size and its camera: nearest pixels, padded with 0 at the right and below."""
        scale = min(self._width / camera.width, self._height / camera.height)
        width, height = round(camera.width * scale), round(camera.height * scale)
        small = cv2.resize(np.asarray(depth, np.float32), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        small = cv2.copyMakeBorder(
            small, 0, self._height - height, 0, self._width - width, cv2.BORDER_CONSTANT, value=0
        )
        shrunk = camera.scaled(width, height)
        return small, dataclasses.replace(shrunk, width=self._width, height=self._height)


def decode(
    heat: np.ndarray,
    place: np.ndarray,
    camera: Pinhole,
    most: int,
    threshold: float,
    known: Sequence[np.ndarray] = (),
) -> list[FoundHand]:
    """Peaks of the maps → hands.

    Args:
        heat: (1, h, w) probability that a hand is centred in a cell.
        place: (3, h, w) offset from the cell's centre (cells) and scaled depth of the hand's centre.
        camera: of the network's image.
        most, threshold, known: see `HandFinder`.
    """
    scores = heat[0]
    found: list[FoundHand] = []
    for row, column in peaks(scores, threshold):
        across, down, away = place[:, row, column]
        z = float(np.clip(away / 2 + 0.7, 0.12, 2.5))
        centre = camera.unproject(pixel_of((row, column), np.array([across, down]), STRIDE), z)
        if any(np.linalg.norm(centre - other.centre) < 0.08 for other in found):
            continue
        if any(np.linalg.norm(centre - other) <= SAME_HAND for other in known):
            continue
        found.append(FoundHand(centre, float(scores[row, column])))
        if len(found) == most:
            break
    return found
