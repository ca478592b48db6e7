# SPDX-License-Identifier: Apache-2.0
"""The gap between points and a ball."""

import numpy as np
import pytest
import trimesh

from hoi_ros.mesh.contact import surface_gap


@pytest.mark.parametrize('away', [0.03, 0.004, -0.006])
def test_the_gap_is_the_least_signed_distance(away: float) -> None:
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.04)
    rng = np.random.default_rng(3)
    points = rng.normal(size=(400, 3))
    points *= (0.04 + away + np.abs(rng.normal(0, 0.01, (400, 1)))) / np.linalg.norm(points, axis=1, keepdims=True)
    points[0] = [0, 0, 0.04 + away]
    gap = surface_gap(points, ball.vertices, ball.faces, near=0.05)
    assert gap == pytest.approx((np.linalg.norm(points, axis=1) - 0.04).min(), abs=5e-4)


def test_the_gap_of_distant_surfaces_is_their_distance() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.04)
    points = np.array([[0, 0, 0.54], [0, 0.3, 0.6]])
    assert surface_gap(points, ball.vertices, ball.faces) == pytest.approx(0.5, abs=1e-3)
