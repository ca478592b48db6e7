# SPDX-License-Identifier: Apache-2.0
"""A sheet of images of `RgbScenes`: whole frames beside their depth, then windows around hands.

`python -m training.data.synthetic.rgb_preview --out out/rgb.png`
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import tyro

from hoi_ros.drawing.hands import draw_skeleton
from hoi_ros.hand.model import HandModel
from training.data.real.colour_material import ColourMaterialOptions
from training.data.real.scans import scanned_objects
from training.data.sheet import coloured_depth
from training.data.sheet import rows_of
from training.data.sheet import save_sheet
from training.data.synthetic.grasps import GraspGenerator
from training.data.synthetic.rgb_config import Kind
from training.data.synthetic.rgb_config import scenes_of
from training.data.synthetic.rgb_scenes import RgbFrame
from training.data.synthetic.rgb_scenes import RgbScenes

_WINDOW = 224
_COLUMNS = 8


@dataclasses.dataclass(frozen=True)
class PreviewConfig(ColourMaterialOptions):
    """Images to show."""

    out: Path = Path('out/rgb.png')
    seed: int = 0
    split: str = 'validation'
    kind: Kind | None = None
    """Scenes of this kind alone."""
    frames: int = 8
    windows: int = 24
    labels: bool = True
    """Draw the keypoints into every second window."""


def main(config: PreviewConfig) -> None:
    model = HandModel.load()
    grasps = GraspGenerator(model, config.seed, config.split, scanned_objects(config.scans, config.split))
    whole, around = (
        RgbScenes(
            grasps,
            config.seed,
            config.split,
            dataclasses.replace(scenes_of(config.kind), window=window),
            model,
            material=config.material,
        )
        for window in (None, _WINDOW)
    )
    tiles = [tile for index in range(config.frames) for tile in _pictures(whole.frame(index))]
    windows = []
    for index in range(config.windows):
        frame = around.frame(index)
        windows.append(_labelled(frame) if config.labels and index % 2 else frame.image)
    save_sheet(config.out, np.vstack([rows_of(tiles, _COLUMNS // 2), rows_of(windows, _COLUMNS)]))
    print(f'{config.out}: {config.frames} frames with their depth, {config.windows} windows')


def _pictures(frame: RgbFrame) -> list[np.ndarray]:
    size = (2 * _WINDOW, round(2 * _WINDOW * frame.image.shape[0] / frame.image.shape[1]))
    pictures = frame.image, coloured_depth(frame.depth, 0.3, 1.5)
    return [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures]


def _labelled(frame: RgbFrame) -> np.ndarray:
    picture, hand = frame.image.copy(), frame.hands[0]
    draw_skeleton(picture, hand.keypoints, hand.camera)
    return picture


if __name__ == '__main__':
    main(tyro.cli(PreviewConfig))
