# SPDX-License-Identifier: Apache-2.0
"""Small synthetic depth frames: training data of the hand finder."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from training.data.real.depth_material import DepthMaterial
from training.data.real.depth_material import GENERATED
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scenes import Scene
from training.data.synthetic.scenes import SceneGenerator
from training.data.synthetic.scenes import View

FRAME_SCENES = SceneConfig(
    hands=(0.14, 0.48, 0.38),
    person=0.6,
    clutter=5.0,
    handling=0.5,
    shared=0.12,
    desk=0.3,
    typing=0.08,
    sizes=((640, 480), (640, 480), (640, 360), (640, 400), (640, 360), (640, 576)),
    focal=(0.41, 1.0),
)
"""Cameras of all fields of view: stereo ones often have more than 80° and an image that is wider than 4:3."""
FRAME_WIDTH, FRAME_HEIGHT = 160, 120
FRAME_DTYPE = np.dtype(
    [
        ('depth', np.uint16, (FRAME_HEIGHT, FRAME_WIDTH)),  # tenths of a millimetre, 0 invalid
        ('size', np.uint8, 2),  # width and height of the image, which lies at the left and the top, pixels
        ('camera', np.float64, 4),  # fx, fy, cx, cy, pixels
        ('count', np.uint8),
        ('centre', np.float32, (2, 3)),  # mean of the keypoints, metres, optical frame
        ('right', np.bool_, 2),
        ('visible', np.float32, 2),  # share of the hand inside the image and not hidden
        ('holds', np.bool_, 2),
    ]
)


class DepthFrames:
    """Streams frames; the same index gives the same frame on every machine with the same material."""

    dtype = FRAME_DTYPE

    def __init__(
        self,
        seed: int = 0,
        split: str = 'train',
        model: HandModel | None = None,
        material: DepthMaterial = GENERATED,
    ) -> None:
        self._scenes = SceneGenerator(model or HandModel.load(), FRAME_SCENES, seed, split, material=material)

    def __getitem__(self, index: int) -> np.ndarray:
        """One record of `FRAME_DTYPE`."""
        scene = self._scenes[index]
        rng = self._scenes.rng(index, purpose=2)
        view, observed = small_frame(scene, rng)
        camera = view.camera
        record = np.zeros((), FRAME_DTYPE)
        record['depth'][: camera.height, : camera.width] = np.minimum(observed, 6.5) * 1e4 + 0.5
        record['size'] = camera.width, camera.height
        record['camera'] = camera.fx, camera.fy, camera.cx, camera.cy
        record['count'] = len(scene.hands)
        for number, hand in enumerate(scene.hands):
            seen = scene.visible_share(number, view) * view.shown(observed, number)
            record['centre'][number] = hand.centre
            record['right'][number] = hand.side == 'right'
            record['visible'][number] = seen
            record['holds'][number] = scene.held[number] is not None
        return record


def small_frame(scene: Scene, rng: np.random.Generator) -> tuple[View, np.ndarray]:
    """A scene as large as the finder's image can show it, and its depth (h, w) from a sensor, metres, 0 invalid."""
    camera = scene.camera
    scale = min(FRAME_WIDTH / camera.width, FRAME_HEIGHT / camera.height)
    view = scene.look(camera.scaled(round(scale * camera.width), round(scale * camera.height)))
    observed = view.observed(rng, 1 / scale)
    if rng.random() < 0.25:
        # A structured-light camera has a short reach.
        observed[observed > rng.uniform(0.8, 2.0)] = 0
    return view, observed


@dataclasses.dataclass(frozen=True)
class FrameAugmentation:
    """Random roll of the camera and mirroring of the scene."""

    roll: float = 0.6
    """Largest roll, radians."""
    mirror: float = 0.5
    """Probability."""


def augment_frame(
    record: np.ndarray, config: FrameAugmentation, rng: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rolls and mirrors a frame.

    Returns:
        depth (H, W) float32 metres, pixels (2, 2), centre depths (2,) metres.
    """
    fx, fy, cx, cy = record['camera']
    width, height = map(int, record['size'])
    camera = Pinhole(width, height, fx, fy, cx, cy)
    pixels = np.zeros((2, 2))
    count = int(record['count'])
    pixels[:count] = camera.project(record['centre'][:count].astype(float))
    depth = record['depth']
    if rng is not None:
        angle = rng.uniform(-config.roll, config.roll) if rng.random() < 0.7 else 0.0
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        if rng.random() < config.mirror:
            turn = turn @ np.diag([-1.0, 1.0])
        middle = np.array([cx, cy])
        back = np.linalg.inv(turn)
        warp = np.concatenate([back, (middle - back @ middle)[:, None]], 1)
        depth = np.zeros_like(depth)
        depth[:height, :width] = cv2.warpAffine(
            record['depth'][:height, :width],
            warp,
            (width, height),
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
            borderValue=0,
        )
        pixels = (pixels - middle) @ turn.T + middle
    return depth.astype(np.float32) * np.float32(1e-4), pixels, record['centre'][:, 2].copy()
