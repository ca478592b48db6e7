# SPDX-License-Identifier: Apache-2.0
"""Finds the hands in an RGB image: where, how large, which side, and the box of what each holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from hoi_ros.engines import Backend
from hoi_ros.engines import load_engine
from hoi_ros.resources import model_dir
from hoi_ros.stages.parts.exposure import lit
from hoi_ros.stages.parts.heat_maps import peaks
from hoi_ros.stages.parts.heat_maps import pixel_of
from hoi_ros.stages.parts.scores import ScoreCalibration

STRIDE = 4
"""Pixels of the network's image to a cell of its maps."""
_SAME_HAND = 0.5
"""Two peaks nearer than this share of the surer one's side are one hand."""
_WINDOW = 3.2
"""Side of the window about a hand in which the detector runs again, as a multiple of the hand's side."""
_STAYS = 0.75
"""From near a hand lies within this share of its side of where it seemed to be."""


@dataclasses.dataclass(frozen=True)
class DetectedHand:
    """One hand; pixels of the image that was given."""

    centre: np.ndarray
    """(2,) middle of the square around the hand's 21 keypoints."""
    side: float
    """Of that square."""
    score: float
    """Probability that a hand is there."""
    right: float
    """Probability that it is a right hand."""
    holds: float
    """Probability that it holds something."""
    held: tuple[float, float, float, float] | None
    """Left, top, width and height of the box of what it holds; None where it more likely holds nothing."""
    on_depth: float = 0.0
    """Probability that a depth image shows it; 0 without one."""

    @property
    def held_corners(self) -> np.ndarray | None:
        """(2, 2) lowest and highest pixels of that box."""
        if self.held is None:
            return None
        left, top, width, height = self.held
        return np.array([[left, top], [left + width, top + height]])


class RgbDetector:
    """Runs the detector's network on an image of any size.

    Args:
        models: folder that holds rgb_detector/; the package's own by default.
        backend, threads: of the engine.

    Raises:
        EngineError: the model is missing or damaged.
    """

    def __init__(self, models: Path | None = None, backend: Backend = 'auto', threads: int | None = None) -> None:
        self._engine = load_engine(model_dir('rgb_detector', models), backend, threads=threads)
        _, _, self._height, self._width = self._engine.inputs[0].shape
        self.calibration = ScoreCalibration(**self._engine.card.parameters.get('score_calibration', {}))

    def __call__(self, image: np.ndarray, most: int = 2, threshold: float = 0.3) -> list[DetectedHand]:
        """Detects hands.

        Args:
            image: (H, W, 3) uint8 RGB.
            most: largest number of hands, the surest first.
            threshold: lowest score.
        """
        return self.batch([image], most, threshold)[0]

    def batch(self, images: Sequence[np.ndarray], most: int = 2, threshold: float = 0.3) -> list[list[DetectedHand]]:
        """Detects hands in several images of any sizes in one batch: a list an image, each as of a call."""
        if not images:
            return []
        shrunk = [fitted(image, self._width, self._height) for image in images]
        maps = self._engine(image=np.stack([network_input(lit(small)) for small, _ in shrunk]))
        found = []
        for index, (_, scale) in enumerate(shrunk):
            heat, square, kind, held = (maps[name][index] for name in ('heat', 'square', 'kind', 'held'))
            hands = decode(heat, square, kind, held, most)
            scored = [dataclasses.replace(hand, score=self.calibration(hand.score)) for hand in hands]
            found.append([_on_image(hand, scale) for hand in scored if hand.score >= threshold])
        return found


def detect_near(
    detector: RgbDetector, image: np.ndarray, squares: Sequence[tuple[np.ndarray, float]], threshold: float
) -> list[DetectedHand | None]:
    """Detects hands in windows about places, in one batch.

    Args:
        detector: runs on the windows.
        image: (H, W, 3) uint8 RGB.
        squares: centre (2,) and side of each hand's square, pixels.
        threshold: lowest score.

    Returns:
        The hand nearest to the centre of each square; None where there is none near it.
    """
    corners = [_window(image, centre, side) for centre, side in squares]
    windows = [image[top:bottom, left:right] for left, top, right, bottom in corners]
    nearest: list[DetectedHand | None] = []
    for (centre, side), (left, top, _, _), hands in zip(squares, corners, detector.batch(windows, 2, threshold)):
        found = [moved(hand, np.array([left, top])) for hand in hands]
        gaps = [float(np.linalg.norm(hand.centre - centre)) for hand in found]
        nearest.append(found[int(np.argmin(gaps))] if gaps and min(gaps) < _STAYS * side else None)
    return nearest


def _window(image: np.ndarray, centre: np.ndarray, side: float) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the window about a hand, inside the image and never empty."""
    height, width = image.shape[:2]
    half = _WINDOW * side / 2
    left, top = (int(np.clip(centre[k] - half, 0, size - 1)) for k, size in enumerate((width, height)))
    right, bottom = (
        int(np.clip(centre[k] + half + 1, corner + 1, size))
        for k, (corner, size) in enumerate(((left, width), (top, height)))
    )
    return left, top, right, bottom


def moved(hand: DetectedHand, corner: np.ndarray) -> DetectedHand:
    """A hand that was found in a part of an image, in pixels of the image; `corner` (2,) is the part's first pixel."""
    held = (
        None
        if hand.held is None
        else (hand.held[0] + float(corner[0]), hand.held[1] + float(corner[1]), hand.held[2], hand.held[3])
    )
    return dataclasses.replace(hand, centre=hand.centre + corner, held=held)


def fitted(image: np.ndarray, width: int, height: int) -> tuple[np.ndarray, float]:
    """An image (H, W, 3) at the size that fits into width × height, its left and top on theirs, black beyond it; and
    the small image's pixels to one of the image."""
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return cv2.copyMakeBorder(small, 0, height - size[1], 0, width - size[0], cv2.BORDER_CONSTANT, value=0), scale


def network_input(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 → (3, H, W) in [−1, 1]."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32) / 127.5 - 1


def decode(
    heat: np.ndarray, square: np.ndarray, kind: np.ndarray, held: np.ndarray, most: int, threshold: float = 0.02
) -> list[DetectedHand]:
    """Peaks of the maps → hands in pixels of the network's image, the surest first.

    Args:
        heat: (1, h, w) probability that a hand is centred in a cell.
        square: (3, h, w) centre right and down of the cell's (cells), log(side / height of the image).
        kind: (2, h, w) probabilities of a right hand and of something held.
        held: (4, h, w) left, top, right, bottom of what is held from the hand's centre, in sides.
        most: hands at the most.
        threshold: lowest probability of a peak.
    """
    scores = heat[0]
    found: list[DetectedHand] = []
    for row, column in peaks(scores, threshold):
        across, down, size = square[:, row, column].astype(float)
        side = float(scores.shape[0] * STRIDE * np.exp(np.clip(size, -5, 2)))
        centre = pixel_of((row, column), np.array([across, down]), STRIDE)
        if any(np.linalg.norm(centre - other.centre) < _SAME_HAND * other.side for other in found):
            continue
        right, holds = (float(value) for value in kind[:, row, column])
        left, top, end, bottom = held[:, row, column].astype(float) * side + np.tile(centre, 2)
        box = (left, top, end - left, bottom - top) if holds >= 0.5 and end > left and bottom > top else None
        found.append(DetectedHand(centre, side, float(scores[row, column]), right, holds, box))
        if len(found) == most:
            break
    return found


def _on_image(hand: DetectedHand, scale: float) -> DetectedHand:
    """From pixels of the small image to those of the image; a pixel's centre is at whole numbers."""
    held = None
    if hand.held is not None:
        left, top, width, height = hand.held
        held = (left + 0.5) / scale - 0.5, (top + 0.5) / scale - 0.5, width / scale, height / scale
    return dataclasses.replace(hand, centre=(hand.centre + 0.5) / scale - 0.5, side=hand.side / scale, held=held)
