# SPDX-License-Identifier: Apache-2.0
"""Two hands on an object: they repeat, touch it, and neither they nor their arms go through anything."""

import pickle
from collections.abc import Callable

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import parameters_of
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.stages.parts.object_points import object_points_of
from training.data.synthetic.objects import ObjectShape
from training.data.synthetic.two_hands.object_pairs import DEEPEST
from training.data.synthetic.two_hands.object_pairs import KINDS
from training.data.synthetic.two_hands.object_pairs import ObjectPairs
from training.data.synthetic.two_hands.reach import Body
from training.data.synthetic.two_hands.reach import forearm_meets
from training.data.synthetic.two_hands.records import OBJECT_PAIR_DTYPE
from training.data.synthetic.two_hands.shared_objects import LARGE
from training.data.synthetic.two_hands.shared_objects import shared_object

INDICES = (3, 5, 6)
WindingNumbers = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@pytest.fixture(scope='module')
def stream() -> ObjectPairs:
    return ObjectPairs(seed=1, split='validation')


@pytest.fixture(scope='module')
def records(stream: ObjectPairs) -> list[tuple[np.ndarray, ObjectShape]]:
    return [stream.with_mesh(index) for index in INDICES]


def test_the_same_index_gives_the_same_record_and_splits_differ(
    stream: ObjectPairs, records: list[tuple[np.ndarray, ObjectShape]]
) -> None:
    again = pickle.loads(pickle.dumps(stream))[INDICES[2]]
    assert again.dtype == OBJECT_PAIR_DTYPE
    assert again.tobytes() == records[2][0].tobytes()
    assert not np.array_equal(ObjectPairs(1, 'train')[INDICES[2]]['right'], again['right'])
    with pytest.raises(KeyError):
        ObjectPairs(split='held_out')


def test_hands_touch_the_object_and_penetrate_nothing(
    records: list[tuple[np.ndarray, ObjectShape]], winding_numbers: WindingNumbers
) -> None:
    right = HandModel.load()

    def depth(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> float:
        near = points[((points > vertices.min(0)) & (points < vertices.max(0))).all(1)]
        inside = near[winding_numbers(vertices, faces, near) > 0.5] if len(near) else near
        return float(_distances(inside, vertices, faces).max(initial=0))

    for record, thing in records:
        hands = {}
        solid = thing.vertices, thing.faces
        for model in (right, right.mirrored()):
            vertices = model.forward(*parameters_of(model, record[model.side])).vertices
            hands[model.side] = vertices, model.faces
            entering = depth(vertices, *solid)
            assert max(entering, depth(record['object_points'], vertices, model.faces)) <= DEEPEST + 1e-5
            if KINDS[record['kind']] != 'approached':
                nearest = np.argsort(cKDTree(record['object_points']).query(vertices)[0])[:80]
                assert entering > 0 or _distances(vertices[nearest], *solid).min() <= TOUCHING
        between = max(depth(hands['right'][0], *hands['left']), depth(hands['left'][0], *hands['right']))
        assert between == pytest.approx(record['penetration'], abs=1e-5)


def test_points_are_those_of_the_robot_about_the_middle_of_the_box(
    records: list[tuple[np.ndarray, ObjectShape]],
) -> None:
    for record, thing in records:
        surface = object_points_of(thing.vertices, thing.faces)
        np.testing.assert_allclose(surface.origin, 0, atol=1e-6)
        np.testing.assert_allclose(record['object_points'], surface.points, atol=1e-5)
        np.testing.assert_allclose(record['object_normals'], surface.normals, atol=1e-5)
        assert _distances(record['object_points'][::8], thing.vertices, thing.faces).max() < 1e-5


def test_an_arm_reaches_what_is_before_the_body_and_not_from_beyond_it() -> None:
    body = Body(np.eye(3), np.array([0, 0.4, -0.3]))
    palm_down, towards_chest = np.diag([-1.0, 1, -1]), np.diag([1.0, -1, -1])
    before, far = np.array([0.15, 0, 0]), np.array([0.15, 0.5, 0])
    _, possible = body.elbows(np.stack([palm_down, towards_chest, palm_down]), np.stack([before, before, far]))
    assert possible.any(1).tolist() == [True, False, False]
    elbow = np.array([0.2, -0.25, 0])
    assert forearm_meets(np.array([[0.18, -0.12, 0]]), before, elbow)
    assert not forearm_meets(np.array([[0.15, 0.1, 0], [0.3, -0.12, 0]]), before, elbow)


@pytest.mark.parametrize('family', LARGE)
def test_large_objects_are_solid(family: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(3):
        thing = shared_object(rng, family)
        mesh = trimesh.Trimesh(thing.vertices, thing.faces, process=False)
        assert mesh.is_watertight
        assert mesh.volume > 0
        assert 0.1 < thing.extents.max() < 0.56


def _distances(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(N,) distances of points (N, 3) to a mesh, by trimesh."""
    triangles = vertices[faces].astype(float)
    pairs = np.repeat(points, len(triangles), 0), np.tile(triangles, (len(points), 1, 1))
    if not len(points):
        return np.zeros(0)
    nearest = trimesh.triangles.closest_point(pairs[1], pairs[0])
    return np.linalg.norm(nearest - pairs[0], axis=1).reshape(len(points), -1).min(1)
