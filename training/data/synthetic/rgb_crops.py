# SPDX-License-Identifier: Apache-2.0
"""Crops of a hand and the object it holds: training data of `reconstruction`."""

from __future__ import annotations

import dataclasses
import functools

import cv2
import numpy as np
import trimesh

from hoi_ros.camera.view_crop import outline
from hoi_ros.hand.model import HandModel
from training.data.hand_object import HandObjectSample
from training.data.hand_object import HandObjectSamples
from training.data.real.colour_material import ColourMaterial
from training.data.real.colour_material import GENERATED
from training.data.real.scans import scanned_objects
from training.data.synthetic.grasps import GraspGenerator
from training.data.synthetic.objects import FAMILIES
from training.data.synthetic.rgb_config import RgbConfig
from training.data.synthetic.rgb_scenes import RgbScenes

SURFACE_POINTS = 600
"""Points drawn on an object's surface, as in ObMan (Hasson et al., CVPR 2019)."""
_SHOWN = 0.5
"""Least share of the keypoints in the image of a recorded sample."""


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
            ('family', np.int8),  # −1: no object; −2: not known
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
        scenes: the distribution of images, but for the window and its margin.
    """

    def __init__(
        self,
        seed: int = 0,
        split: str = 'train',
        window: int = 208,
        model: HandModel | None = None,
        material: ColourMaterial = GENERATED,
        scenes: RgbConfig | None = None,
    ) -> None:
        model = model or HandModel.load()
        grasps = GraspGenerator(model, seed, split, scanned_objects(material.scans, split))
        config = dataclasses.replace(scenes or RgbConfig(), window=window, margin=(1.6, 1.7))
        self._scenes = RgbScenes(grasps, seed, split, config, model, material=material)
        self._seed = seed
        self.dtype = crop_dtype(window, len(model.template))

    def sample(self, index: int) -> HandObjectSample:
        """The window with all labels."""
        return self._scenes[index]

    def __getitem__(self, index: int) -> np.ndarray:
        return record_of(self.sample(index), self.dtype, np.random.default_rng([self._seed, 5, index]))


class RecordedSamples:
    """Streams the records of a data set endlessly, in one random order.

    Samples that the image does not show are left out: DexYCB labels hands outside a camera's view, too.

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
        """The record of the next sample, from the index on, that has all keypoints, half of them in the image.

        Raises:
            ValueError: there is no such sample.
        """
        for place in range(index, index + len(self._order)):
            number = int(self._order[place % len(self._order)])
            sample = self._samples[number]
            if sample.keypoints is not None and np.isfinite(sample.keypoints).all() and _shown(sample) >= _SHOWN:
                record = record_of(windowed(sample, self._window), self.dtype, np.random.default_rng([5, number]))
                if sample.held is None:
                    # Data sets do not say that a hand is empty.
                    record['family'] = -2
                return record
        raise ValueError(
            f'none of {len(self._order)} samples has all 21 keypoints, half of them in the image: use another split'
        )


def _shown(sample: HandObjectSample) -> float:
    """Share of the keypoints of a sample that lie in its image."""
    height, width = sample.image.shape[:2]
    in_front = sample.keypoints[:, 2] > 0
    pixels = sample.camera.project(sample.keypoints[in_front])
    return float(((pixels > -0.5) & (pixels < [width - 0.5, height - 0.5])).all(1).sum() / len(sample.keypoints))


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
