# SPDX-License-Identifier: Apache-2.0
"""Hands that are in each other come apart, and others stay."""

from __future__ import annotations

import numpy as np
import pytest

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import SHAPE
from hoi_ros.hand.pair import with_root
from hoi_ros.mesh.volumes import grid_volume
from hoi_ros.stages.parts.hand_separation import HandSeparation
from hoi_ros.stages.parts.hand_separation import SeparationConfig
from hoi_ros.stages.parts.hand_separation import way_out

DEVIATION = np.repeat([0.25, 1.0, 0.5, 0.07], [45, 10, 6, 3]).astype(np.float32)


@pytest.fixture(scope='module')
def hand() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='module')
def separation(hand: HandModel) -> HandSeparation:
    return HandSeparation(hand)


def praying(hand: HandModel, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """(1, 64) a right hand and a left one, palm to palm, their wrists `apart` metres apart; nearer than 11 cm, thumbs
    are in the other hand."""
    left = anchored(np.zeros((1, 64), np.float32))
    # The palms face along z of the left wrist.
    right = with_root(np.zeros((1, 64)), np.diag([-1.0, 1.0, -1.0])[None], np.array([[0, 0, apart]]))
    return right, left


def volume(hand: HandModel, separation: HandSeparation, right: np.ndarray, left: np.ndarray) -> float:
    own = separation.surface.posed(right).points[0, : separation.surface.vertices]
    other = separation.left(left).vertices[0]
    return grid_volume(own, hand.faces, other, hand.mirrored().faces, 0.003)


def test_hands_in_each_other_come_apart_by_a_small_move(hand: HandModel, separation: HandSeparation) -> None:
    right, left = praying(hand, 0.1)
    before, moved = volume(hand, separation, right, left), right
    for _ in range(4):
        step, _ = separation.step(moved, separation.left(left), DEVIATION, 1.0)
        moved = moved + DEVIATION * step
    assert volume(hand, separation, moved, left) < 0.1 * before
    assert np.array_equal(moved[:, SHAPE], right[:, SHAPE])
    assert np.sqrt((((moved - right) / DEVIATION) ** 2).mean()) < 0.2


def test_a_hand_halfway_through_another_comes_out(hand: HandModel, separation: HandSeparation) -> None:
    right, left = praying(hand, 0.02)
    before, moved, ways = volume(hand, separation, right, left), right, None
    for _ in range(8):
        step, ways = separation.step(moved, separation.left(left), DEVIATION, 1.0, ways)
        moved = moved + DEVIATION * step
    assert before > 5e-5 and volume(hand, separation, moved, left) < 0.1 * before


def test_hands_apart_stay(hand: HandModel, separation: HandSeparation) -> None:
    for apart in (0.12, 0.5):
        right, left = praying(hand, apart)
        step, ways = separation.step(right, separation.left(left), DEVIATION, 1.0)
        assert not step.any() and not ways.any()


def test_each_hand_of_a_batch_is_moved_as_if_alone(hand: HandModel, separation: HandSeparation) -> None:
    near, left = praying(hand, 0.1)
    far, _ = praying(hand, 0.12)
    lefts = separation.left(np.concatenate([left, left]))
    both, _ = separation.step(np.concatenate([near, far]), lefts, DEVIATION, 0.5)
    assert np.allclose(both[:1], separation.step(near, separation.left(left), DEVIATION, 0.5)[0], atol=1e-5)
    assert not both[1].any()


def test_vertices_that_move_alike_and_far_do_not_stop_a_step() -> None:
    rows = np.full((1, 48, 64), 300.0, np.float32)
    rows[:, :, 3] = 0
    change = way_out(rows, np.full((1, 48), 0.004), SeparationConfig())
    np.testing.assert_allclose(rows[0] @ change[0], 0.005, rtol=1e-3)
    assert change[0, 3] == 0
