# SPDX-License-Identifier: Apache-2.0
"""Pairs of hands for the commands of `two_hand_prior`: which data, how many, and a sheet of them."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand import HandModel
from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import with_root
from tests.training.data.public.pair_miniatures import convert
from tests.training.data.public.pair_miniatures import write_arctic
from tests.training.data.public.pair_miniatures import write_interhand
from training.data.public import pair_preview
from training.data.public.arctic import Arctic
from training.data.public.dataset_files import DatasetError
from training.data.public.pair_choice import PairDataChoice
from training.data.public.pair_preview import PairPreviewConfig
from training.data.public.pair_preview import placement
from training.data.synthetic.two_hands.records import PAIR_DTYPE
from training.hand.mano import PoseSpace


@pytest.fixture(scope='module')
def root(space: PoseSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('pairs')
    convert(root / 'mano.npz', space)
    write_interhand(root / 'interhand', space)
    write_arctic(root / 'arctic', space)
    return root


def test_pairs_are_spread_over_a_split_and_know_their_number(root: Path) -> None:
    choice = PairDataChoice(data='interhand', root=root / 'interhand', hand=root / 'mano.npz')
    source = choice.recorded('train', 2)
    stream = pickle.loads(pickle.dumps(source.make))()
    assert source.size == 2 and [int(stream[place]['index']) for place in range(3)] == [0, 3, 0]
    assert choice.recorded('train', 2).key == source.key != choice.recorded('validation', 2).key
    other = dataclasses.replace(choice, data='arctic', root=root / 'arctic')
    assert isinstance(other.stream('train'), Arctic) and other.recorded('train').size == 6


def test_a_wrong_choice_says_what_to_give(root: Path) -> None:
    with pytest.raises(SystemExit, match='--data tracks needs --root'):
        PairDataChoice(data='tracks').stream('test')
    with pytest.raises(DatasetError, match='no such file. Give two_hands/leap_tracks.npz'):
        PairDataChoice(data='tracks', root=root / 'leap_tracks.npz').stream('test')
    with pytest.raises(DatasetError, match='expected one of train, validation, test'):
        PairDataChoice(data='interhand', root=root / 'interhand').stream('val')
    with pytest.raises(SystemExit, match='--data made has no end'):
        PairDataChoice().recorded('train')


def test_the_placement_is_told_along_the_fingers_out_of_the_palm_and_to_the_thumb(hand: HandModel) -> None:
    """Whatever the frame of the pair; the left thumb of the project's model is at −x, its palm faces z."""
    vectors = np.zeros((2, 64), np.float32)
    left = with_root(vectors[0], np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([0.3, 0.2, 0.1]))
    right = left.copy()
    # The left fingers point to −x of this frame: 30 mm; its palm to z: 80 mm; its thumb to −y: 10 mm.
    right[61:] += [-0.03, -0.01, 0.08]
    records = np.zeros(1, PAIR_DTYPE)
    records['right'], records['left'] = right, left
    np.testing.assert_allclose(placement(records, hand), [[0.03, 0.08, 0.01]], atol=1e-6)
    records['right'] = about_anchor(right, left)
    records['left'] = with_root(left, np.eye(3), np.zeros(3))
    np.testing.assert_allclose(placement(records, hand), [[0.03, 0.08, 0.01]], atol=1e-6)


def test_a_sheet_shows_pairs_beside_the_statistics_of_interhand(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for data in ('interhand', 'arctic'):
        out = tmp_path / f'{data}.png'
        config = PairPreviewConfig(out, 2, 1, data=data, root=root / data, hand=root / 'mano.npz')
        pair_preview.main(config)
        printed = capsys.readouterr().out
        assert out.is_file() and '1 of 2 pairs of split train' in printed and '82 ± 75' in printed
    with pytest.raises(SystemExit, match='error: .*no such folder'):
        pair_preview.main(dataclasses.replace(config, root=root / 'none'))
    with pytest.raises(SystemExit, match='error: --shown is 3'):
        pair_preview.main(dataclasses.replace(config, shown=3))
