# SPDX-License-Identifier: Apache-2.0
"""What `RgbScenes` makes, on one sheet: whole frames with their depth beside them, then windows around hands.

`python -m training.data.synthetic.rgb_preview --out out/rgb.png`
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import tyro

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import KEYPOINT_PARENTS
from training.data.synthetic.grasps import GraspGenerator
from training.data.synthetic.rgb_scenes import RgbConfig
from training.data.synthetic.rgb_scenes import RgbFrame
from training.data.synthetic.rgb_scenes import RgbScenes

_WINDOW = 224
_COLUMNS = 8


@dataclasses.dataclass(frozen=True)
class PreviewConfig:
    """What to show."""

    out: Path = Path('out/rgb.png')
    seed: int = 0
    split: str = 'validation'
    frames: int = 8
    windows: int = 24
    labels: bool = True
    """Draw the keypoints into every second window."""


def main(config: PreviewConfig) -> None:
    model = HandModel.load()
    grasps = GraspGenerator(model, config.seed, config.split)
    whole = RgbScenes(grasps, config.seed, config.split, RgbConfig(), model)
    around = RgbScenes(grasps, config.seed, config.split, RgbConfig(window=_WINDOW), model)
    tiles = [tile for index in range(config.frames) for tile in _pictures(whole.frame(index))]
    sheet = _rows(tiles, _COLUMNS // 2)
    windows = []
    for index in range(config.windows):
        frame = around.frame(index)
        windows.append(_labelled(frame) if config.labels and index % 2 else frame.image)
    sheet = np.vstack([sheet, _rows(windows, _COLUMNS)])
    config.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(config.out), sheet[..., ::-1])
    print(f'{config.out}: {config.frames} frames with their depth, {config.windows} windows')


def _pictures(frame: RgbFrame) -> list[np.ndarray]:
    size = (2 * _WINDOW, round(2 * _WINDOW * frame.image.shape[0] / frame.image.shape[1]))
    near = (np.clip(1.5 - frame.depth, 0, 1.2) / 1.2 * 255).astype(np.uint8)
    depth = cv2.applyColorMap(near, cv2.COLORMAP_VIRIDIS)[..., ::-1].copy()
    depth[frame.depth == 0] = 0
    return [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (frame.image, depth)]


def _labelled(frame: RgbFrame) -> np.ndarray:
    picture = frame.image.copy()
    hand = frame.hands[0]
    points = np.round(hand.camera.project(hand.keypoints)).astype(int).tolist()
    for point, parent in zip(points, KEYPOINT_PARENTS, strict=True):
        if parent >= 0:
            cv2.line(picture, points[parent], point, (80, 220, 120), 1, cv2.LINE_AA)
        cv2.circle(picture, point, 2, (250, 230, 80), -1, cv2.LINE_AA)
    return picture


def _rows(tiles: list[np.ndarray], columns: int) -> np.ndarray:
    tiles = tiles + [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)])


if __name__ == '__main__':
    main(tyro.cli(PreviewConfig))
