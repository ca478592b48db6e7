# SPDX-License-Identifier: Apache-2.0
"""Errors of estimated pairs of hands before and after they are regularised."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel
from tests.training.two_hand_pairs import random_pairs
from training.data.synthetic.pair_frames import PairFrames
from training.evaluation import two_hand_estimates
from training.evaluation.figures import EvaluationError
from training.evaluation.two_hand_estimates import ESTIMATE_DTYPE
from training.evaluation.two_hand_estimates import estimated_hands
from training.evaluation.two_hand_prior_regulariser import regularised_figures


@pytest.fixture(scope='module')
def rows() -> np.ndarray:
    """Two frames whose right hand is estimated 1 cm off, and one in which it was not found."""
    frames = PairFrames(random_pairs(3))
    rows = np.zeros(3, ESTIMATE_DTYPE)
    for number, row in enumerate(rows):
        frame = frames[number]
        assert frame.depth.shape == (480, 640) and 0.3 < np.median(frame.depth[frame.depth > 0]) < 4
        for place, hand in enumerate((frame.right, frame.left)):
            for name in ('pose', 'shape', 'translation'):
                row[name][place] = row[f'true_{name}'][place] = getattr(hand, name)
        row['translation'][0, 0] += 0.01
    rows['found'] = [[True, True], [True, True], [False, True]]
    return rows


def test_errors_are_those_of_the_estimates(rows: np.ndarray) -> None:
    figures = regularised_figures(rows, lambda hands: hands)
    assert figures['pairs'] == 2 and figures['moved'] == figures['apart_changed'] == 0
    before = figures['without']
    assert before == figures['with']
    assert before['mrrpe_mm'] == pytest.approx(10, abs=0.01) and before['joints_mm'] == pytest.approx(5, abs=0.01)
    assert before['mpjpe_mm'] == pytest.approx(0, abs=0.01) and before['mpvpe_mm'] == pytest.approx(0, abs=0.01)


def test_a_regulariser_that_knows_the_truth_has_no_error(rows: np.ndarray) -> None:
    right = HandModel.load()
    true = rows[rows['found'].all(1)].copy()
    for name in ('pose', 'shape', 'translation'):
        true[name] = true[f'true_{name}']
    known = {row['pose'].tobytes(): estimated_hands(row, (right, right.mirrored())) for row in true}

    def regularise(hands: Sequence[HandEstimate]) -> Sequence[HandEstimate]:
        return known[np.stack([hand.pose for hand in hands]).tobytes()][::-1]

    figures = regularised_figures(rows, regularise)
    assert figures['with']['joints_mm'] == pytest.approx(0, abs=0.01) and figures['ratio']['mrrpe_mm'] < 0.01
    assert figures['moved'] == figures['apart_changed'] == 2


def test_lost_hands_are_said(rows: np.ndarray) -> None:
    with pytest.raises(EvaluationError, match='both hands were found in no frame'):
        regularised_figures(rows[2:], lambda hands: hands)
    with pytest.raises(EvaluationError, match="made \\['right', 'right'\\]"):
        regularised_figures(rows, lambda hands: [hands[0], dataclasses.replace(hands[1], side='right')])


def test_kept_estimates_belong_to_their_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def estimated(frames: PairFrames, number: int, stage: object) -> np.ndarray:
        made.append(number)
        return np.zeros((), ESTIMATE_DTYPE)

    monkeypatch.setattr(two_hand_estimates, '_estimated', estimated)
    monkeypatch.setattr(two_hand_estimates, 'DepthPoseStage', MagicMock())
    records, cache = random_pairs(5), tmp_path / 'estimates.npz'
    assert len(two_hand_estimates.estimates_of(records[:3], cache)) == 3 and made == [0, 1, 2]
    assert len(two_hand_estimates.estimates_of(records, cache)) == 5 and made == [0, 1, 2, 3, 4]
    assert len(two_hand_estimates.estimates_of(records[:2], cache)) == 2 and len(made) == 5
    records['right'][3] += 0.01
    assert len(two_hand_estimates.estimates_of(records, cache)) == 5 and made[5:] == [3, 4]
    assert len(two_hand_estimates.estimates_of(random_pairs(2, 1), cache, until=0)) == 0


def test_views_belong_to_pairs_and_not_to_their_places() -> None:
    """Splits would share cameras otherwise, since each begins with place 0."""
    records = random_pairs(2)
    there, elsewhere = PairFrames(records)[1], PairFrames(records[1:])[0]
    assert there.camera == elsewhere.camera != PairFrames(records)[0].camera
    np.testing.assert_array_equal(there.depth, elsewhere.depth)
