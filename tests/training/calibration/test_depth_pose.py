# SPDX-License-Identifier: Apache-2.0
"""Calibrations and figures of `depth_pose` end up in its card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.engines import Card
from hoi_ros.resources import models_dir
from hoi_ros.stages.parts.scores import log_odds
from hoi_ros.stages.parts.scores import ProposalCalibration
from hoi_ros.stages.parts.scores import ScoreCalibration
from hoi_ros.stages.parts.scores import SideCalibration
from training.calibration import depth_pose as calibration
from training.calibration.depth_pose import DepthPoseFigures
from training.calibration.depth_pose import DepthPoseScoreCalibration
from training.evaluation.depth_pose_score import Candidates


@pytest.fixture
def models(tmp_path: Path) -> Path:
    shutil.copytree(models_dir() / 'depth_pose', tmp_path / 'depth_pose')
    return tmp_path


def test_score_and_side_calibrations_are_written_to_the_card(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, (4000, 2))
    hands = rng.random(4000) < 1 / (1 + np.exp(-(odds @ [0.8, 0.4] - 0.5)))
    scores, proposed = (1 / (1 + np.exp(-odds))).T
    candidates = Candidates(
        *(scores, proposed, hands, 3, rng.normal(1, 2, (300, 2))),
        *(ScoreCalibration(), ProposalCalibration(), SideCalibration()),
    )
    monkeypatch.setattr(calibration, 'collect_candidates', lambda config: candidates)
    score, proposal, side = calibration.calibrate_score(DepthPoseScoreCalibration(10, models))
    parameters = Card.load(models / 'depth_pose').parameters
    assert parameters['score_calibration'] == pytest.approx({'scale': score.scale, 'offset': score.offset}, abs=1e-4)
    assert parameters['proposal_calibration'] == pytest.approx(vars(proposal), abs=1e-4)
    # Both networks' odds together are those that the hands were drawn from, but for the weight of non-hands; the
    # finder vouches for none.
    for one, other in ((0.5, 0.5), (0.9, 0.2), (0.1, 0.8)):
        expected = min(log_odds(score(one)), 0.8 * log_odds(one) + 0.4 * log_odds(other) - 0.5 - np.log(1.5))
        assert log_odds(proposal(score(one), other)) == pytest.approx(expected, abs=0.2)
    assert parameters['side_calibration'] == pytest.approx({'read': side.read, 'fitted': side.fitted}, abs=1e-4)


def test_measured_figures_are_written_to_the_card(models: Path, tmp_path: Path) -> None:
    before = Card.load(models / 'depth_pose').figures
    measured = {
        'variant': 'depth_pose',
        'split': 'test',
        'frames': 7,
        'found': 0.987654,
        'joints': {'mean_mm': 7.123456, 'per_joint_mm': [1.00004, 2.0]},
    }
    (tmp_path / 'figures.json').write_text(json.dumps(measured))
    calibration.record_figures(DepthPoseFigures(tmp_path / 'figures.json', models))
    after = Card.load(models / 'depth_pose').figures
    assert after['whole_stage_test'] == {
        'split': 'test',
        'frames': 7,
        'found': 0.9877,
        'mean_mm': 7.1235,
        'per_joint_mm': [1.0, 2.0],
    }
    assert {name: after[name] for name in before if name != 'whole_stage_test'} == {
        name: value for name, value in before.items() if name != 'whole_stage_test'
    }
