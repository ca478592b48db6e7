# SPDX-License-Identifier: Apache-2.0
"""The calibration of the RGB detector ends up in its card, which the evaluation then uses."""

import json
import shutil
from pathlib import Path

import pytest

from hoi_ros.engines import Card
from hoi_ros.resources import models_dir
from training.calibration import rgb_detector as calibration
from training.calibration.rgb_detector import RgbDetectorCalibration
from training.evaluation import rgb_detector as evaluation
from training.evaluation.rgb_detector import RgbDetectorEvaluation


@pytest.mark.slow
def test_the_fitted_calibration_is_used_by_the_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(models_dir() / 'rgb_detector', tmp_path / 'rgb_detector')
    views = evaluation.evaluation_views('validation', 6)
    for module in (calibration, evaluation):
        monkeypatch.setattr(module, 'evaluation_views', lambda split, frames: views)
    fitted = calibration.calibrate(RgbDetectorCalibration(6, tmp_path))
    kept = Card.load(tmp_path / 'rgb_detector').parameters['score_calibration']
    assert kept == pytest.approx({'scale': fitted.scale, 'offset': fitted.offset}, abs=1e-4)
    out = tmp_path / 'figures.json'
    figures = evaluation.evaluate(RgbDetectorEvaluation(6, 'validation', tmp_path, out))
    assert 0.5 <= figures['found'] <= 1 and json.loads(out.read_text()).keys() == figures.keys()
