# SPDX-License-Identifier: Apache-2.0
"""Farthest points of known clouds."""

import numpy as np

from hoi_ros.mesh.farthest_points import farthest_points


def test_farthest_points_begin_far_from_the_mean() -> None:
    line = np.array([[0, 0, 0], [1, 0, 0], [4, 0, 0], [9.0, 0, 0]])
    assert farthest_points(line, 3).tolist() == [3, 0, 2]
    assert farthest_points(np.stack([line, line[::-1]]), 3).tolist() == [[3, 0, 2], [0, 3, 1]]
    assert sorted(farthest_points(line, 9).tolist()) == [0, 1, 2, 3]
