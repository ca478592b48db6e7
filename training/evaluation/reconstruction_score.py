# SPDX-License-Identifier: Apache-2.0
"""How surely a score of the `reconstruction` stage tells a hand from something else, and the two numbers that make it a
probability."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.stages.parts.scores import ScoreCalibration
from hoi_ros.stages.reconstruction import ReconstructionStage
from training.data.synthetic.rgb_scenes import RgbFrame
from training.evaluation.calibration import fit_calibration
from training.evaluation.calibration import keep_calibration
from training.evaluation.calibration import print_curve
from training.evaluation.reconstruction_stage import match
from training.evaluation.reconstruction_stage import rendered
from training.recipes.rgb_detector import COUNTED

_CANDIDATES = 4
"""Hands that the stage may report in an image, however unsure."""


@dataclasses.dataclass(frozen=True)
class ReconstructionScoreEvaluation:
    """Prints what each threshold of the score keeps and lets in, on images of 640×480, each as if it were the first
    one."""

    frames: int = 300
    models: Path = Path('models')
    split: str = 'validation'
    workers: int = 2
    """Processes that render."""
    card: bool = False
    """Whether to fit the calibration on these images and to write it into the model's card; for 'validation'."""


def evaluate(config: ReconstructionScoreEvaluation) -> ScoreCalibration:
    """Prints the curve and returns the calibration: the one of the card, or the one that is written there."""
    stage = ReconstructionStage(config.models, max_hands=_CANDIDATES, min_score=0.0)
    # The network's own scores are what a calibration starts from.
    calibration, stage.calibration = stage.calibration, ScoreCalibration()
    scores, hands, counted = [], [], 0
    for index, frame in enumerate(rendered(config.split, config.frames, config.workers)):
        stage.reset()
        for hand, known in labelled(stage(frame.image, frame.view.camera, float(index)), frame):
            scores.append(hand.score)
            hands.append(known)
        counted += sum(visible >= COUNTED for visible in frame.visible)
    score, hand = np.array(scores), np.array(hands, bool)
    if config.card:
        calibration = fit_calibration(score, hand)
        keep_calibration(config.models / 'reconstruction', calibration)
    print(f'{hand.sum()} of {counted} hands and {(~hand).sum()} other things are candidates in {config.frames} images')
    print_curve(np.array([calibration(value) for value in score]), hand, counted, config.frames)
    print(f'scale {calibration.scale:.4f}, offset {calibration.offset:.4f}')
    return calibration


def labelled(reported: list[HandEstimate], frame: RgbFrame) -> list[tuple[HandEstimate, bool]]:
    """Each report and whether it is of a hand; without those of hands that are hardly to be seen."""
    matched = match(reported, frame)
    hidden = {id(hand) for hand, visible in zip(matched, frame.visible) if hand is not None and visible < COUNTED}
    found = {id(hand) for hand in matched if hand is not None}
    return [(hand, id(hand) in found) for hand in reported if id(hand) not in hidden]
