# SPDX-License-Identifier: Apache-2.0
"""Records of whole RGB frames as the RGB detector receives them: augmented for training, plain for evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import cv2
import numpy as np

from training.data.synthetic.recolouring import OTHER_COLOURS
from training.data.synthetic.recolouring import recoloured
from training.data.synthetic.recolouring import Recolouring
from training.data.synthetic.rgb_frames import RgbFrames

DETECTOR_HEIGHT, DETECTOR_WIDTH = 144, 192
"""Size of the detector's image, pixels."""
COUNTED = 0.45
"""Least visible share of a hand that must be found; hands below it count neither as found nor as missed."""


@dataclasses.dataclass(frozen=True)
class RgbFrameAugmentation:
    """Augmentation of a frame."""

    height: int = DETECTOR_HEIGHT
    width: int = DETECTOR_WIDTH
    zoom: tuple[float, float] = (0.85, 1.9)
    """Scale relative to the image that just fits."""
    turn: float = 0.35
    """Largest roll, radians."""
    mounted: float = 0.25
    """Share of the images with any roll, as of cameras that are mounted on their side or upside down."""
    cropped: float = 0.5
    """Share of the images that fill only part of the width or height, like images of other aspect ratios."""
    colours: Recolouring = OTHER_COLOURS


class FrameView(NamedTuple):
    """A frame as the detector receives it, with its labels."""

    image: np.ndarray
    """(height, width, 3) uint8."""
    square: np.ndarray
    """(N, 3) centre x, y and side of the square around each hand, pixels."""
    right: np.ndarray
    """(N,) bool, right hands."""
    visible: np.ndarray
    """(N,) visible share of each hand, reduced where the view cuts it off."""
    holds: np.ndarray
    """(N,) bool, hands that hold an object."""
    held: np.ndarray
    """(N, 4) left, top, right, bottom of the held object, pixels."""
    known: np.ndarray
    """(N, 3) bool, whether the side, `holds` and `held` are labelled."""


def frame_view(
    record: np.ndarray | Mapping[str, Any],
    config: RgbFrameAugmentation,
    rng: np.random.Generator | None,
    behind: np.ndarray | None = None,
) -> FrameView:
    """Cuts a view from a record of RGB_FRAME_DTYPE.

    Args:
        record: or a mapping with its fields, which may hold an image of any size, and `known` if labels are missing.
        config: of the augmentation.
        rng: without it the whole frame, not augmented.
        behind: (H, W, 3) uint8, a picture without hands that is seen beyond the borders of the record's image, which
            are black without it.
    """
    height, width = record['image'].shape[:2]
    count = int(record['count'])
    square = record['square'][:count].astype(float)
    scale = min(config.width / width, config.height / height)
    extent = np.array([config.width, config.height])
    turn, flip = 0.0, False
    target = middle = np.array([(width - 1) / 2, (height - 1) / 2])
    if rng is not None:
        flip = rng.random() < 0.5
        turn = rng.uniform(-config.turn, config.turn)
        if config.mounted and rng.random() < config.mounted:
            turn = rng.uniform(-np.pi, np.pi)
        scale *= float(np.exp(rng.uniform(*np.log(config.zoom))))
        if rng.random() < config.cropped:
            extent[rng.integers(2)] *= rng.uniform(0.55, 1)
        # About half of the views are centred near a hand, the others anywhere.
        if count and rng.random() < 0.6:
            target = square[rng.integers(count), :2] + rng.normal(0, 0.25, 2) * extent / scale
        else:
            target = middle + rng.uniform(-0.3, 0.3, 2) * [width, height]
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    matrix = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([-1 if flip else 1, 1])
    shift = (extent - 1) / 2 - matrix @ target
    warp = np.column_stack([matrix, shift])
    image = cv2.warpAffine(shrinkable(record['image'], scale), warp, (config.width, config.height))
    if behind is not None and rng is not None:
        filled = np.full(record['image'].shape[:2], 255, np.uint8)
        beyond = cv2.warpAffine(filled, warp, (config.width, config.height)) < 255
        image[beyond] = _part_of(behind, config, rng)[beyond]
    centres = square[:, :2] @ matrix.T + shift
    sides = square[:, 2] * scale
    # The share of the square inside the view approximates the share of the hand inside it; what the record's own border
    # cuts off is not visible in it already.
    inside = _share_inside(centres, sides, extent)
    whole = np.minimum(_share_inside(square[:, :2], square[:, 2], np.array(record['image'].shape[1::-1])), 0.9)
    held = record['held'][:count].astype(float)
    # Of a box that is turned, the ellipse in it is nearer to the thing than its corners.
    about = (held[:, :2] + held[:, 2:]) / 2 @ matrix.T + shift
    half = np.sqrt(((held[:, 2:] - held[:, :2]) / 2) ** 2 @ (matrix**2).T)
    if rng is not None:
        image = recoloured(image, config.colours, rng)
    image[extent[1] :], image[:, extent[0] :] = 0, 0
    return FrameView(
        image,
        np.column_stack([centres, sides]),
        record['right'][:count] ^ flip,
        record['visible'][:count] * np.minimum(1, inside / np.maximum(whole, 0.05)),
        record['holds'][:count],
        np.concatenate([about - half, about + half], 1),
        record['known'] if isinstance(record, Mapping) and 'known' in record else np.ones((count, 3), bool),
    )


def _share_inside(centres: np.ndarray, sides: np.ndarray, extent: np.ndarray) -> np.ndarray:
    """(N,) share of squares, centres (N, 2) and sides (N,), that lies in an image of width and height (2,), pixels."""
    low, high = centres - sides[:, None] / 2, centres + sides[:, None] / 2
    shares: np.ndarray = np.clip(np.minimum(high, extent) - np.maximum(low, 0), 0, None).prod(1)
    return shares / np.maximum(sides, 1) ** 2


def shrinkable(image: np.ndarray, scale: float) -> np.ndarray:
    """An image that is about to be shrunk to `scale` of its size: blurred where pixels would be skipped."""
    return image if scale * 1.5 > 1 else cv2.GaussianBlur(image, (0, 0), 0.4 / scale)


def _part_of(picture: np.ndarray, config: RgbFrameAugmentation, rng: np.random.Generator) -> np.ndarray:
    """A random part of a picture, (height, width, 3)."""
    height, width = picture.shape[:2]
    share = rng.uniform(0.5, 1) * min(width / config.width, height / config.height)
    size = np.array([config.width, config.height]) * share
    left, top = rng.uniform(0, 1, 2) * ([width, height] - size)
    warp = np.array([[1 / share, 0, -left / share], [0, 1 / share, -top / share]])
    return cv2.warpAffine(
        shrinkable(picture, 1 / share), warp, (config.width, config.height), borderMode=cv2.BORDER_REPLICATE
    )


def held_out_views(split: str, count: int, seed: int = 0) -> list[FrameView]:
    """Views of frames outside the training split, as of `plain_views`."""
    stream = RgbFrames(seed, split)
    return plain_views((stream[index] for index in range(count)), seed)


def plain_views(records: Iterable[np.ndarray], seed: int = 0) -> list[FrameView]:
    """Views of records of RGB_FRAME_DTYPE: even indices show the whole frame, odd ones a cut, some blurred or noisy."""
    return [
        frame_view(
            record,
            RgbFrameAugmentation(mounted=0, colours=Recolouring(brightness=0, contrast=0, colour=0, grey=0)),
            np.random.default_rng([seed, 29, index]) if index % 2 else None,
        )
        for index, record in enumerate(records)
    ]
