# SPDX-License-Identifier: Apache-2.0
"""Calibrates the hand score and the joint scores of `reconstruction`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hoi_ros.engines import Card
from hoi_ros.stages.parts.scores import log_odds
from hoi_ros.stages.parts.scores import ScoreCalibration
from training.calibration.scores import fit_score_calibration
from training.calibration.scores import write_calibrations
from training.calibration.scores import write_parameters
from training.data.real.photos import photos
from training.evaluation.photos import false_scores
from training.evaluation.reconstruction_score import collect_scores
from training.evaluation.reconstruction_score import print_scores
from training.evaluation.reconstruction_score import ReconstructionScoreEvaluation
from training.evaluation.reconstruction_stage import evaluate
from training.evaluation.reconstruction_stage import ReconstructionStageEvaluation
from training.installation import InstallOptions


@dataclasses.dataclass(frozen=True)
class ReconstructionScoreCalibration(InstallOptions):
    """Fits the calibration of the hand score on validation images and writes it into the card of reconstruction."""

    frames: int = 300
    models: Path = Path('models')
    photos: Path | None = None
    """Folder of the real material: scores are lowered until its validation photos without hands show no more false ones
    than `false_per_photo`."""
    false_per_photo: float = 0.01
    workers: int = 2
    """Rendering processes."""


def calibrate_score(config: ReconstructionScoreCalibration) -> ScoreCalibration:
    """Fits, prints the score curve, writes the card and returns the calibration.

    The scores of generated images are too high for photos, which show more that a network can mistake for a hand.

    Raises:
        SystemExit: the score of the detector is not calibrated.
    """
    config.require_consent(config.models)
    if 'score_calibration' not in Card.load(config.models / 'rgb_detector').parameters:
        raise SystemExit(
            f'{config.models / "rgb_detector"}: its score is not calibrated, and the score of reconstruction uses it: '
            f'first run python -m training calibrate rgb_detector --models {config.models}'
        )
    scored = collect_scores(ReconstructionScoreEvaluation(config.frames, config.models, 'validation', config.workers))
    calibration = fit_score_calibration(scored.scores, scored.hands)
    print_scores(scored, calibration, config.frames)
    write_calibrations(config.models / 'reconstruction', config, score_calibration=calibration)
    if config.photos:
        empty = [photo for photo in photos(config.photos, 'validation') if photo.kind == 'none']
        false = false_scores(config.models, empty, config.workers)
        shift = lowering(false, int(config.false_per_photo * len(empty)))
        calibration = dataclasses.replace(calibration, offset=calibration.offset - shift)
        write_calibrations(config.models / 'reconstruction', config, score_calibration=calibration)
        print(f'{len(false)} false hands in {len(empty)} photos without hands: log-odds lowered by {shift:.3f}')
    return calibration


_LEAST, _MARGIN = 1e-9, 1e-3
"""Of scores: how near 1 they may be, and by how much in log-odds the first one too many is to lie below one half."""


def lowering(scores: Sequence[float], allowed: int) -> float:
    """By how much log-odds have to be lowered for no more than `allowed` of the scores to stay above one half."""
    above = sorted((score for score in scores if score > 0.5), reverse=True)
    return log_odds(above[allowed], _LEAST) + _MARGIN if len(above) > allowed else 0.0


@dataclasses.dataclass(frozen=True)
class ReconstructionJointCalibration(InstallOptions):
    """Measures the shares of joints within 2 cm, without depth and with it, on validation images and writes them into
    the card of reconstruction: its joint scores."""

    frames: int = 300
    models: Path = Path('models')
    workers: int = 2
    """Rendering processes."""


def calibrate_joints(config: ReconstructionJointCalibration) -> tuple[float, float]:
    """Measures, writes the card and returns both shares.

    Raises:
        SystemExit: no hand was found, or located by depth.
    """
    config.require_consent(config.models)
    figures = evaluate(
        ReconstructionStageEvaluation(config.frames, config.models, 'validation', workers=config.workers)
    )
    alone = figures['colour alone'].get('joints_within_2_cm')
    placed = figures['depth: surface'].get('placed_joints_within_2_cm')
    if alone is None or placed is None:
        raise SystemExit(f'no hand was found in {config.frames} images, or located by depth: use more frames')
    shares = {'joints_within_2_cm': round(alone, 4), 'joints_within_2_cm_on_depth': round(placed, 4)}
    write_parameters(config.models / 'reconstruction', config, shares)
    return alone, placed
