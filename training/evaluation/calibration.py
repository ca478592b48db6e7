# SPDX-License-Identifier: Apache-2.0
"""How surely a score of `depth_pose` tells a hand from something else, and what makes it a probability; the same of a
hand's side."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

from hoi_ros.engines import Card
from hoi_ros.stages.depth_pose import DepthPoseStage
from hoi_ros.stages.parts.inferred_hand import side_evidence
from hoi_ros.stages.parts.scores import log_odds
from hoi_ros.stages.parts.scores import ScoreCalibration
from hoi_ros.stages.parts.scores import SideCalibration
from training.evaluation.depth_pose import DepthPoseEvaluation
from training.evaluation.depth_pose import prepare
from training.evaluation.depth_pose import TestFrames

REACH = 0.1
"""A candidate is a hand where its centre lies nearer than this to that of a hand of the scene, metres."""
_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclasses.dataclass(frozen=True)
class ScoreEvaluation:
    """Fits the calibrations of score and side on whole frames and prints what a threshold of the score keeps and lets
    in."""

    frames: int = 1000
    models: Path = Path('models')
    split: str = 'validation'
    cache: Path = Path('runs/test_frames')
    workers: int = 2
    card: bool = False
    """Whether to write the calibrations into the model's card."""


def evaluate(config: ScoreEvaluation) -> tuple[ScoreCalibration, SideCalibration]:
    """Prints the curve and returns the calibrations that the candidates of the split speak for."""
    prepare(DepthPoseEvaluation(config.frames, split=config.split, cache=config.cache, workers=config.workers))
    stage = DepthPoseStage(config.models)
    # Those of the network itself are what the calibration starts from.
    stage.network.calibration = ScoreCalibration()
    frames, scores, hands, hidden, evidence = TestFrames(config.split), [], [], 0, []
    for index in tqdm(range(config.frames), unit='frame', mininterval=5):
        frame = frames.cached(index, config.cache / config.split)
        centres = frame.keypoints.mean(1)
        readings = stage.candidates(frame.depth, frame.camera)
        gaps = np.array([[np.linalg.norm(reading.centre - centre) for centre in centres] for reading in readings])
        gaps = gaps.reshape(len(readings), len(centres))
        near = (gaps < REACH).any(1)
        scores += [reading.score for reading in readings]
        hands += list(near)
        for number in np.flatnonzero(frame.counted):
            at_hand = [reading for reading, gap in zip(readings, gaps[:, number]) if gap < REACH]
            hidden += not at_hand
            if at_hand:
                surest = max(at_hand, key=lambda reading: reading.score)
                right, left = sorted(
                    stage.both_sides(frame.depth, frame.camera, surest), key=lambda reading: not reading.right
                )
                sign = 1 if frame.sides[number] == 'right' else -1
                evidence.append([sign * value for value in side_evidence(right, left)])
    score, hand = np.array(scores), np.array(hands)
    calibration = fit_calibration(score, hand)
    calibrated = np.array([calibration(value) for value in score])
    print(f'{hand.sum()} hands and {(~hand).sum()} other things among the candidates; {hidden} hands are no candidate')
    print_curve(calibrated, hand, int(hand.sum()), config.frames)
    print(f'scale {calibration.scale:.4f}, offset {calibration.offset:.4f}')
    side = fit_side_calibration(np.array(evidence))
    told = np.mean([side(*values) > 0 for values in evidence])
    print(f'side of {len(evidence)} hands: read {side.read:.4f}, fitted {side.fitted:.4f}, right in {told:.4f}')
    if config.card:
        keep_calibration(config.models / 'depth_pose', calibration)
        keep_calibration(config.models / 'depth_pose', side, 'side_calibration')
    return calibration, side


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


def keep_calibration(
    folder: Path, calibration: ScoreCalibration | SideCalibration, name: str = 'score_calibration'
) -> None:
    """Writes it into the card of a model folder."""
    card = Card.load(folder)
    dataclasses.replace(
        card,
        parameters={
            **card.parameters,
            name: {name: round(value, 4) for name, value in dataclasses.asdict(calibration).items()},
        },
    ).save(folder)


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


def fit_side_calibration(evidence: np.ndarray) -> SideCalibration:
    """The factors of the largest likelihood, none below 0.

    Args:
        evidence: (N, 2) for the true side of each hand, as `side_evidence` gives it.

    Raises:
        ValueError: there is nothing to learn from.
    """
    if not len(evidence):
        raise ValueError('no hand was seen as both sides: give more frames')

    def surprise(factors: np.ndarray) -> float:
        return float(np.logaddexp(0, -evidence @ factors).mean())

    read, fitted = minimize(surprise, np.array([0.3, 1.0]), bounds=[(0, 10), (0, 10)]).x
    return SideCalibration(float(read), float(fitted))
