# SPDX-License-Identifier: Apache-2.0
"""Surfaces: refused meshes, samples by area, contact."""

import numpy as np
import pytest
import trimesh

from hoi_ros.mesh.surface import Surface


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def ball(radius: float) -> Surface:
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    return Surface(mesh.vertices, mesh.faces)


@pytest.mark.parametrize(
    ('vertices', 'faces', 'message'),
    [
        (np.zeros((4, 2)), [[0, 1, 2]], r'vertices have shape \(4, 2\)'),
        (np.zeros((4, 3)), np.zeros((0, 3), int), r'faces have shape \(0, 3\)'),
        (np.zeros((4, 3)), [[0, 1, 4]], 'faces name vertices 0 to 4, expected 0 to 3'),
        (np.full((4, 3), np.nan), [[0, 1, 2]], '4 of 4 vertices are not finite'),
    ],
)
def test_bad_meshes_are_refused(vertices: np.ndarray, faces: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Surface(vertices, faces)


def test_samples_lie_on_the_surface_by_area(rng: np.random.Generator) -> None:
    mesh = trimesh.creation.box(extents=(0.02, 0.1, 0.3))
    points = Surface(mesh.vertices, mesh.faces).sample(2000, rng)
    _, distance, triangle = trimesh.proximity.closest_point_naive(mesh, points)
    assert distance.max() < 1e-12
    shares = np.bincount(triangle, minlength=12) / 2000
    # Four standard deviations of a share of 2000 points.
    np.testing.assert_allclose(shares, mesh.area_faces / mesh.area, atol=4 * np.sqrt(0.25 / 2000))
    # Uniform within a triangle: each corner's weight has mean 1/3 and mean square 1/6.
    weights = Surface(np.eye(3), [[0, 1, 2]]).sample(20000, rng)
    np.testing.assert_allclose(weights.mean(0), 1 / 3, atol=0.01)
    np.testing.assert_allclose((weights**2).mean(0), 1 / 6, atol=0.01)


def test_the_same_seed_gives_the_same_samples() -> None:
    first, again, other = (ball(0.05).sample(600, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_collapsed_prediction_still_has_samples(rng: np.random.Generator) -> None:
    point = Surface(np.full((3, 3), 0.1), [[0, 1, 2]]).sample(10, rng)
    np.testing.assert_allclose(point, 0.1)


def test_contact_by_distance_by_depth_and_unknown_in_an_open_mesh() -> None:
    mesh = trimesh.creation.box(extents=(0.1, 0.1, 0.1))
    held = Surface(mesh.vertices, mesh.faces)
    lid_off = Surface(held.vertices, held.faces[1:])
    near, far, deep = np.array([[0, 0, 0.0535]]), np.array([[0, 0, 0.0545]]), np.array([[0.0, 0, 0]])
    assert held.touches(near) is True and lid_off.touches(near) is True
    assert held.touches(far) is False and held.touches(far, within=0.005) is True
    assert held.touches(deep) is True
    assert lid_off.touches(far) is None and lid_off.touches(deep) is None
