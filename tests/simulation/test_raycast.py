# SPDX-License-Identifier: Apache-2.0
"""Rendered depth against what geometry says."""

import numpy as np
import trimesh

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.simulation.raycast import Raycaster

CAMERA = Pinhole(160, 120, 150.0, 148.0, 81.2, 58.7)


def rays() -> np.ndarray:
    """(H, W, 3) directions of the pixels with z = 1."""
    columns, rows = np.meshgrid(np.arange(160), np.arange(120))
    return CAMERA.unproject(np.stack([columns, rows], -1), np.ones((120, 160)))


def test_a_plane_is_as_deep_as_its_equation_says() -> None:
    normal, level = np.array([0.4, -0.2, -1.0]) / np.linalg.norm([0.4, -0.2, -1.0]), -0.7
    across = np.cross(normal, [0, 1, 0])
    corners = [
        normal * level + 9 * (a * across + b * np.cross(normal, across))
        for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    hits = Raycaster(np.array(corners), np.array([[0, 1, 2], [0, 2, 3]])).look(CAMERA)
    np.testing.assert_allclose(hits.depth, level / (rays() @ normal), rtol=1e-5)
    np.testing.assert_allclose(np.abs(hits.normals @ normal), 1, atol=1e-5)
    assert set(np.unique(hits.triangles)) == {0, 1}


def test_a_sphere_is_as_deep_as_its_equation_says_and_nothing_is_beside_it() -> None:
    centre, radius = np.array([0.05, -0.03, 0.6]), 0.12
    ball = trimesh.creation.icosphere(5, radius)
    hits = Raycaster(ball.vertices + centre, ball.faces).look(CAMERA)
    a, b = (rays() ** 2).sum(-1), rays() @ centre
    root = b**2 - a * (centre @ centre - radius**2)
    aside = np.linalg.norm(np.cross(rays(), centre), axis=-1) / np.sqrt(a)
    well_inside, outside = aside < 0.95 * radius, aside > radius
    np.testing.assert_allclose(hits.depth[well_inside], ((b - np.sqrt(np.abs(root))) / a)[well_inside], atol=2e-4)
    surface = rays() * hits.depth[..., None] - centre
    cosines = (surface * hits.normals).sum(-1)[well_inside] / radius
    assert well_inside.sum() > 2000 and (cosines > 0.99).all()
    assert (hits.depth[outside] == 0).all() and (hits.triangles[outside] == -1).all()


def test_a_hand_is_as_deep_as_each_of_its_triangles_says() -> None:
    hand = HandModel.load()
    vertices = hand.forward(np.zeros(48), np.zeros(10), np.array([-0.02, -0.1, 0.45])).vertices
    hits = Raycaster(vertices, hand.faces).look(CAMERA)
    on_hand = np.argwhere(hits.depth > 0)
    pixels = np.concatenate([on_hand[:: len(on_hand) // 150], [[0, 0], [119, 159]]])

    a, b, c = vertices[hand.faces].swapaxes(0, 1)
    normals = np.cross(b - a, c - a)
    for row, column in pixels:
        ray = rays()[row, column]
        facing = np.abs(normals @ ray) > 1e-12
        depths = (normals * a).sum(1)[facing] / (normals @ ray)[facing]
        weights = trimesh.triangles.points_to_barycentric(np.stack([a, b, c], 1)[facing], depths[:, None] * ray)
        met = (weights > -1e-6).all(1) & (depths > 0)
        if not met.any():
            assert hits.depth[row, column] == 0 and hits.triangles[row, column] == -1
            continue
        nearest = np.flatnonzero(met)[depths[met].argmin()]
        np.testing.assert_allclose(hits.depth[row, column], depths[nearest], atol=1e-5)
        triangle = hits.triangles[row, column]
        assert set(hand.faces[triangle]) & set(hand.faces[np.flatnonzero(facing)[nearest]])
        expected = normals[triangle] / np.linalg.norm(normals[triangle])
        np.testing.assert_allclose(hits.normals[row, column], expected, atol=1e-3)
