# SPDX-License-Identifier: Apache-2.0
"""Crops of hands as `reconstruction` receives them: augmented for training, plain for evaluation."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.view_crop import outline
from hoi_ros.camera.view_crop import ViewCrop
from training.data.synthetic.recolouring import OTHER_COLOURS
from training.data.synthetic.recolouring import recoloured
from training.data.synthetic.recolouring import Recolouring

ROOM = 1.3
"""Side of a crop, a multiple of the square around the hand and its object."""
_KEPT, _TRIES = 1.55, 30
"""The same of what a crop of a window shows, and attempts to find a box that is inside."""


def plain_crop(camera: Pinhole, keypoints: np.ndarray, held: np.ndarray | None, right: bool) -> ViewCrop:
    """The square around a hand (21, 3) and points of its object (M, 3), metres in the optical frame."""
    middle, side = outline(camera.project(keypoints), None if held is None else camera.project(held))
    return ViewCrop(camera, middle, ROOM * side, mirrored=not right)


def crop_of(record: np.ndarray) -> ViewCrop:
    """The plain crop of a record of `crop_dtype`."""
    window = record['image'].shape[0]
    return plain_crop(
        Pinhole(window, window, *record['camera']),
        record['keypoints'].astype(float),
        record['surface'].astype(float) if record['family'] >= 0 else None,
        bool(record['right']),
    )


@dataclasses.dataclass(frozen=True)
class RgbAugmentation:
    """Random crops of a window."""

    size: int = 160
    """Pixels."""
    centre: float = 0.05
    """Standard deviation of the crop's centre, a share of its side."""
    scale: float = 0.12
    """Largest change of its side, a logarithm."""
    upright: float = 0.8
    """Share of crops in which the fingers point up, as a stage with a known roll crops them."""
    roll: float = 0.2
    """Standard deviation of the roll of upright crops, radians."""
    turn: float = 1.0
    """Largest roll of the camera in other crops, radians."""
    first_centre: float = 0.09
    first_scale: tuple[float, float] = (-0.35, 0.2)
    """As `centre` and `scale`, of these other crops: they are about what the detector proposes, and that is less exact
    than the joints of a crop before."""
    widened: float = 0.6
    """Share of crops that are widened to the held object, or to a place beside an empty hand: the crop must not reveal
    whether there is an object."""
    colours: Recolouring = OTHER_COLOURS


class Crop(NamedTuple):
    """A crop of a right hand with its labels; metres in the axes of the crop's camera, relative to the root."""

    image: np.ndarray
    """(size, size, 3) uint8 RGB."""
    keypoints: np.ndarray
    place: np.ndarray
    """(3,) as `HandPrediction.place` of the network."""
    pixels: np.ndarray
    """(21, 2) the keypoints relative to the crop's centre, in halves of its side."""
    vertices: np.ndarray
    surface: np.ndarray
    focal: float
    """As `ViewCrop.focal`."""


def cut(
    record: np.ndarray,
    config: RgbAugmentation,
    root: int,
    crop_width: float,
    rng: np.random.Generator | None,
    seen: np.ndarray | None = None,
) -> Crop:
    """Crops a square from a window; left hands are mirrored.

    Args:
        record: of `crop_dtype`.
        config: the distribution of crops.
        root: the keypoint that labels are relative to.
        crop_width: metres; unit of the third number of the place.
        rng: None for the plain crop.
        seen: keypoints (21, 3), metres in the window's optical frame, that turn the plain crop upright.
    """
    crop, keypoints = crop_of(record), record['keypoints'].astype(float)
    if rng is not None:
        crop = random_crop(
            crop, keypoints, record['surface'].astype(float) if record['family'] >= 0 else None, config, rng
        )
    elif seen is not None:
        crop = crop.upright(seen)
    image = crop.warp(record['image'], config.size)
    if rng is not None:
        image = recoloured(image, config.colours, rng)
    turned = crop.from_camera(keypoints)
    origin = turned[root]
    place = np.append(crop.project(origin), np.log(crop.width_at(origin[2]) / crop_width))
    return Crop(
        image,
        (turned - origin).astype(np.float32),
        place.astype(np.float32),
        crop.project(turned).astype(np.float32),
        (crop.from_camera(record['vertices'].astype(float)) - origin).astype(np.float32),
        (crop.from_camera(record['surface'].astype(float)) - origin).astype(np.float32),
        crop.focal,
    )


def random_crop(
    plain: ViewCrop,
    keypoints: np.ndarray,
    held: np.ndarray | None,
    config: RgbAugmentation,
    rng: np.random.Generator,
    whole: bool = False,
) -> ViewCrop:
    """An augmented crop about a hand.

    Args:
        plain: its camera and whether it is mirrored are kept.
        keypoints: (21, 3) in the camera's optical frame; a common scale does not matter.
        held: points (M, 3) of what the hand holds, in the same frame, or None.
        config: the distribution of crops.
        rng: of the augmentation.
        whole: whether the image is a whole one; otherwise it is a window about the hand, in which a crop stays.
    """
    project = plain.camera.project
    hand = project(keypoints)
    extent = np.array([plain.camera.width, plain.camera.height])
    wide = _beside_within(hand, extent, whole, rng) if held is None else project(held)
    middle, side = outline(hand, wide if rng.random() < config.widened else None)
    upright = rng.random() < config.upright
    offset, scale = (
        (config.centre, (-config.scale, config.scale)) if upright else (config.first_centre, config.first_scale)
    )
    crop = dataclasses.replace(
        plain,
        centre=middle + rng.normal(0, offset, 2) * ROOM * side,
        side=ROOM * side * float(np.exp(rng.uniform(*scale))),
        turn=float(rng.uniform(-config.turn, config.turn)),
    )
    return crop.upright(keypoints, float(rng.normal(0, config.roll))) if upright else crop


def _beside_within(hand: np.ndarray, extent: np.ndarray, whole: bool, rng: np.random.Generator) -> np.ndarray | None:
    """A box as of `beside` in an image of width and height (2,), such as a held thing would be: beyond the image all is
    black, which would tell that a hand is empty. None where there is no room."""
    for _ in range(_TRIES):
        box = beside(hand, rng)
        low, high = box.min(0), box.max(0)
        if not whole:
            middle, side = outline(hand, box)
            low, high = middle - _KEPT * side / 2, middle + _KEPT * side / 2
        if (low > -0.5).all() and (high < extent - 0.5).all():
            return box
    return None


def beside(hand: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two corners (2, 2) of a box near a hand (21, 2) and of about its size, pixels."""
    low, high = hand.min(0), hand.max(0)
    side = (high - low).max()
    centre = (low + high) / 2 + rng.uniform(-0.8, 0.8, 2) * side
    half = rng.uniform(0.15, 0.6, 2) * side
    return np.stack([centre - half, centre + half])
