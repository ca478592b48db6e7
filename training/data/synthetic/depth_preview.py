# SPDX-License-Identifier: Apache-2.0
"""Real depth frames above, synthetic ones below, in the same colours: would you take one for the other?

`python -m training.data.synthetic.depth_preview --real ../shared/data/depth_sr305 --depth-scale 0.125e-3 --out out/preview.png`
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import tyro

from hoi_ros.hand.model import HandModel
from hoi_ros.simulation.sensor import SensorModel
from training.data.synthetic.scenes import SceneConfig
from training.data.synthetic.scenes import SceneGenerator

_STRUCTURED_LIGHT = SensorModel(
    baseline=0.045,
    disparity_step=0.015,
    disparity_noise=0.01,
    noise_grain=1.5,
    smoothing=0.8,
    grazing_cosine=0.28,
    edge_loss=0.5,
    flying=0.05,
    edge_grain=6.0,
    speckle_loss=0.0,
)
_COLUMNS = 4


@dataclasses.dataclass(frozen=True)
class PreviewConfig:
    """What to show."""

    real: Path
    """Folder of 16-bit depth images, searched with its subfolders; the first eight are shown."""
    depth_scale: float = 0.001
    """Metres to a unit of the real images."""
    out: Path = Path('out/preview.png')
    seed: int = 5
    reach: float = 1.0
    """Depth beyond which the real camera saw nothing, metres."""


def main(config: PreviewConfig) -> None:
    paths = sorted(config.real.rglob('*.png'))[: 2 * _COLUMNS]
    if not paths:
        raise SystemExit(f'{config.real}: no PNG here or below; name a folder of 16-bit depth images')
    real = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float32) * config.depth_scale for path in paths]
    people = SceneConfig(
        hands=(0, 1, 0), nearest=0.45, farthest=0.65, person=1.0, table=0.0, wall=0.0, clutter=0.0, held=0.0
    )
    scenes = SceneGenerator(HandModel.load(), people, config.seed, 'validation')
    synthetic: list[np.ndarray] = []
    index = 0
    while len(synthetic) < len(real):
        scene = scenes[index]
        view = scene.look(scene.camera)
        if scene.hands and scene.visible_share(0, view) > 0.95:
            seen = _STRUCTURED_LIGHT.observe(view.depth, scene.camera.fx, scenes.rng(index, 9))
            synthetic.append(np.where(seen < config.reach, seen, 0))
        index += 1
    rows = [
        np.hstack([_coloured(image) for image in images[start : start + _COLUMNS]])
        for images in (real, synthetic)
        for start in range(0, len(images), _COLUMNS)
    ]
    config.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(config.out), np.vstack(rows))
    print(f'{config.out}: {len(real)} real frames above, {len(synthetic)} synthetic ones below')


def _coloured(depth: np.ndarray) -> np.ndarray:
    scaled = (np.clip((depth - 0.3) / 0.7, 0, 1) * 255).astype(np.uint8)
    picture = cv2.applyColorMap(255 - scaled, cv2.COLORMAP_VIRIDIS)
    picture[depth <= 0] = 0
    return cv2.resize(picture, (400, 300), interpolation=cv2.INTER_NEAREST)


if __name__ == '__main__':
    main(tyro.cli(PreviewConfig))
