# SPDX-License-Identifier: Apache-2.0
"""Queries of a cube of side 2 against its geometry."""

import subprocess
import sys

import numpy as np
import pytest
import trimesh

from hoi_ros.mesh.raycast import TriangleScene

X = np.array([1.0, 0, 0])
BELOW = np.array([-3, 0.2, 0.3])
"""A point two sides before the face x = −1; off the diagonals of the faces."""


@pytest.fixture(scope='module')
def cube() -> TriangleScene:
    mesh = trimesh.creation.box(extents=(2, 2, 2))
    return TriangleScene(mesh.vertices, mesh.faces)


def test_the_first_hit_is_the_near_face_and_its_weights_give_the_point(cube: TriangleScene) -> None:
    hits = cube.cast(BELOW, np.stack([2 * X, -X]))
    np.testing.assert_allclose(hits.reach, [1, np.inf])
    np.testing.assert_allclose(hits.normals[0], -X)
    mesh = trimesh.creation.box(extents=(2, 2, 2))
    np.testing.assert_allclose(hits.weights[0] @ mesh.triangles[hits.triangles[0]], BELOW + 2 * X, atol=1e-6)
    assert hits.triangles[1] == -1


def test_a_ray_crosses_both_faces(cube: TriangleScene) -> None:
    rays, triangles = cube.crossings(np.stack([BELOW, BELOW + 9]), np.stack([X, X]))
    assert rays.tolist() == [0, 0] and len(set(triangles.tolist())) == 2


def test_occlusion_counts_between_near_and_far(cube: TriangleScene) -> None:
    assert cube.occluded(BELOW, X[None], 0, 5).all()
    assert not cube.occluded(BELOW, X[None], 0, 1.9).any()
    assert not cube.occluded(BELOW, X[None], 4.1, np.inf).any()


def test_distance_nearest_point_and_inside(cube: TriangleScene) -> None:
    points = np.stack([BELOW, [0.5, 0, 0]])
    np.testing.assert_allclose(cube.distances(points), [2, 0.5])
    nearest, normals = cube.nearest(points)
    np.testing.assert_allclose(nearest, [[-1, 0.2, 0.3], [1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(normals, [-X, X], atol=1e-6)
    assert cube.inside(points).tolist() == [False, True]


def test_meshes_are_imported_without_open3d_and_trimesh() -> None:
    modules = ', '.join(f'hoi_ros.mesh.{name}' for name in ('closing', 'contact', 'normals', 'raycast', 'volumes'))
    code = f"import sys, {modules}; assert not {{'open3d', 'trimesh'}} & set(sys.modules)"
    subprocess.run([sys.executable, '-c', code], check=True)
