# SPDX-License-Identifier: Apache-2.0
"""Held-out synthetic depth frames at the size of a sensor, for figures of `depth_pose`."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import cv2
import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from hoi_ros.simulation.sensor import SensorModel
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scenes import SceneGenerator

TEST_SCENES = SceneConfig(hands=(0.08, 0.67, 0.25), person=0.55)
"""Frames with no, one and two hands; their seeds give other shapes, poses, viewpoints and scenes than training."""
HANDLING_SCENES = SceneConfig(hands=(0.08, 0.72, 0.2), handling=1.0)
"""Frames of hands that hold things, three in four, before cameras of every kind."""
WIDE_SCENES = dataclasses.replace(HANDLING_SCENES, sizes=((848, 480), (640, 360), (640, 480)), focal=(0.41, 0.59))
"""The same before cameras with 80 to 101 degrees across."""
SPLITS = {
    'validation': (TEST_SCENES, 'validation'),
    'test': (TEST_SCENES, 'test'),
    'handling_validation': (HANDLING_SCENES, 'validation'),
    'handling': (HANDLING_SCENES, 'held_out'),
    'wide': (WIDE_SCENES, 'held_out'),
}
"""Scenes of each set of frames, and their split; 'held_out' has object families that training never shows."""

COUNTED = 0.6
"""A hand counts if at least this share of it is inside the image and not occluded, and the sensor returned at least
half of its pixels."""


@dataclasses.dataclass(frozen=True)
class DepthTestFrame:
    """One frame at the size of the sensor, and the hands in it."""

    depth: np.ndarray
    """(H, W) float32 metres, 0 invalid."""
    camera: Pinhole
    sides: tuple[str, ...]
    """N of 'left' or 'right'."""
    keypoints: np.ndarray
    """(N, 21, 3) metres."""
    counted: np.ndarray
    """(N,) bool, hands that must be found."""


class DepthTestFrames:
    """Streams the test frames; an index gives the same frame on every machine."""

    def __init__(self, split: str = 'test', seed: int = 1000) -> None:
        scenes, part = SPLITS[split]
        self._scenes = SceneGenerator(HandModel.load(), scenes, seed, part)
        self._any_camera = bool(scenes.handling)

    def __getitem__(self, index: int) -> DepthTestFrame:
        scene = self._scenes[index]
        rng = self._scenes.rng(index, purpose=3)
        view = scene.look(scene.camera)
        if self._any_camera:
            observed = view.observed(rng)
        else:
            observed = SensorModel.sample(rng).observe(view.without_dark_places(rng), scene.camera.fx, rng)
        counted = [
            scene.visible_share(number, view) >= COUNTED and (observed[view.owners == number] > 0).mean() >= 0.5
            if (view.owners == number).any()
            else False
            for number in range(len(scene.hands))
        ]
        return DepthTestFrame(
            np.round(observed, 4),
            scene.camera,
            tuple(hand.side for hand in scene.hands),
            np.array([hand.keypoints for hand in scene.hands]).reshape(-1, 21, 3),
            np.array(counted, bool),
        )

    def cached(self, index: int, folder: Path) -> DepthTestFrame:
        """The frame from a cache folder; it is rendered and stored there first if it is missing."""
        image, notes = folder / f'{index:05d}.png', folder / f'{index:05d}.json'
        if not notes.is_file():
            frame = self[index]
            cv2.imwrite(str(image), (np.minimum(frame.depth, 6.5) * 1e4 + 0.5).astype(np.uint16))
            fresh = notes.with_suffix('.new')
            fresh.write_text(
                json.dumps(
                    {
                        'camera': dataclasses.asdict(frame.camera),
                        'sides': frame.sides,
                        'keypoints': frame.keypoints.tolist(),
                        'counted': frame.counted.tolist(),
                    }
                )
            )
            os.replace(fresh, notes)
        kept = json.loads(notes.read_text())
        depth = cv2.imread(str(image), cv2.IMREAD_UNCHANGED).astype(np.float32) * np.float32(1e-4)
        return DepthTestFrame(
            depth,
            Pinhole(**kept['camera']),
            tuple(kept['sides']),
            np.array(kept['keypoints'], float).reshape(-1, 21, 3),
            np.array(kept['counted'], bool),
        )
