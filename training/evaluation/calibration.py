# SPDX-License-Identifier: Apache-2.0
"""How surely a score of `depth_pose` tells a hand from something else, and the two numbers that make it a
probability."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

from hoi_ros.engines import Card
from hoi_ros.stages.depth_pose import DepthPoseStage
from hoi_ros.stages.scores import ScoreCalibration
from hoi_ros.stages.scores import log_odds
from training.evaluation.depth_pose import DepthPoseEvaluation
from training.evaluation.depth_pose import TestFrames
from training.evaluation.depth_pose import prepare

REACH = 0.1
"""A candidate is a hand where its centre lies nearer than this to that of a hand of the scene, metres."""
_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclasses.dataclass(frozen=True)
class ScoreEvaluation:
    """Fits the score's calibration on whole frames and prints what a threshold keeps and lets in."""

    frames: int = 1000
    models: Path = Path('models')
    split: str = 'validation'
    cache: Path = Path('runs/test_frames')
    workers: int = 2
    card: bool = False
    """Whether to write the calibration into the model's card."""


def evaluate(config: ScoreEvaluation) -> ScoreCalibration:
    """Prints the curve and returns the calibration that the candidates of the split speak for."""
    prepare(DepthPoseEvaluation(config.frames, split=config.split, cache=config.cache, workers=config.workers))
    stage = DepthPoseStage(config.models)
    # Those of the network itself are what the calibration starts from.
    stage.calibration = ScoreCalibration()
    frames, scores, hands, hidden = TestFrames(config.split), [], [], 0
    for index in tqdm(range(config.frames), unit='frame', mininterval=5):
        frame = frames.cached(index, config.cache / config.split)
        centres = frame.keypoints.mean(1)
        readings = stage.candidates(frame.depth, frame.camera)
        gaps = np.array([[np.linalg.norm(reading.centre - centre) for centre in centres] for reading in readings])
        gaps = gaps.reshape(len(readings), len(centres))
        near = (gaps < REACH).any(1)
        scores += [reading.score for reading in readings]
        hands += list(near)
        hidden += sum(not (gaps[:, k] < REACH).any() for k in np.flatnonzero(frame.counted))
    score, hand = np.array(scores), np.array(hands)
    calibration = fit_calibration(score, hand)
    calibrated = np.array([calibration(value) for value in score])
    print(f'{hand.sum()} hands and {(~hand).sum()} other things among the candidates; {hidden} hands are no candidate')
    print_curve(calibrated, hand, int(hand.sum()), config.frames)
    print(f'scale {calibration.scale:.4f}, offset {calibration.offset:.4f}')
    if config.card:
        keep_calibration(config.models / 'depth_pose', calibration)
    return calibration


def print_curve(scores: np.ndarray, hands: np.ndarray, of: int, frames: int) -> None:
    """Prints what each threshold keeps of so many hands and lets in of other things in so many frames.

    Args:
        scores: (N,) calibrated, of candidates.
        hands: (N,) bool.
        of: hands.
        frames: images.
    """
    print('threshold  hands kept  other things a frame')
    for threshold in _THRESHOLDS:
        kept = scores >= threshold
        print(f'{threshold:9.2f}  {kept[hands].sum() / max(of, 1):10.4f}  {kept[~hands].sum() / frames:20.4f}')


def keep_calibration(folder: Path, calibration: ScoreCalibration) -> None:
    """Writes it into the card of a model folder."""
    card = Card.load(folder)
    dataclasses.replace(card, parameters={**card.parameters, 'score_calibration': {
        name: round(value, 4) for name, value in dataclasses.asdict(calibration).items()}}).save(folder)


def fit_calibration(scores: np.ndarray, hands: np.ndarray) -> ScoreCalibration:
    """Platt's two numbers, of the largest likelihood.

    Args:
        scores: (N,) of the network, in [0, 1].
        hands: (N,) bool.

    Raises:
        ValueError: there is nothing to tell apart.
    """
    if not hands.any() or hands.all():
        raise ValueError(f'{hands.sum()} of {len(hands)} candidates are hands: both kinds are needed, give more frames')
    odds = np.array([log_odds(score, ScoreCalibration.margin) for score in scores])
    signs = np.where(hands, 1.0, -1.0)

    def surprise(parameters: np.ndarray) -> float:
        return float(np.logaddexp(0, -signs * (parameters[0] * odds + parameters[1])).mean())

    scale, offset = minimize(surprise, np.array([1.0, 0.0])).x
    return ScoreCalibration(float(scale), float(offset))
