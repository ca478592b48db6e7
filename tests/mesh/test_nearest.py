# SPDX-License-Identifier: Apache-2.0
"""Nearest points: those of a tree, however many points there are and wherever they lie."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from hoi_ros.mesh.nearest import nearest_points


@pytest.mark.parametrize('count', [1, 700, 5000])
def test_distances_are_those_of_a_tree(count: int) -> None:
    rng = np.random.default_rng(0)
    points, others = (0.05 * rng.normal(size=(size, 3)) + [0.1, -0.2, 0.9] for size in (900, count))
    apart = np.linalg.norm(points - others[nearest_points(points, others)], axis=1)
    np.testing.assert_allclose(apart, cKDTree(others).query(points)[0], rtol=0, atol=1e-6)


def test_no_point_has_no_nearest() -> None:
    assert nearest_points(np.zeros((0, 3)), np.ones((4, 3))).shape == (0,)
