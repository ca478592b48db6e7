# SPDX-License-Identifier: Apache-2.0
"""Neighbourhoods and spirals on meshes of known topology."""

import numpy as np
import trimesh

from training.networks.mesh_graph import neighbours
from training.networks.mesh_graph import spirals


def test_neighbours_are_the_normalised_adjacency_of_the_edges() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=2)
    index, weight = neighbours(np.asarray(sphere.faces), len(sphere.vertices))
    dense = np.zeros((len(index),) * 2)
    np.add.at(dense, (np.arange(len(index))[:, None], index), weight)
    linked = np.eye(len(index))
    linked[sphere.edges[:, 0], sphere.edges[:, 1]] = 1
    root = np.sqrt(linked.sum(1))
    np.testing.assert_allclose(dense, linked / root / root[:, None], atol=1e-12)


def test_spirals_wind_counter_clockwise_ring_by_ring() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=3)
    rows = spirals(np.asarray(sphere.faces), len(sphere.vertices), 19)
    for vertex, row in enumerate(rows):
        ring = sphere.vertex_neighbors[vertex]
        assert row[0] == vertex and set(row[1 : 1 + len(ring)]) == set(ring) and row[1] == min(ring)
        assert len(set(row)) == 19
        normal = sphere.vertices[vertex]
        for first, second in (
            (row[1 : len(ring)], row[2 : 1 + len(ring)]),
            (row[len(ring) + 1 : -1], row[len(ring) + 2 :]),
        ):
            turn = np.cross(sphere.vertices[first] - normal, sphere.vertices[second] - normal) @ normal
            assert (turn > 0).all()


def test_spirals_of_a_small_mesh_are_padded_with_their_vertex() -> None:
    rows = spirals(np.array([[0, 1, 2]]), 4, 5)
    assert rows.tolist() == [[0, 1, 2, 0, 0], [1, 2, 0, 1, 1], [2, 0, 1, 2, 2], [3, 3, 3, 3, 3]]
