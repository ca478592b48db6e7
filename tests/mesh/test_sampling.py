# SPDX-License-Identifier: Apache-2.0
"""Even points: on the surface, as many on equal areas, the same on a moved mesh, whatever the triangles are like."""

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hoi_ros.mesh.sampling import even_places
from hoi_ros.mesh.surface import Surface

COUNT = 2048


@pytest.fixture(scope='module', params=['sphere', 'box', 'needle'])
def mesh(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    made = {
        'sphere': trimesh.creation.icosphere(3, 0.05),
        'box': trimesh.creation.box((0.05, 0.1, 0.2)),
        'needle': trimesh.creation.cylinder(0.001, 0.3),
    }[request.param]
    return np.asarray(made.vertices), np.asarray(made.faces)


def test_places_are_on_their_triangles_with_their_outward_normals(mesh: tuple[np.ndarray, np.ndarray]) -> None:
    vertices, faces = mesh
    places = even_places(vertices, faces, COUNT)
    points, normals = places.points(vertices, faces), places.normals(vertices, faces)
    assert places.weights.min() >= 0
    np.testing.assert_allclose(places.weights.sum(1), 1)
    assert Surface(vertices, faces).distances(points).max() < 1e-6
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    assert Surface(vertices, faces).contains(points - 1e-4 * normals).all()
    assert not Surface(vertices, faces).contains(points + 1e-4 * normals).any()


def test_places_cover_the_surface_better_than_chance(mesh: tuple[np.ndarray, np.ndarray]) -> None:
    vertices, faces = mesh
    surface, rng = Surface(vertices, faces), np.random.default_rng(0)
    everywhere = surface.sample(20 * COUNT, rng)
    even, chance = (
        cKDTree(points).query(everywhere)[0]
        for points in (even_places(vertices, faces, COUNT).points(vertices, faces), surface.sample(COUNT, rng))
    )
    assert even.max() < 0.95 * chance.max()
    assert even.mean() < 0.98 * chance.mean()


def test_equal_areas_hold_equally_many_places() -> None:
    mesh = trimesh.creation.icosphere(3, 0.05)
    points = even_places(mesh.vertices, mesh.faces, COUNT).points(mesh.vertices, mesh.faces)
    for direction in Rotation.random(20, 0).apply([0, 0, 1]):
        assert abs((points @ direction > 0.025).mean() - 0.25) < 0.006


def test_places_move_with_the_mesh() -> None:
    mesh = trimesh.creation.icosphere(2, 0.05)
    places = even_places(mesh.vertices, mesh.faces, 300)
    turn = Rotation.from_euler('xyz', [0.3, -0.4, 2.0]).as_matrix().T
    moved = mesh.vertices @ turn + [0.1, 0, 0.5]
    points, normals = places.points(mesh.vertices, mesh.faces), places.normals(mesh.vertices, mesh.faces)
    np.testing.assert_allclose(places.points(moved, mesh.faces), points @ turn + [0.1, 0, 0.5], atol=1e-12)
    np.testing.assert_allclose(places.normals(moved, mesh.faces), normals @ turn, atol=1e-9)
    both = places.points(np.stack([mesh.vertices, moved]), mesh.faces)
    np.testing.assert_allclose(both[1], places.points(moved, mesh.faces))


def test_triangles_without_area_hold_no_place() -> None:
    mesh = trimesh.creation.box((0.05, 0.1, 0.2))
    faces = np.concatenate([[[0, 0, 1], [2, 2, 2]], mesh.faces, [[3, 4, 3]]])
    places = even_places(mesh.vertices, faces, 100)
    assert ((places.triangles >= 2) & (places.triangles < 14)).all()
    np.testing.assert_allclose(np.linalg.norm(places.normals(mesh.vertices, faces), axis=1), 1)


@pytest.mark.parametrize(
    ('vertices', 'faces', 'message'),
    [
        (np.zeros((3, 3)), np.array([[0, 1, 2]]), 'a mesh of 3 vertices and 1 triangles has no area'),
        (np.eye(3), np.zeros((0, 3), int), 'a mesh of 3 vertices and 0 triangles has no area'),
        (np.eye(3) * [1, 1, np.nan], np.array([[0, 1, 2]]), '1 of 1 triangles have corners that are not finite'),
    ],
)
def test_a_mesh_without_area_is_refused(vertices: np.ndarray, faces: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        even_places(vertices, faces, 10)


def test_tiny_and_huge_meshes_are_alike() -> None:
    mesh = trimesh.creation.icosphere(2)
    usual = even_places(mesh.vertices, mesh.faces, 500)
    for scale in (1e-9, 1e6):
        scaled = even_places(mesh.vertices * scale, mesh.faces, 500)
        assert (scaled.triangles == usual.triangles).mean() > 0.99
        np.testing.assert_allclose(
            np.linalg.norm(scaled.normals(mesh.vertices * scale, mesh.faces), axis=1), 1, rtol=1e-6
        )


def test_a_million_triangles_share_the_places_evenly() -> None:
    mesh = trimesh.creation.icosphere(8)
    places = even_places(mesh.vertices, mesh.faces, COUNT)
    octants = (places.points(mesh.vertices, mesh.faces) > 0) @ (1, 2, 4)
    assert np.abs(np.bincount(octants, minlength=8) / COUNT * 8 - 1).max() < 0.05
