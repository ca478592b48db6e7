# SPDX-License-Identifier: Apache-2.0
"""ContactOpt's perturbed hands: true hand, thermal map and perturbed hand of each sample."""

from __future__ import annotations

import builtins
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hoi_ros.hand import HandModel
from tests.training.data.public.contact_miniatures import Held
from tests.training.data.public.contact_miniatures import held_object
from tests.training.data.public.contact_miniatures import write_contactopt
from training.data.public import contactopt
from training.data.public.contactopt import ContactOpt
from training.data.public.dataset_files import DatasetError

NAME = 'perturbed_contactpose_test.pkl'
OFFSET = np.array([0.03, -0.02, 0.01])


@pytest.fixture(scope='module')
def held(hand: HandModel) -> Held:
    return held_object(hand)


@pytest.fixture
def root(held: Held, tmp_path: Path) -> Path:
    write_contactopt(tmp_path / NAME, held, OFFSET)
    contactopt._samples.cache_clear()
    return tmp_path


def test_a_sample_has_a_true_and_a_perturbed_hand(root: Path, held: Held, hand: HandModel) -> None:
    stream = ContactOpt(root)
    assert len(stream) == 2
    for index in range(2):
        record = stream[index]
        assert record['index'] == index
        truth = hand.forward(record['pose'], record['shape'], record['translation']).keypoints
        assert np.linalg.norm(truth - held.keypoints, axis=1).mean() < 0.002
        noisy = stream.perturbed(index)
        # The record's shape serves the perturbed hand, too.
        moved = hand.forward(noisy.pose, record['shape'], noisy.translation).keypoints
        np.testing.assert_allclose(moved - truth, np.tile((index + 1) * OFFSET, (21, 1)), atol=0.001)
        np.testing.assert_allclose(stream.mesh(index).vertices, held.mesh.vertices, atol=1e-6)
        np.testing.assert_array_equal(stream.mesh(index).faces, held.mesh.faces)
        assert record['object_contact'].min() >= 0.05 and 0.01 < (record['object_contact'] >= 0.4).mean() < 0.9
        assert (record['hand_contact'] >= 0.4).sum() > 5


def test_a_stream_is_picklable_and_ends(root: Path) -> None:
    stream = ContactOpt(root)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stream))[1], stream[1])
    with pytest.raises(IndexError, match='there are 2'):
        stream[2]


class Asks:
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return builtins.open, ('marker', 'w')


FAULTS: list[tuple[Callable[[Path], Any], str]] = [
    (Path.unlink, 'no such file. Make the files with contactopt/create_dataset_contactpose.py'),
    (lambda path: path.write_bytes(path.read_bytes()[:-60]), 'not a readable pickle'),
    (lambda path: path.write_bytes(pickle.dumps({})), 'holds a dict, expected a list'),
    (lambda path: path.write_bytes(pickle.dumps([{'ho_aug': 1}])), 'sample 0 has no ho_gt of HandObject'),
    (lambda path: path.write_bytes(pickle.dumps([{'ho_gt': {'hand_joints': 1}}])), 'sample 0 has no ho_gt'),
    (lambda path: path.write_bytes(path.read_bytes().replace(b'hand_joints', b'hand_joined')), 'lacks hand_joints'),
    (lambda path: path.write_bytes(pickle.dumps([Asks()])), 'refused, and nothing run: it asks for .*open'),
]


@pytest.mark.parametrize(('spoil', 'message'), FAULTS, ids=[message for _, message in FAULTS])
def test_a_fault_names_the_file_and_the_mend(
    root: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], Any], message: str
) -> None:
    monkeypatch.chdir(root)
    spoil(root / NAME)
    with pytest.raises(DatasetError, match=message) as raised:
        ContactOpt(root)[0]
    assert str(raised.value).startswith(str(root / NAME)) and 'facebookresearch/contactopt' in str(raised.value)
    assert not Path('marker').exists()
