# SPDX-License-Identifier: Apache-2.0
"""Points of an object in its own frame, their groups against brute force, and objects that are refused."""

import numpy as np
import pytest
import trimesh

from hoi_ros.stages.parts.object_points import box_mesh
from hoi_ros.stages.parts.object_points import COUNT
from hoi_ros.stages.parts.object_points import grouped
from hoi_ros.stages.parts.object_points import LEVELS
from hoi_ros.stages.parts.object_points import object_points_of
from hoi_ros.stages.parts.object_points import ObjectError

VERTICES, FACES = box_mesh(np.array([0.3, 0.2, 0.1]))


def test_a_box_is_solid_and_its_points_are_about_its_middle() -> None:
    solid = trimesh.Trimesh(VERTICES, FACES, process=False)
    assert solid.is_watertight
    assert solid.volume == pytest.approx(0.006)
    surface = object_points_of(VERTICES + [1, 2, 3], FACES)
    np.testing.assert_allclose(surface.origin, [1, 2, 3])
    assert surface.points.shape == surface.normals.shape == (COUNT, 3)
    np.testing.assert_allclose(surface.points, object_points_of(VERTICES, FACES).points, atol=1e-6)
    half = np.array([0.15, 0.1, 0.05])
    np.testing.assert_allclose((np.abs(surface.points) / half).max(1), 1, atol=1e-5)
    assert (np.einsum('ij,ij->i', surface.points, surface.normals) > 0.04).all()


def test_an_open_surface_has_points() -> None:
    assert np.isfinite(object_points_of(VERTICES, FACES[:7]).points).all()


def test_groups_are_those_of_brute_force() -> None:
    points = np.random.default_rng(0).normal(size=(3, COUNT, 3)) * [[[0.1]], [[1.0]], [[30.0]]]
    groups = grouped(points)
    for item, cloud in enumerate(points):
        size = np.linalg.norm(cloud - cloud.mean(0), axis=1).max()
        parts = (groups.centres, groups.neighbours), (groups.coarse_centres, groups.coarse_neighbours)
        for (count, most, share), (centres, neighbours) in zip(LEVELS, parts, strict=True):
            chosen = centres[item]
            far = np.linalg.norm(cloud[:, None] - cloud[chosen], axis=-1)
            assert len(set(chosen)) == count
            for number in range(1, count):
                assert far[:, :number].min(1).argmax() == chosen[number]
            for number in range(count):
                order = np.argsort(far[:, number])[:most]
                expected = np.where(far[order, number] <= share * size, order, chosen[number])
                np.testing.assert_array_equal(neighbours[item, number], expected)
            cloud = cloud[chosen]


@pytest.mark.parametrize(
    ('vertices', 'faces', 'words'),
    [
        (np.zeros((0, 3)), FACES, 'shape'),
        (VERTICES, np.zeros((0, 3), int), 'shape'),
        (VERTICES[:, :2], FACES, 'shape'),
        (VERTICES, FACES.astype(float), 'whole numbers'),
        (VERTICES, FACES + 1, 'count vertices from 0'),
        (VERTICES * np.nan, FACES, 'not finite'),
        (VERTICES * 1000, FACES, 'millimetres'),
        (VERTICES / 1000, FACES, 'at least 0.005 m'),
        (VERTICES * [1, 0, 0], FACES, 'no area'),
    ],
)
def test_other_objects_are_refused(vertices: np.ndarray, faces: np.ndarray, words: str) -> None:
    with pytest.raises(ObjectError, match=words):
        object_points_of(vertices, faces)


@pytest.mark.parametrize('size', [[0.1, 0.1], [0.1, 0.1, -0.1], [0.1, np.nan, 0.1], [300, 200, 100], [1e-4] * 3])
def test_other_boxes_are_refused(size: list[float]) -> None:
    with pytest.raises(ObjectError):
        box_mesh(np.array(size))
