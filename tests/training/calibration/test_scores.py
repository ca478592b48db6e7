# SPDX-License-Identifier: Apache-2.0
"""Score and side calibrations recover the model that generated the data."""

from __future__ import annotations

import numpy as np
import pytest

from hoi_ros.stages.parts.scores import ScoreCalibration
from training.calibration.scores import fit_score_calibration
from training.calibration.scores import fit_side_calibration


def test_calibrated_scores_are_the_share_of_hands() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(2, 3, 20_000)
    hands = rng.random(20_000) < 1 / (1 + np.exp(-(0.7 * odds - 2)))
    scores = 1 / (1 + np.exp(-odds))
    calibration = fit_score_calibration(scores, hands)
    calibrated = np.array([calibration(score) for score in scores])
    for low in np.arange(0.1, 0.9, 0.2):
        within = (calibrated >= low) & (calibrated < low + 0.2)
        assert hands[within].mean() == pytest.approx(calibrated[within].mean(), abs=0.03)


def test_the_default_calibration_is_the_identity() -> None:
    assert ScoreCalibration()(0.3) == pytest.approx(0.3)


def test_candidates_of_one_kind_raise() -> None:
    with pytest.raises(ValueError, match='both kinds'):
        fit_score_calibration(np.array([0.3, 0.9]), np.array([True, True]))


def test_side_factors_are_recovered() -> None:
    rng = np.random.default_rng(1)
    factors = np.array([0.4, 1.2])
    evidence = rng.normal(0, [4, 1], (20_000, 2))
    right = rng.random(20_000) < 1 / (1 + np.exp(-evidence @ factors))
    calibration = fit_side_calibration(np.where(right[:, None], evidence, -evidence))
    assert (calibration.read, calibration.fitted) == pytest.approx(tuple(factors), rel=0.1)
    signed = np.array([calibration(*values) for values in evidence])
    sure = np.abs(signed) > 2
    assert ((signed > 0) == right)[sure].mean() == pytest.approx(
        (1 / (1 + np.exp(-np.abs(signed[sure])))).mean(), abs=0.01
    )


def test_missing_evidence_raises() -> None:
    with pytest.raises(ValueError, match='more frames'):
        fit_side_calibration(np.zeros((0, 2)))
