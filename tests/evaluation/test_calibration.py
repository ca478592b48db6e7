# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from hoi_ros.stages.scores import ScoreCalibration
from training.evaluation.calibration import fit_calibration


def test_calibrated_scores_are_the_share_of_hands() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(2, 3, 20_000)
    hands = rng.random(20_000) < 1 / (1 + np.exp(-(0.7 * odds - 2)))
    scores = 1 / (1 + np.exp(-odds))
    calibration = fit_calibration(scores, hands)
    calibrated = np.array([calibration(score) for score in scores])
    for low in np.arange(0.1, 0.9, 0.2):
        within = (calibrated >= low) & (calibrated < low + 0.2)
        assert hands[within].mean() == pytest.approx(calibrated[within].mean(), abs=0.03)


def test_a_calibration_that_is_not_given_changes_nothing() -> None:
    assert ScoreCalibration()(0.3) == pytest.approx(0.3)


def test_one_kind_of_candidate_is_refused() -> None:
    with pytest.raises(ValueError, match='both kinds'):
        fit_calibration(np.array([0.3, 0.9]), np.array([True, True]))
