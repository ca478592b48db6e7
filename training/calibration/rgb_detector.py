# SPDX-License-Identifier: Apache-2.0
"""Calibrates the score of the RGB detector."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hoi_ros.engines import load_engine
from hoi_ros.stages.parts.scores import ScoreCalibration
from training.calibration.scores import fit_score_calibration
from training.calibration.scores import write_calibrations
from training.evaluation.rgb_detector import collect_candidates
from training.evaluation.rgb_detector import evaluation_views
from training.evaluation.rgb_detector import ExportedDetector
from training.evaluation.rgb_detector import print_candidates
from training.installation import InstallOptions


@dataclasses.dataclass(frozen=True)
class RgbDetectorCalibration(InstallOptions):
    """Fits the calibration of the score on validation frames and writes it into the card of rgb_detector."""

    frames: int = 500
    models: Path = Path('models')


def calibrate(config: RgbDetectorCalibration) -> ScoreCalibration:
    """Fits, prints the score curve, writes the card and returns the calibration."""
    config.require_consent(config.models)
    folder = config.models / 'rgb_detector'
    candidates = collect_candidates(
        ExportedDetector(load_engine(folder)), evaluation_views('validation', config.frames)
    )
    calibration = fit_score_calibration(candidates.scores, candidates.hands)
    print_candidates(candidates, calibration, config.frames)
    write_calibrations(folder, config, score_calibration=calibration)
    return calibration
