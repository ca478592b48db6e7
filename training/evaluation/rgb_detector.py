# SPDX-License-Identifier: Apache-2.0
"""How well the RGB detector that ships finds hands, and the two numbers that make a probability of its score."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor

from hoi_ros.engines import Card
from hoi_ros.engines import Engine
from hoi_ros.engines import load_engine
from hoi_ros.stages.parts.scores import probability
from hoi_ros.stages.parts.scores import ScoreCalibration
from training.evaluation.calibration import fit_calibration
from training.evaluation.calibration import keep_calibration
from training.evaluation.calibration import print_curve
from training.networks.rgb_detector import RgbMaps
from training.recipes.rgb_detector import COUNTED
from training.recipes.rgb_detector import detect
from training.recipes.rgb_detector import detector_figures
from training.recipes.rgb_detector import held_frames
from training.recipes.rgb_detector import Shown

TEST_SEED = 1000


@dataclasses.dataclass(frozen=True)
class RgbDetectorEvaluation:
    """Prints the detector's figures on frames that no training saw, and what each threshold keeps and lets in."""

    frames: int = 500
    split: str = 'test'
    models: Path = Path('models')
    card: bool = False
    """Whether to fit the calibration on these frames and to write it into the model's card; for 'validation'."""


class ShippedDetector(nn.Module):
    """The network of a model folder where the recipe's figures want the one that is trained."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    def forward(self, image: Tensor) -> RgbMaps:
        maps = self._engine(image=image.numpy())
        return RgbMaps(*(torch.from_numpy(np.array(maps[name])) for name in RgbMaps._fields))


def evaluate(config: RgbDetectorEvaluation) -> dict[str, float]:
    """Prints and returns the figures at a calibrated score of 0.5."""
    folder = config.models / 'rgb_detector'
    network = ShippedDetector(load_engine(folder))
    shown = held_frames(config.split, config.frames, TEST_SEED if config.split == 'test' else 0)
    scores, hands = candidates(network, shown)
    calibration = ScoreCalibration(**Card.load(folder).parameters.get('score_calibration', {}))
    if config.card:
        calibration = fit_calibration(scores, hands)
        keep_calibration(folder, calibration)
    calibrated = np.array([calibration(score) for score in scores])
    counted = sum(int((frame.visible >= COUNTED).sum()) for frame in shown)
    print(f'{hands.sum()} of {counted} hands and {(~hands).sum()} other things are candidates in {len(shown)} frames')
    print_curve(calibrated, hands, counted, len(shown))
    print(f'scale {calibration.scale:.4f}, offset {calibration.offset:.4f}')
    # The network's own score that is calibrated to 0.5.
    figures = detector_figures(network, shown, probability(-calibration.offset / calibration.scale))
    for name, value in figures.items():
        print(f'{name:16} {value:.4f}')
    return figures


def candidates(network: nn.Module, shown: list[Shown]) -> tuple[np.ndarray, np.ndarray]:
    """Scores (N,) of what the network proposes and whether each is a hand (N,); what may be one does not count."""
    scores, hands = [], []
    for frame in shown:
        taken: set[int] = set()
        for hand in detect(network, frame.image, 4):
            gaps = np.array([np.linalg.norm(hand.centre - square[:2]) / square[2] for square in frame.square])
            near = int(gaps.argmin()) if len(gaps) else -1
            if near < 0 or gaps[near] >= 0.5:
                if not len(gaps) or gaps[near] > 1:
                    scores.append(hand.score)
                    hands.append(False)
            elif frame.visible[near] >= COUNTED and near not in taken:
                taken.add(near)
                scores.append(hand.score)
                hands.append(True)
    return np.array(scores), np.array(hands, bool)
