# SPDX-License-Identifier: Apache-2.0
"""How well the score of the `reconstruction` stage separates hands from non-hands."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.stages.parts.scores import ScoreCalibration
from hoi_ros.stages.reconstruction import ReconstructionStage
from training.data.synthetic.rgb_frame_views import COUNTED
from training.data.synthetic.rgb_scenes import RgbFrame
from training.evaluation.figures import print_score_curve
from training.evaluation.figures import write_figures
from training.evaluation.reconstruction_stage import match
from training.evaluation.reconstruction_stage import rendered

_CANDIDATES = 4
"""Most hands that the stage reports of an image, whatever their score."""


@dataclasses.dataclass(frozen=True)
class ReconstructionScoreEvaluation:
    """Prints the hands kept and the non-hands passed at each threshold of the score, on images of 640×480, each as if
    it were the first of a stream."""

    frames: int = 300
    models: Path = Path('models')
    split: str = 'validation'
    workers: int = 2
    """Rendering processes."""
    out: Path | None = None
    """JSON file for the figures."""


@dataclasses.dataclass(frozen=True)
class ScoredHands:
    """The hands that the stage reports of a set of images, whatever their score."""

    scores: np.ndarray
    """(N,) scores of the network, not calibrated."""
    hands: np.ndarray
    """(N,) bool, reports that are hands."""
    total: int
    """Hands in the images."""
    calibration: ScoreCalibration
    """Calibration in the model's card."""


def collect_scores(config: ReconstructionScoreEvaluation) -> ScoredHands:
    """Runs the stage on the images of a split and labels its reports."""
    stage = ReconstructionStage(config.models, max_hands=_CANDIDATES, min_score=0.0)
    calibration, stage.calibration = stage.calibration, ScoreCalibration()
    scores, hands, total = [], [], 0
    for index, frame in enumerate(rendered(config.split, config.frames, config.workers)):
        stage.reset()
        for hand, is_hand in labelled(stage(frame.image, frame.view.camera, float(index)), frame):
            scores.append(hand.score)
            hands.append(is_hand)
        total += sum(visible >= COUNTED for visible in frame.visible)
    return ScoredHands(np.array(scores), np.array(hands, bool), total, calibration)


def print_scores(scored: ScoredHands, calibration: ScoreCalibration, frames: int) -> dict[str, float]:
    """Prints the threshold curve under a calibration and returns the counts."""
    hands = scored.hands
    print(f'{hands.sum()} of {scored.total} hands and {(~hands).sum()} non-hands are candidates in {frames} images')
    print_score_curve(np.array([calibration(score) for score in scored.scores]), hands, scored.total, frames)
    print(f'scale {calibration.scale:.4f}, offset {calibration.offset:.4f}')
    return {
        'hands': int(hands.sum()),
        'other': int((~hands).sum()),
        'total': scored.total,
        'scale': calibration.scale,
        'offset': calibration.offset,
    }


def evaluate(config: ReconstructionScoreEvaluation) -> dict[str, float]:
    """Prints the curve under the calibration in the model's card and returns the counts."""
    scored = collect_scores(config)
    figures = print_scores(scored, scored.calibration, config.frames)
    write_figures(figures, config.out)
    return figures


def labelled(reported: list[HandEstimate], frame: RgbFrame) -> list[tuple[HandEstimate, bool]]:
    """Each report and whether it is a hand; reports of hands that are visible by less than `COUNTED` are left out."""
    matched = match(reported, frame)
    hidden = {id(hand) for hand, visible in zip(matched, frame.visible) if hand is not None and visible < COUNTED}
    found = {id(hand) for hand in matched if hand is not None}
    return [(hand, id(hand) in found) for hand in reported if id(hand) not in hidden]
