# SPDX-License-Identifier: Apache-2.0
"""Force closure against a linear program and for known grasps."""

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from hoi_ros.mesh.force_closure import closure_radius
from hoi_ros.mesh.force_closure import contact_wrenches
from hoi_ros.mesh.force_closure import force_closure
from hoi_ros.mesh.force_closure import FRICTION


def test_force_closure_agrees_with_a_linear_program() -> None:
    """The origin is inside the hull of the wrenches if a small push in every direction can be balanced."""
    rng = np.random.default_rng(0)
    answers = []
    for _ in range(16):
        normals = rng.standard_normal((rng.integers(2, 5), 3))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        points = -0.04 * normals + rng.normal(0, 0.01, normals.shape)
        wrenches = []
        arms = points - points.mean(0)
        for arm, normal in zip(arms / np.linalg.norm(arms, axis=1).max(), normals, strict=True):
            around = np.linalg.svd(normal[None])[2][1:]
            for turn in np.arange(64) * np.pi / 32:
                force = normal + FRICTION * (np.cos(turn) * around[0] + np.sin(turn) * around[1])
                wrenches.append(np.concatenate([force, np.cross(arm, force)]))
        pushes = np.concatenate([np.eye(6), -np.ones((1, 6))])
        balanced = [
            linprog(np.zeros(len(wrenches)), A_eq=np.array(wrenches).T, b_eq=push).status == 0 for push in pushes
        ]
        answers.append(all(balanced))
        assert force_closure(points, normals, edges=64) == all(balanced)
    assert 3 < sum(answers) < 13


def test_force_closure_of_known_grasps() -> None:
    opposite = np.array([[1.0, 0, 0], [-1, 0, 0]])
    tripod = np.array([[1.0, 0, 0], [-0.5, 0.866, 0], [-0.5, -0.866, 0]])
    assert not force_closure(0.03 * opposite, -opposite)  # nothing resists the torque about their line
    assert force_closure(0.03 * tripod, -tripod)
    assert not force_closure(0.03 * tripod, -tripod, friction=0.0)
    assert not force_closure(0.03 * tripod, np.tile([[0, 0, 1.0]], (3, 1)))  # all push in the same direction


def test_the_closure_radius_is_that_of_the_whole_hull() -> None:
    rng = np.random.default_rng(1)
    closed = 0
    for _ in range(10):
        normals = rng.standard_normal((rng.integers(3, 7), 3))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        points = -0.04 * normals + rng.normal(0, 0.01, normals.shape)
        wrenches = contact_wrenches(points, normals).reshape(-1, 6) / np.hypot(1, FRICTION)
        whole = max(0.0, -ConvexHull(wrenches).equations[:, -1].max())
        assert closure_radius(points, normals, rounds=30) == pytest.approx(whole, abs=1e-9)
        assert 0.8 * whole <= closure_radius(points, normals) <= whole + 1e-9
        assert (whole > 0) == force_closure(points, normals)
        closed += whole > 0
    assert 2 < closed < 9


def test_contacts_that_cannot_resist_every_wrench_have_no_closure_radius() -> None:
    opposite = np.array([[1.0, 0, 0], [-1, 0, 0]])
    tripod = np.array([[1.0, 0, 0], [-0.5, 0.866, 0], [-0.5, -0.866, 0]])
    assert closure_radius(0.03 * tripod, -tripod) > 0.05
    assert closure_radius(0.03 * tripod, -tripod, friction=0.0) == 0
    assert closure_radius(0.03 * opposite, -opposite) == pytest.approx(0, abs=1e-9)
    assert closure_radius(opposite[:1], opposite[:1]) == 0


def test_the_closure_radius_turns_with_the_object() -> None:
    rng = np.random.default_rng(2)
    normals = rng.standard_normal((6, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = -0.04 * normals + rng.normal(0, 0.01, normals.shape)
    expected = closure_radius(points, normals, rounds=30)
    assert expected > 0.05
    for turn in Rotation.random(6, random_state=3).as_matrix():
        assert closure_radius(points @ turn.T, normals @ turn.T, rounds=30) == pytest.approx(expected, rel=1e-6)
