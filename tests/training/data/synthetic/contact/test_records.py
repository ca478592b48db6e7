# SPDX-License-Identifier: Apache-2.0
"""Records repeat, hold their object, lie on the mesh that the stream gives again, and fill a pool."""

import functools
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.surface import Surface
from training.data import pool
from training.data.synthetic.contact import CONTACT_DTYPE
from training.data.synthetic.contact import ContactGrasps
from training.data.synthetic.contact.labels import TOUCHED
from training.data.synthetic.grasps import GraspGenerator

COUNT = 8


@pytest.fixture(scope='module')
def stream() -> ContactGrasps:
    return ContactGrasps(seed=5, split='test')


@pytest.fixture(scope='module')
def records(stream: ContactGrasps) -> np.ndarray:
    return np.array([stream[index] for index in range(COUNT)])


def test_records_are_those_of_the_default_hand(stream: ContactGrasps, records: np.ndarray) -> None:
    assert stream.dtype == records.dtype == CONTACT_DTYPE
    np.testing.assert_array_equal(records['index'], np.arange(COUNT))
    for field in ('hand_contact', 'object_contact'):
        assert ((records[field] >= 0) & (records[field] <= 1)).all()


def test_the_same_index_gives_the_same_record_and_splits_differ(records: np.ndarray) -> None:
    again = ContactGrasps(seed=5, split='test')
    assert again[7].tobytes() == records[7].tobytes()
    for seed, split in ((5, 'validation'), (6, 'test')):
        assert not np.array_equal(ContactGrasps(seed, split)[7]['pose'], records[7]['pose'])


def test_every_hand_holds_its_object(stream: ContactGrasps, records: np.ndarray) -> None:
    hand = HandModel.load()
    for record in records:
        vertices = hand.forward(record['pose'], record['shape'], record['translation']).vertices
        mesh = Surface(*stream.mesh(int(record['index'])))
        assert mesh.distances(record['object_points']).max() < 1e-5
        np.testing.assert_allclose(np.linalg.norm(record['object_normals'], axis=1), 1, rtol=1e-5)
        near = (mesh.distances(vertices) <= TOUCHING) | mesh.contains(vertices)
        touched = record['hand_contact'] >= TOUCHED
        assert touched[near].mean() > 0.8
        far = mesh.distances(vertices) > 3 * TOUCHING
        assert not (touched & far & ~near).any()
        assert (record['object_contact'] >= TOUCHED).any()


def test_leaving_out_hands_before_their_grasp_changes_no_grasp() -> None:
    hand = HandModel.load()
    usual, only = (GraspGenerator(hand, seed=5, pregrasps=share) for share in (0.5, 0.0))
    kept = [(grasp, only[index]) for index in range(6) if not (grasp := usual[index]).pregrasp]
    assert 0 < len(kept) < 6
    for first, second in kept:
        np.testing.assert_array_equal(first.pose, second.pose)
        np.testing.assert_array_equal(first.vertices, second.vertices)


def test_a_pool_holds_the_records(tmp_path: Path, records: np.ndarray) -> None:
    make = functools.partial(ContactGrasps, 5, 'test')
    key = pool.generator_key(5, 'test', modules=['training.data.synthetic.contact.records'])
    filled = pool.filled(make, CONTACT_DTYPE, tmp_path / 'contact.pool', key, 1)
    assert filled.tobytes() == records[:1].tobytes()
