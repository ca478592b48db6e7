# SPDX-License-Identifier: Apache-2.0
"""The candidates of the `depth_pose` stage on generated frames, and their labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoi_ros.resources import models_dir
from training.evaluation.depth_pose_score import Candidates
from training.evaluation.depth_pose_score import collect_candidates
from training.evaluation.depth_pose_score import DepthPoseScoreEvaluation
from training.evaluation.depth_pose_score import evaluate


@pytest.mark.slow
def test_hands_are_told_from_other_candidates(tmp_path: Path) -> None:
    config = DepthPoseScoreEvaluation(8, models_dir(), 'validation', tmp_path, workers=1)
    found = collect_candidates(config)
    assert found.hands.sum() >= 4 and len(found.side_evidence) >= 4
    if (~found.hands).any():
        assert found.scores[found.hands].mean() > found.scores[~found.hands].mean()
    both = Candidates.joined([found, found])
    assert len(both.scores) == len(both.proposed) == 2 * len(found.scores) and both.missing == 2 * found.missing
    assert both.side_evidence.shape == (2 * len(found.side_evidence), 2)
    figures = evaluate(config)
    assert figures['hands'] == found.hands.sum() and figures['side_correct'] > 0.5
