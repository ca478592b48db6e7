# SPDX-License-Identifier: Apache-2.0
"""Oriented boxes around known solids."""

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from hoi_ros.mesh.boxes import oriented_box


@pytest.mark.parametrize('seed', range(5))
def test_the_box_around_a_turned_brick_is_the_brick(seed: int) -> None:
    rng = np.random.default_rng(seed)
    brick = trimesh.creation.box((0.03, 0.06, 0.2)).subdivide().subdivide()
    turn, place = Rotation.random(random_state=rng), rng.normal(size=3)
    centre, orientation, size = oriented_box(turn.apply(brick.vertices) + place)
    np.testing.assert_allclose(size, [0.03, 0.06, 0.2], atol=2e-3)
    np.testing.assert_allclose(centre, place, atol=2e-3)
    along = Rotation.from_quat(orientation).apply([0, 0, 1])
    assert abs(along @ turn.apply([0, 0, 1])) > 0.999


def test_all_points_lie_in_the_box() -> None:
    points = np.random.default_rng(3).normal(size=(300, 3)) * [1, 2, 4] + [5, 0, 0]
    centre, orientation, size = oriented_box(points)
    local = Rotation.from_quat(orientation).inv().apply(points - centre)
    assert (np.abs(local) <= size / 2 + 1e-5).all() and (np.diff(size) >= 0).all()
