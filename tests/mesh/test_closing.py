# SPDX-License-Identifier: Apache-2.0
"""Holes are found and filled as trimesh finds them."""

import numpy as np
import pytest
import trimesh

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.closing import is_closed
from hoi_ros.mesh.closing import OpenSurfaceError


@pytest.fixture(scope='module')
def model() -> HandModel:
    return HandModel.load()


@pytest.mark.parametrize('change', ['none', 'hole', 'flipped', 'doubled'])
@pytest.mark.parametrize('shape', ['icosphere', 'hand'])
def test_a_mesh_is_closed_where_trimesh_calls_it_a_volume(model: HandModel, shape: str, change: str) -> None:
    if shape == 'hand':
        mesh = trimesh.Trimesh(model.template, model.faces, process=False)
    else:
        mesh = trimesh.creation.icosphere(subdivisions=3)
    faces = np.array(mesh.faces)
    if change == 'hole':
        faces = faces[1:]
    if change == 'flipped':
        faces[7] = faces[7, ::-1]
    if change == 'doubled':
        faces = np.concatenate([faces, faces[:1]])
    judged = trimesh.Trimesh(mesh.vertices, faces, process=False)
    expected = judged.is_watertight and judged.is_winding_consistent
    assert is_closed(mesh.vertices, faces) == expected == (change == 'none')


def test_a_seam_is_no_hole_and_a_collapsed_sphere_is_closed() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=3)
    assert is_closed(sphere.triangles.reshape(-1, 3), np.arange(3 * len(sphere.faces)).reshape(-1, 3))
    assert is_closed(0 * sphere.vertices, sphere.faces)


def test_an_open_wrist_is_closed_by_a_flat_fan(model: HandModel) -> None:
    below = (model.template[model.faces][:, :, 1] < np.sort(model.template[:, 1])[40]).any(1)
    faces = model.faces[~below]
    assert below.sum() > 0 and not is_closed(model.template, faces)
    filled = close_holes(faces)
    assert filled.dtype == faces.dtype and is_closed(model.template, filled)
    whole = trimesh.Trimesh(model.template, model.faces, process=False).volume
    assert 0.9 < trimesh.Trimesh(model.template, filled, process=False).volume / whole < 1


def test_a_closed_mesh_keeps_its_faces(model: HandModel) -> None:
    np.testing.assert_array_equal(close_holes(model.faces), model.faces)


def test_holes_that_meet_in_a_vertex_are_refused() -> None:
    with pytest.raises(OpenSurfaceError, match='no separate rings'):
        close_holes(np.array([[0, 1, 2], [0, 3, 4]]))
