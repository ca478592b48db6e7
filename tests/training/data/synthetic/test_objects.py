# SPDX-License-Identifier: Apache-2.0
"""Objects: closed, facing outwards, of household sizes, hollow where they should be, and varied."""

from collections.abc import Callable

import numpy as np
import pytest
import trimesh

from training.data.synthetic.objects import FAMILIES
from training.data.synthetic.objects import HELD_OUT
from training.data.synthetic.objects import ObjectShape
from training.data.synthetic.objects import sample_object

EVERY = (*FAMILIES, *HELD_OUT)
WindingNumbers = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def made(family: str, count: int = 12) -> list[ObjectShape]:
    return [sample_object(np.random.default_rng([seed, 17]), [family]) for seed in range(count)]


def as_mesh(shape: ObjectShape) -> trimesh.Trimesh:
    return trimesh.Trimesh(shape.vertices, shape.faces, process=False)


@pytest.mark.parametrize('family', EVERY)
def test_meshes_are_closed_single_and_face_outwards(family: str) -> None:
    for shape in made(family):
        mesh = as_mesh(shape)
        assert shape.family == family and shape.vertices.dtype == np.float32 and shape.faces.dtype == np.int32
        assert mesh.is_watertight and mesh.is_winding_consistent and mesh.body_count == 1
        assert mesh.volume > 2e-6 and mesh.area_faces.min() > 0
        assert len(shape.faces) <= 3000
        np.testing.assert_allclose(shape.vertices.min(0), -shape.vertices.max(0), atol=1e-6)


@pytest.mark.parametrize('family', EVERY)
def test_no_part_of_a_mesh_runs_through_another(family: str, winding_numbers: WindingNumbers) -> None:
    for shape in made(family, 5):
        points = np.random.default_rng(1).uniform(-0.52, 0.52, (200, 3)) * shape.extents
        turns = winding_numbers(shape.vertices, shape.faces, points)
        assert 0.01 < (turns > 0.5).mean() < 0.99
        np.testing.assert_allclose(turns, np.round(turns), atol=1e-3)
        assert set(np.round(turns)) == {0, 1}


@pytest.mark.parametrize('family', EVERY)
def test_sizes_are_those_of_a_household_and_vary(family: str) -> None:
    sides = np.sort([shape.extents for shape in made(family, 40)], axis=1)
    assert sides.min() > 0.008 and sides.max() < 0.33
    assert (sides[:, 0] < 0.1).all()
    assert (sides.std(0) > 0.08 * sides.mean(0)).all()
    assert len(np.unique(sides[:, 2].round(5))) == 40


def test_fingers_fit_through_the_handle_of_a_mug(winding_numbers: WindingNumbers) -> None:
    for shape in made('mug'):
        assert as_mesh(shape).euler_number == 0
        # The handle is at +x: the ray through its opening crosses a gap wider than a fingertip.
        x = np.linspace(0, shape.vertices[:, 0].max(), 80)
        solid = winding_numbers(shape.vertices, shape.faces, np.stack([x, 0 * x, 0 * x], 1)) > 0.5
        walls = np.flatnonzero(np.diff(solid.astype(int)))
        gaps = np.diff(x[walls])
        assert solid[-2] or solid[-3]
        assert gaps[1::2].max() > 0.012


@pytest.mark.parametrize('family', ['mug', 'bowl'])
def test_mugs_and_bowls_are_hollow(family: str, winding_numbers: WindingNumbers) -> None:
    for shape in made(family):
        mesh = as_mesh(shape)
        assert mesh.volume < 0.6 * mesh.convex_hull.volume
        inside = np.array([[0, 0, 0.2 * shape.extents[2]]])
        assert winding_numbers(shape.vertices, shape.faces, inside)[0] < 0.5


def test_held_out_families_are_never_drawn_for_training() -> None:
    assert len(FAMILIES) >= 8 and len(HELD_OUT) == 2 and not set(FAMILIES) & set(HELD_OUT)
    rng = np.random.default_rng(0)
    assert {sample_object(rng).family for _ in range(150)} == set(FAMILIES)


def test_the_same_stream_makes_the_same_object() -> None:
    for family in EVERY:
        first, again = (sample_object(np.random.default_rng(8), [family]) for _ in range(2))
        np.testing.assert_array_equal(first.vertices, again.vertices)
        np.testing.assert_array_equal(first.faces, again.faces)
    with pytest.raises(KeyError, match='sofa'):
        sample_object(np.random.default_rng(0), ['sofa'])
