# SPDX-License-Identifier: Apache-2.0
"""The gap between points and a ball."""

import numpy as np
import pytest
import trimesh

from hoi_ros.mesh.contact import depth
from hoi_ros.mesh.contact import surface_gap
from hoi_ros.mesh.contact import touched
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.contact import triangle_distances
from hoi_ros.mesh.contact import winding
from hoi_ros.mesh.surface import Surface


@pytest.mark.parametrize('away', [0.03, 0.004, -0.006])
def test_the_gap_is_the_least_signed_distance(away: float) -> None:
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.04)
    rng = np.random.default_rng(3)
    points = rng.normal(size=(400, 3))
    points *= (0.04 + away + np.abs(rng.normal(0, 0.01, (400, 1)))) / np.linalg.norm(points, axis=1, keepdims=True)
    points[0] = [0, 0, 0.04 + away]
    gap = surface_gap(points, ball.vertices, ball.faces)
    assert gap == pytest.approx((np.linalg.norm(points, axis=1) - 0.04).min(), abs=5e-4)


def test_the_gap_of_distant_surfaces_is_their_distance() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.04)
    points = np.array([[0, 0, 0.54], [0, 0.3, 0.6]])
    assert surface_gap(points, ball.vertices, ball.faces) == pytest.approx(0.5, abs=1e-3)


def folded_ball(rng: np.random.Generator) -> trimesh.Trimesh:
    """A closed mesh with folds: every vertex of a ball is moved by several lengths of an edge."""
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.04)
    return trimesh.Trimesh(ball.vertices + rng.normal(0, 0.006, ball.vertices.shape), ball.faces, process=False)


def test_the_gap_is_exact_beside_long_triangles() -> None:
    can = trimesh.creation.cylinder(0.033, 0.12, sections=48)
    rng = np.random.default_rng(3)
    for _ in range(6):
        cloud = trimesh.creation.icosphere(subdivisions=2, radius=0.02).vertices + rng.normal(0, 0.003, (162, 3))
        cloud = cloud + [0.06, 0, rng.uniform(-0.06, 0.06)]
        expected = min(triangle_distances(point[None], np.array(can.triangles)).min() for point in cloud)
        assert surface_gap(cloud, np.array(can.vertices), np.array(can.faces)) == pytest.approx(expected, abs=1e-6)


def test_a_triangle_without_area_is_a_line() -> None:
    line = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])
    assert triangle_distances(np.array([0.5, 0.5, 0.5]), line) == pytest.approx(0.5**0.5)


def test_folds_of_the_mesh_do_not_change_the_gap() -> None:
    rng = np.random.default_rng(5)
    for _ in range(4):
        mesh = folded_ball(rng)
        surface = Surface(mesh.vertices, mesh.faces)
        points = rng.uniform(-0.06, 0.06, (300, 3))
        inside = surface.contains(points)
        distance = surface.distances(points)
        gap = surface_gap(points, mesh.vertices, mesh.faces)
        assert gap == pytest.approx(-distance[inside].max(), abs=1e-3)
        outside = surface_gap(points[~inside], mesh.vertices, mesh.faces)
        assert outside == pytest.approx(distance[~inside].min(), abs=1e-3)
        assert ((winding(points, mesh.vertices, mesh.faces) != 0) == inside).mean() > 0.99


def test_a_mesh_winds_once_around_a_point_inside_whichever_way_it_lies() -> None:
    for extents in ([0.02, 0.05, 0.09], [0.09, 0.02, 0.05], [0.05, 0.09, 0.02]):
        box = trimesh.creation.box(extents)
        points = np.array([[0.001, 0.002, 0.003], [0.2, 0, 0.001], [0.001, 0.002, -0.06]])
        assert winding(points, box.vertices, box.faces).tolist() == [1, 0, 0]
        assert winding(points, box.vertices, box.faces[:, ::-1]).tolist() == [-1, 0, 0]


def test_a_ray_through_an_edge_or_a_corner_of_the_mesh_meets_one_triangle() -> None:
    ball = trimesh.creation.uv_sphere(radius=0.05, count=[16, 16])
    places = np.linspace(-0.045, 0.045, 19)
    points = np.stack(np.meshgrid(places, places, places), -1).reshape(-1, 3)
    distance = np.linalg.norm(points, axis=1)
    clear = np.abs(distance - 0.05) > 0.002
    assert (winding(points, ball.vertices, ball.faces) == (distance < 0.05))[clear].all()


def test_the_depth_is_exact_in_long_triangles() -> None:
    box = trimesh.creation.box([0.02, 0.05, 0.3])
    points = np.array([[0.004, 0.001, 0.07], [0.008, 0.0, 0.0], [0.0, 0.1, 0.0]])
    assert surface_gap(points, box.vertices, box.faces) == pytest.approx(-0.006, abs=1e-9)
    assert depth(points, box.vertices, box.faces) == pytest.approx(0.006, abs=1e-9)
    assert depth(points[2:], box.vertices, box.faces) == depth(points[:0], box.vertices, box.faces) == 0


def test_points_touch_inside_and_within_four_millimetres() -> None:
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.04)
    rng = np.random.default_rng(7)
    points = rng.normal(size=(600, 3))
    distance = rng.uniform(0, 0.06, len(points))
    points *= (distance / np.linalg.norm(points, axis=1))[:, None]
    clear = np.abs(distance - 0.04 - TOUCHING) > 2e-4
    found = touched(points, ball.vertices, ball.faces)
    np.testing.assert_array_equal(found[clear], (distance <= 0.04 + TOUCHING)[clear])
    assert not touched(points + 1, ball.vertices, ball.faces).any()
