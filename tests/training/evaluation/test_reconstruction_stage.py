# SPDX-License-Identifier: Apache-2.0
"""The figures of the whole stage, on a few images."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.engines import Card
from hoi_ros.resources import models_dir
from hoi_ros.stages.parts.scores import ScoreCalibration
from training.evaluation import reconstruction_score
from training.evaluation.reconstruction_score import ReconstructionScoreEvaluation
from training.evaluation.reconstruction_stage import evaluate
from training.evaluation.reconstruction_stage import match
from training.evaluation.reconstruction_stage import ReconstructionStageEvaluation
from training.evaluation.reconstruction_stage import rendered
from training.evaluation.reconstruction_stage import WAYS

CAMERA = Pinhole(640, 480, 600.0, 600.0, 319.5, 239.5)


def test_depth_puts_hands_in_their_place(tmp_path: Path) -> None:
    models = tmp_path / 'models'
    shutil.copytree(models_dir(), models)
    config = ReconstructionStageEvaluation(
        frames=5, models=models, split='validation', workers=1, out=tmp_path / 'figures.json', card=True
    )
    figures = evaluate(config)
    assert set(figures) == set(WAYS) and config.out.is_file()
    colour, distance, surface = figures.values()
    assert colour['hands'] == surface['hands'] >= 4 and 0 < colour['found'] == surface['found'] <= 1
    assert colour['placed_by_depth'] == 0 < distance['placed_by_depth'] == surface['placed_by_depth']
    # To move along the ray changes where a hand is, not how it is.
    np.testing.assert_allclose(distance['from_wrist_mm'], colour['from_wrist_mm'], rtol=1e-3)
    kept = Card.load(models / 'reconstruction').parameters['joints_within_2_cm_on_depth']
    assert kept == pytest.approx(surface['placed_joints_within_2_cm'], abs=1e-4)


def test_the_score_is_made_a_probability(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / 'models'
    shutil.copytree(models_dir(), models)
    config = ReconstructionScoreEvaluation(frames=6, models=models, split='validation', workers=1)
    frames = list(rendered('validation', 6, 1))
    monkeypatch.setattr(reconstruction_score, 'rendered', lambda split, count, workers: frames)
    shipped = Card.load(models / 'reconstruction').parameters['score_calibration']
    assert reconstruction_score.evaluate(config) == ScoreCalibration(**shipped)
    before = capsys.readouterr().out
    fitted = reconstruction_score.evaluate(dataclasses.replace(config, card=True))
    kept = Card.load(models / 'reconstruction').parameters['score_calibration']
    assert kept == {name: pytest.approx(value, abs=1e-4) for name, value in dataclasses.asdict(fitted).items()}
    # It is fitted to the network's own scores, not to those that were calibrated before.
    assert reconstruction_score.evaluate(config) == ScoreCalibration(**kept)
    curves = [
        [line.split() for line in said.splitlines() if line.startswith('     0.')]
        for said in (before, capsys.readouterr().out)
    ]
    assert len(curves[0]) == 10 and len(curves[1]) == 20 and curves[1][:10] == curves[1][10:]
    for curve in (curves[0], curves[1][:10]):
        for column in (1, 2):
            falling = [float(line[column]) for line in curve]
            assert falling == sorted(falling, reverse=True) and falling[0] <= 2


def test_a_reported_hand_is_one_hand_of_the_image() -> None:
    rng = np.random.default_rng(0)

    def hand(x: float) -> SimpleNamespace:
        points = rng.uniform(-0.08, 0.08, (21, 3)) + [x, 0, 0.6]
        return SimpleNamespace(keypoints=points, joints=points, camera=CAMERA)

    first, second = hand(-0.15), hand(0.15)
    frame = SimpleNamespace(hands=(first, second))
    assert match([second, first], frame) == [first, second]
    assert match([first], frame) == [first, None]
    twice = SimpleNamespace(joints=first.joints + 0.001)
    assert match([first, twice], frame) == [first, None]
    assert match([], frame) == [None, None]
    # Of two hands side by side that lie within half a hand of one report, it is the nearer one's.
    beside = SimpleNamespace(**{**vars(first), 'keypoints': first.keypoints + [0.06, 0, 0]})
    beside.joints = beside.keypoints
    assert match([beside], SimpleNamespace(hands=(first, beside))) == [None, beside]
    assert match([hand(0.0)], frame) == [None, None]
