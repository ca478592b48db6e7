# SPDX-License-Identifier: Apache-2.0
"""Crops of a hand and the object it holds: training data of `reconstruction`."""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import cv2
import numpy as np
import trimesh

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.view_crop import outline
from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.hand.model import HandModel
from training.data.hand_object import HandObjectSample
from training.data.hand_object import HandObjectSamples
from training.data.real.colour_material import ColourMaterial
from training.data.real.colour_material import GENERATED
from training.data.real.scans import scanned_objects
from training.data.synthetic.grasps import GraspGenerator
from training.data.synthetic.objects import FAMILIES
from training.data.synthetic.rgb_scenes import RgbConfig
from training.data.synthetic.rgb_scenes import RgbScenes

SURFACE_POINTS = 600
"""Points drawn on an object's surface, as in ObMan (Hasson et al., CVPR 2019)."""
ROOM = 1.3
"""Side of a crop, a multiple of the square around the hand and its object."""


@functools.cache
def crop_dtype(window: int, vertices: int) -> np.dtype:
    """A record: a window around a hand, and its labels in metres, optical frame of the window's camera."""
    return np.dtype(
        [
            ('image', np.uint8, (window, window, 3)),
            ('camera', np.float64, 4),  # fx, fy, cx, cy, pixels of the window
            ('keypoints', np.float32, (21, 3)),
            ('vertices', np.float32, (vertices, 3)),
            ('surface', np.float32, (SURFACE_POINTS, 3)),
            ('family', np.int8),  # −1: no object
            ('right', np.bool_),
            ('has_vertices', np.bool_),
        ]
    )


class RgbCrops:
    """Streams records of windows around hands; the same index gives the same record on every machine.

    Args:
        seed, split: of the scenes.
        window: side of the window, pixels.
        model: the right hand.
        material: real objects, surfaces, light and photos.
    """

    def __init__(
        self,
        seed: int = 0,
        split: str = 'train',
        window: int = 208,
        model: HandModel | None = None,
        material: ColourMaterial = GENERATED,
    ) -> None:
        model = model or HandModel.load()
        grasps = GraspGenerator(model, seed, split, scanned_objects(material.scans, split))
        self._scenes = RgbScenes(
            grasps, seed, split, RgbConfig(window=window, margin=(1.6, 1.7)), model, material=material
        )
        self._seed = seed
        self.dtype = crop_dtype(window, len(model.template))

    def sample(self, index: int) -> HandObjectSample:
        """The window with all labels."""
        return self._scenes[index]

    def __getitem__(self, index: int) -> np.ndarray:
        return record_of(self.sample(index), self.dtype, np.random.default_rng([self._seed, 5, index]))


class RecordedSamples:
    """Streams the records of a data set endlessly, in one random order.

    Args:
        samples: any data set.
        numbers: indices of the samples.
        window: side of the window around the hand, pixels.
        vertices: number of vertices of the trained hand model; labels of another mesh count as missing.
        seed: of the order.
    """

    def __init__(
        self, samples: HandObjectSamples, numbers: np.ndarray, window: int, vertices: int, seed: int = 0
    ) -> None:
        self._samples, self._window = samples, window
        self.dtype = crop_dtype(window, vertices)
        self._order = np.random.default_rng([seed, 6]).permutation(numbers)

    def __getitem__(self, index: int) -> np.ndarray:
        """The record of the next sample, from the index on, that has all keypoints.

        Raises:
            ValueError: no sample has all keypoints.
        """
        for place in range(index, index + len(self._order)):
            number = int(self._order[place % len(self._order)])
            sample = self._samples[number]
            if sample.keypoints is not None and np.isfinite(sample.keypoints).all():
                return record_of(windowed(sample, self._window), self.dtype, np.random.default_rng([5, number]))
        raise ValueError(f'none of {len(self._order)} samples has all 21 keypoints: use another split')


def windowed(sample: HandObjectSample, size: int) -> HandObjectSample:
    """A sample cropped to a window of size × size pixels around the hand and its object."""
    middle, side = outline(
        sample.camera.project(sample.keypoints), sample.camera.project(sample.held.placed) if sample.held else None
    )
    side *= 1.65
    left, top = middle - side / 2
    window = sample.camera.window(left, top, side, side, size, size)
    scale = size / side
    warp = np.array([[scale, 0, -left * scale - 0.5], [0, scale, -top * scale - 0.5]])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = (
        cv2.warpAffine(sample.image, warp, (size, size), flags=cv2.INTER_LINEAR)
        if scale >= 0.5
        else cv2.resize(_cut(sample.image, left, top, side), (size, size), interpolation=interpolation)
    )
    return dataclasses.replace(sample, image=image, camera=window, depth=None)


def _cut(image: np.ndarray, left: float, top: float, side: float) -> np.ndarray:
    """A square of whole pixels; black outside the image."""
    count = round(side)
    warp = np.array([[1.0, 0, -round(left + 0.5)], [0, 1.0, -round(top + 0.5)]])
    return cv2.warpAffine(image, warp, (count, count), flags=cv2.INTER_NEAREST)


def record_of(sample: HandObjectSample, dtype: np.dtype, rng: np.random.Generator) -> np.ndarray:
    """The record of a sample that is a window."""
    record = np.zeros((), dtype)
    record['image'] = sample.image
    record['camera'] = sample.camera.fx, sample.camera.fy, sample.camera.cx, sample.camera.cy
    record['keypoints'] = sample.keypoints
    if sample.hand_vertices is not None and len(sample.hand_vertices) == dtype['vertices'].shape[0]:
        record['vertices'], record['has_vertices'] = sample.hand_vertices, True
    record['family'] = -1
    if sample.held is not None:
        record['surface'] = trimesh.sample.sample_surface(
            trimesh.Trimesh(sample.held.placed, sample.held.faces, process=False), SURFACE_POINTS, seed=rng
        )[0]
        name = sample.held.name
        # All objects of public data sets count as one more family.
        record['family'] = FAMILIES.index(name) if name in FAMILIES else len(FAMILIES)
    record['right'] = sample.side == 'right'
    return record


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
    widened: float = 0.6
    """Share of crops that are widened to the held object, or to a place beside an empty hand: the crop must not reveal
    whether there is an object."""
    brightness: float = 0.25
    contrast: float = 0.25
    colour: float = 0.2
    """Largest gains, logarithms: of all values, about the mean, and per channel."""


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
        project = crop.camera.project
        hand = project(keypoints)
        beside = _beside(hand, rng) if record['family'] < 0 else project(record['surface'].astype(float))
        middle, side = outline(hand, beside if rng.random() < config.widened else None)
        crop = dataclasses.replace(
            crop,
            centre=middle + rng.normal(0, config.centre, 2) * ROOM * side,
            side=ROOM * side * float(np.exp(rng.uniform(-config.scale, config.scale))),
            turn=float(rng.uniform(-config.turn, config.turn)),
        )
        if rng.random() < config.upright:
            crop = crop.upright(keypoints, float(rng.normal(0, config.roll)))
    elif seen is not None:
        crop = crop.upright(seen)
    image = crop.warp(record['image'], config.size)
    if rng is not None:
        image = _recoloured(image, config, rng)
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


def _beside(hand: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two corners (2, 2) of a box near a hand (21, 2) and of about its size, pixels."""
    low, high = hand.min(0), hand.max(0)
    side = (high - low).max()
    centre = (low + high) / 2 + rng.uniform(-0.8, 0.8, 2) * side
    half = rng.uniform(0.15, 0.6, 2) * side
    return np.stack([centre - half, centre + half])


def _recoloured(image: np.ndarray, config: RgbAugmentation, rng: np.random.Generator) -> np.ndarray:
    gain = np.exp(
        rng.uniform(-config.brightness, config.brightness) + rng.uniform(-config.colour, config.colour, 3)
    ).astype(np.float32)
    contrast = np.float32(np.exp(rng.uniform(-config.contrast, config.contrast)))
    values = image.astype(np.float32) * gain
    mean = values.mean((0, 1))
    return np.clip((values - mean) * contrast + mean, 0, 255).astype(np.uint8)
