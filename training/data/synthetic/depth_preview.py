# SPDX-License-Identifier: Apache-2.0
"""Real depth frames above synthetic ones, in the same colours, to compare by eye.

`python -m training.data.synthetic.depth_preview --real samples/depth --out out/preview.png`
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import tyro
import yaml

from hoi_ros.hand.model import HandModel
from hoi_ros.simulation.sensor import SensorModel
from training.data.sheet import coloured_depth
from training.data.sheet import rows_of
from training.data.sheet import save_sheet
from training.data.synthetic.scene_config import SceneConfig
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
_MILLIMETRE = 0.001


@dataclasses.dataclass(frozen=True)
class PreviewConfig:
    """Images to show."""

    real: Path
    """Folder of 16-bit depth images, searched recursively; the first eight are shown."""
    depth_scale: float | None = None
    """Metres per unit of the real images; by default what camera.yaml beside them says as depth_scale, else 0.001."""
    out: Path = Path('out/preview.png')
    seed: int = 5
    reach: float = 1.0
    """Reach of the real camera, metres."""


def main(config: PreviewConfig) -> None:
    paths = sorted(config.real.rglob('*.png'))[: 2 * _COLUMNS]
    if not paths:
        raise SystemExit(f'error: {config.real}: no PNG here or below; name a folder of 16-bit depth images')
    real = [read_depth(path, config) for path in paths]
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
    sheets = [rows_of([_tile(depth) for depth in depths], _COLUMNS) for depths in (real, synthetic)]
    save_sheet(config.out, np.vstack(sheets))
    print(f'{config.out}: {len(real)} real frames above, {len(synthetic)} synthetic ones below')


def read_depth(path: Path, config: PreviewConfig) -> np.ndarray:
    """A real image (H, W), metres."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint16 or image.ndim != 2:
        raise SystemExit(f'error: {path} is not a 16-bit image of one channel; name a folder of depth images')
    return image.astype(np.float32) * (config.depth_scale or _scale_beside(path.parent, config.real))


def _scale_beside(*folders: Path) -> float:
    """The entry `depth_scale` of the first camera.yaml in these folders; millimetres without one."""
    for folder in folders:
        if (folder / 'camera.yaml').is_file():
            try:
                return float(yaml.safe_load((folder / 'camera.yaml').read_text()).get('depth_scale', _MILLIMETRE))
            except (AttributeError, TypeError, ValueError, yaml.YAMLError) as error:
                raise SystemExit(f'error: {folder}/camera.yaml names no depth_scale in metres: {error}') from error
    return _MILLIMETRE


def _tile(depth: np.ndarray) -> np.ndarray:
    return cv2.resize(coloured_depth(depth, 0.3, 1.0), (400, 300), interpolation=cv2.INTER_NEAREST)


if __name__ == '__main__':
    main(tyro.cli(PreviewConfig))
