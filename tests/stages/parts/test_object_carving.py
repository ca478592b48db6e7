# SPDX-License-Identifier: Apache-2.0
"""Objects that give way to the hand."""

from __future__ import annotations

import numpy as np
import trimesh

from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.volumes import grid_volume
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.simulation.held_solid import Can
from hoi_ros.stages.parts.object_carving import carved
from tests.stages.parts.held_objects import hand_model

BALL = trimesh.creation.icosphere(3)
FACES = np.asarray(BALL.faces)


def test_an_object_ends_where_the_hand_begins() -> None:
    hand = HandMotion(hand_model(), 'right', 0, 8.0, 0.0, Can())(1.0)
    around = BALL.vertices * np.ptp(hand.held.vertices, axis=0) * 0.75 + hand.held.vertices.mean(0)
    less = carved(around, hand.vertices)
    skin = close_holes(hand_model().faces)
    before, after = (grid_volume(hand.vertices, skin, each, FACES, 0.003) for each in (around, less))
    assert before > 5e-6 and after < 0.2 * before
    moved = np.linalg.norm(less - around, axis=1) > 0
    assert 0 < moved.mean() < 0.8
    assert trimesh.Trimesh(less, FACES, process=False).is_volume


def test_a_hand_outside_changes_nothing() -> None:
    ball = 0.03 * BALL.vertices
    hand = 0.01 * BALL.vertices + [0, 0, 0.05]
    np.testing.assert_allclose(carved(ball, hand), ball, atol=1e-12)
    np.testing.assert_array_equal(carved(ball, hand + [0, 0, 1]), ball)


def test_a_hand_through_the_middle_leaves_a_core() -> None:
    ball = 0.03 * BALL.vertices
    left = np.linalg.norm(carved(ball, 0.005 * BALL.vertices), axis=1)
    np.testing.assert_allclose(left, 0.4 * 0.03, rtol=1e-6)
