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


@pytest.mark.parametrize('shape', ['brick', 'can', 'cone', 'plate'])
def test_the_box_turns_with_the_points_and_is_mirrored_with_them(shape: str) -> None:
    made = trimesh.creation
    mesh = {
        'brick': made.box((0.03, 0.06, 0.2)),
        'can': made.cylinder(0.033, 0.1),
        'cone': made.cone(0.03, 0.1),
        'plate': trimesh.Trimesh(np.eye(3) * [[0.1], [0.2], [0.3]], [[0, 1, 2]]),
    }[shape]
    rng = np.random.default_rng(4)
    flip = np.diag([-1.0, 1, 1])
    for turn in Rotation.random(4, random_state=rng):
        points = turn.apply(mesh.vertices)
        centre, orientation, size = oriented_box(points)
        mirrored, other, sides = oriented_box(points @ flip + rng.normal(0, 1e-8, points.shape))
        np.testing.assert_allclose(mirrored, flip @ centre, atol=1e-6)
        np.testing.assert_allclose(sides, size, atol=1e-6)
        wanted = flip @ Rotation.from_quat(orientation).as_matrix() @ flip
        np.testing.assert_allclose(Rotation.from_quat(other).as_matrix(), wanted, atol=1e-3)
        if shape == 'cone':
            own = turn.inv().apply(Rotation.from_quat(orientation).apply([0, 0, 1]))
            np.testing.assert_allclose(own, [0, 0, 1], atol=1e-3)


@pytest.mark.parametrize('shape', ['brick', 'can', 'cube'])
def test_the_box_of_a_thing_that_turns_does_not_jump(shape: str) -> None:
    """Whatever is symmetric about it, and however noisy its points are."""
    made = trimesh.creation
    mesh = {
        'brick': made.box((0.04, 0.042, 0.1)),
        'can': made.cylinder(0.033, 0.1),
        'cube': made.box((0.05, 0.05, 0.05)),
    }[shape]
    rng = np.random.default_rng(6)
    points = mesh.subdivide().subdivide().vertices
    turn, before = Rotation.identity(), None
    for _ in range(40):
        turn = Rotation.from_rotvec(rng.normal(0, 0.08, 3)) * turn
        seen = turn.apply(points + rng.normal(0, 0.0005, points.shape))
        centre, orientation, size = oriented_box(seen, turn if before is None else turn * before)
        relative = turn.inv() * Rotation.from_quat(orientation)
        assert before is None or np.degrees((before.inv() * relative).magnitude()) < 20
        assert size[0] <= 1.15 * size[1] and size[1] <= 1.15 * size[2] and np.linalg.norm(centre) < 0.003
        local = Rotation.from_quat(orientation).inv().apply(seen - centre)
        assert (np.abs(local) <= size / 2 + 1e-5).all()
        before = relative
