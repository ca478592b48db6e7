# SPDX-License-Identifier: Apache-2.0
"""Calibrations of `reconstruction` end up in its card, which the stage and the evaluation then use."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.engines import Card
from hoi_ros.resources import models_dir
from hoi_ros.stages.parts.scores import log_odds
from hoi_ros.stages.parts.scores import probability
from training.calibration import reconstruction as calibration
from training.calibration.reconstruction import ReconstructionJointCalibration
from training.calibration.reconstruction import ReconstructionScoreCalibration
from training.data.real.photos import Photo
from training.data.synthetic.rgb_scenes import RgbFrame
from training.evaluation import reconstruction_score
from training.evaluation.reconstruction_score import ReconstructionScoreEvaluation


@pytest.fixture
def models(tmp_path: Path) -> Path:
    shutil.copytree(models_dir(), tmp_path / 'models')
    return tmp_path / 'models'


@pytest.mark.slow
def test_the_fitted_score_calibration_is_used_by_the_evaluation(
    models: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    validation_images: list[RgbFrame],
) -> None:
    monkeypatch.setattr(reconstruction_score, 'rendered', lambda split, count, *_: validation_images)
    config = ReconstructionScoreEvaluation(frames=6, models=models, split='validation', workers=1)
    shipped = Card.load(models / 'reconstruction').parameters['score_calibration']
    figures = reconstruction_score.evaluate(config)
    assert {name: figures[name] for name in shipped} == shipped
    capsys.readouterr()
    fitted = calibration.calibrate_score(ReconstructionScoreCalibration(6, models, workers=1))
    kept = Card.load(models / 'reconstruction').parameters['score_calibration']
    assert kept == {name: pytest.approx(value, abs=1e-4) for name, value in dataclasses.asdict(fitted).items()}
    # Evaluating again with the new card prints the same curve: the fit starts from uncalibrated scores.
    figures = reconstruction_score.evaluate(config)
    assert {name: figures[name] for name in kept} == kept
    curves = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith('     0.')]
    assert len(curves) == 20 and curves[:10] == curves[10:]
    for column in (1, 2):
        falling = [float(line[column]) for line in curves[:10]]
        assert falling == sorted(falling, reverse=True) and falling[0] <= 2


def test_a_detector_without_calibration_is_refused(models: Path) -> None:
    card = Card.load(models / 'rgb_detector')
    dataclasses.replace(card, parameters={}).save(models / 'rgb_detector')
    with pytest.raises(SystemExit, match='rgb_detector: its score is not calibrated'):
        calibration.calibrate_score(ReconstructionScoreCalibration(6, models, workers=1))


def test_scores_are_lowered_until_photos_without_hands_show_few(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = [0.6, 0.9, 0.7, 0.3, 0.8]
    shift = calibration.lowering(scores, 2)
    assert [probability(log_odds(score) - shift) > 0.5 + 1e-9 for score in scores] == [False, True, False, False, True]
    assert calibration.lowering(scores, 4) == 0
    near = [0.9999, 0.999, 0.998, 0.997]
    far = calibration.lowering(near, 1)
    assert sum(round(probability(log_odds(score, 1e-9) - far), 4) >= 0.5 for score in near) == 1
    photos = [Photo(tmp_path / f'{number}.jpg', 'none', np.zeros((0, 4)), 'source') for number in range(200)]
    monkeypatch.setattr(calibration, 'photos', lambda root, split: photos)
    monkeypatch.setattr(calibration, 'false_scores', lambda models, empty, workers: scores if len(empty) == 200 else [])
    monkeypatch.setattr(calibration, 'collect_scores', lambda config: Scored())
    monkeypatch.setattr(calibration, 'print_scores', lambda *given: None)
    plain = calibration.calibrate_score(ReconstructionScoreCalibration(6, models))
    lowered = calibration.calibrate_score(ReconstructionScoreCalibration(6, models, photos=tmp_path))
    assert lowered.scale == plain.scale and lowered.offset == pytest.approx(plain.offset - shift)
    kept = Card.load(models / 'reconstruction').parameters['score_calibration']
    assert kept['offset'] == pytest.approx(lowered.offset, abs=1e-4)


class Scored:
    scores, hands = np.linspace(0.05, 0.95, 19), np.arange(19) % 3 > 0


def test_the_shares_of_joints_within_2_cm_are_written_to_the_card(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = {
        'colour alone': {'joints_within_2_cm': 0.25},
        'depth: surface': {'placed_joints_within_2_cm': 0.87654321},
    }
    asked = []
    monkeypatch.setattr(calibration, 'evaluate', lambda config: asked.append(config) or figures)
    config = ReconstructionJointCalibration(6, models, 1)
    assert calibration.calibrate_joints(config) == (0.25, 0.87654321)
    assert (asked[0].frames, asked[0].split, asked[0].kind, asked[0].workers) == (6, 'validation', None, 1)
    written = Card.load(models / 'reconstruction').parameters
    assert (written['joints_within_2_cm'], written['joints_within_2_cm_on_depth']) == (0.25, 0.8765)
    del figures['depth: surface']['placed_joints_within_2_cm']
    with pytest.raises(SystemExit, match='no hand was found in 6 images, or located by depth'):
        calibration.calibrate_joints(config)
