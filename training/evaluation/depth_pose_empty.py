# SPDX-License-Identifier: Apache-2.0
"""False hands of `depth_pose` on real depth scenes without hands."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tqdm import tqdm

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.stages.depth_pose import DepthPoseStage
from training.data.real.depth_backgrounds import DepthBackgrounds
from training.data.real.depth_backgrounds import FOCAL
from training.evaluation.figures import print_figures
from training.evaluation.figures import write_figures


@dataclasses.dataclass(frozen=True)
class EmptySceneEvaluation:
    """Counts the hands that the stage finds in real depth scenes without hands, each on its own."""

    folder: Path
    """`backgrounds_depth` of the real material."""
    models: Path | None = None
    """Folder of models; the package's own by default."""
    split: str = 'validation'
    """'train' for the images that stand behind generated hands, 'validation' for the others."""
    min_score: float = 0.5
    """Hands below this score are not counted."""
    out: Path | None = None
    """JSON file for the figures."""


def evaluate(config: EmptySceneEvaluation) -> dict[str, float]:
    """Prints and returns the number of images and the false hands an image."""
    scenes = DepthBackgrounds(config.folder, config.split)
    stage = DepthPoseStage(config.models, min_score=config.min_score)
    false = 0
    for number, path in enumerate(tqdm(scenes.paths, unit='image', mininterval=5)):
        depth = scenes.image(number)
        height, width = depth.shape
        focal = FOCAL * width / 640
        stage.reset()
        hands = stage(depth, Pinhole(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2), 0.0)
        false += len(hands)
        for hand in hands:
            print(f'{path.name}: score {hand.score:.2f}, {hand.joints[:, 2].mean():.2f} m away')
    figures = {'images': len(scenes.paths), 'false_per_image': false / len(scenes.paths)}
    print_figures(figures)
    write_figures(figures, config.out)
    return figures
