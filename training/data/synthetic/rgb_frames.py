# SPDX-License-Identifier: Apache-2.0
"""Small synthetic RGB frames: training data of the RGB detector."""

from __future__ import annotations

import dataclasses

import numpy as np

from hoi_ros.camera.view_crop import outline
from hoi_ros.hand.model import HandModel
from training.data.real.colour_material import ColourMaterial
from training.data.real.colour_material import GENERATED
from training.data.real.scans import scanned_objects
from training.data.synthetic.grasps import GraspGenerator
from training.data.synthetic.rgb_config import LOOSE
from training.data.synthetic.rgb_config import RELEASED
from training.data.synthetic.rgb_config import RgbConfig
from training.data.synthetic.rgb_scenes import RgbFrame
from training.data.synthetic.rgb_scenes import RgbScenes

RGB_FRAME_WIDTH, RGB_FRAME_HEIGHT = 320, 240
RGB_FRAME_SCENES = RgbConfig(
    width=RGB_FRAME_WIDTH,
    height=RGB_FRAME_HEIGHT,
    hands=(0.15, 0.6, 0.25),
    free=0.35,
    farthest=1.1,
    visible=0.4,
    samples=2,
)
RGB_FRAME_DTYPE = np.dtype(
    [
        ('image', np.uint8, (RGB_FRAME_HEIGHT, RGB_FRAME_WIDTH, 3)),
        ('count', np.uint8),
        ('square', np.float32, (2, 3)),  # centre x, y and side of the square around a hand's keypoints, pixels
        ('right', np.bool_, 2),
        ('visible', np.float32, 2),  # share of the hand inside the image and not hidden
        ('holds', np.bool_, 2),
        ('held', np.float32, (2, 4)),  # left, top, right, bottom of the held object, pixels
    ]
)

_VISIBLE = 0.3
"""Least visible share of a hand in training."""
_APART = 50_000
"""Added to the seed, so that crops of the same seed show other scenes."""


class RgbFrames:
    """Streams records of whole frames; the same index gives the same record on every machine.

    Args:
        seed, split: of the scenes.
        model: the right hand.
        material: real objects, surfaces, light and photos.
    """

    dtype = RGB_FRAME_DTYPE

    def __init__(
        self, seed: int = 0, split: str = 'train', model: HandModel | None = None, material: ColourMaterial = GENERATED
    ) -> None:
        model = model or HandModel.load()
        seed += _APART
        grasps = GraspGenerator(model, seed, split, scanned_objects(material.scans, split))
        scenes = RGB_FRAME_SCENES
        if split == 'train':
            scenes = dataclasses.replace(scenes, visible=_VISIBLE, released=RELEASED, loose=LOOSE)
        self._scenes = RgbScenes(grasps, seed, split, scenes, model, material=material)

    def __getitem__(self, index: int) -> np.ndarray:
        return record_of(self._scenes.frame(index))


def record_of(frame: RgbFrame) -> np.ndarray:
    """The record of a frame of at most two hands."""
    record = np.zeros((), RGB_FRAME_DTYPE)
    record['image'], record['count'] = frame.image, len(frame.hands)
    for number, (hand, visible) in enumerate(zip(frame.hands, frame.visible)):
        centre, side = outline(hand.camera.project(hand.keypoints), None)
        record['square'][number] = *centre, side
        record['right'][number], record['visible'][number] = hand.side == 'right', visible
        if hand.held is not None:
            pixels = hand.camera.project(hand.held.placed)
            record['holds'][number] = True
            record['held'][number] = *pixels.min(0), *pixels.max(0)
    return record
