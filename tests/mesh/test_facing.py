# SPDX-License-Identifier: Apache-2.0
"""The places of a mesh that face a surface beside it."""

import numpy as np
import pytest
import trimesh

from hoi_ros.mesh.facing import facing_places


def test_places_on_a_ball_lie_towards_the_points() -> None:
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.04)
    directions = np.random.default_rng(0).standard_normal((50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    places = facing_places(0.045 * directions, -directions, ball.vertices, ball.faces, 0.01)
    np.testing.assert_allclose(places.points, 0.04 * directions, atol=2e-4)
    np.testing.assert_allclose(places.inward, -directions, atol=0.06)
    np.testing.assert_allclose(places.distances, 0.005, atol=2e-4)


def test_skin_that_has_gone_through_half_of_a_plate_presses_on_the_side_it_faces() -> None:
    plate = trimesh.creation.box([0.1, 0.1, 0.004])
    plate = plate.subdivide().subdivide().subdivide()
    places = facing_places(np.array([[0.011, 0.012, -0.001]]), np.array([[0, 0, -1.0]]), *_mesh(plate), 0.01)
    assert places.points[0] == pytest.approx([0.011, 0.012, 0.002])
    assert places.inward[0] == pytest.approx([0, 0, -1])


def test_the_nearest_place_of_long_triangles_is_found() -> None:
    can = trimesh.creation.cylinder(0.033, 0.12, sections=48)
    points, triangles = trimesh.sample.sample_surface(can, 200, seed=0)
    outward = can.face_normals[triangles]
    places = facing_places(points + 0.001 * outward, -outward, *_mesh(can), 0.01)
    np.testing.assert_allclose(places.distances, 0.001, atol=2e-4)
    assert (np.einsum('ij,ij->i', places.inward, -outward) > 0.98).all()


def test_a_mesh_out_of_reach_has_no_places() -> None:
    ball = trimesh.creation.icosphere(subdivisions=2, radius=0.04)
    places = facing_places(np.array([[0.5, 0, 0]]), np.array([[-1.0, 0, 0]]), *_mesh(ball), 0.01)
    assert np.isinf(places.distances).all() and np.isnan(places.points).all()
    assert len(facing_places(np.zeros((0, 3)), np.zeros((0, 3)), *_mesh(ball), 0.01).points) == 0


def _mesh(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    return np.array(mesh.vertices), np.array(mesh.faces)
