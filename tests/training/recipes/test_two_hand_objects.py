# SPDX-License-Identifier: Apache-2.0
"""The two-hand prior on objects: what is drawn, a training, and its encoder on the robot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hoi_ros.hand.pair import about_anchor
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import rotation_of
from hoi_ros.hand.pair import with_root
from hoi_ros.stages.parts.object_points import box_mesh
from hoi_ros.stages.parts.object_points import grouped
from hoi_ros.stages.parts.object_points import object_points_of
from hoi_ros.stages.parts.object_points import UNIT
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from hoi_ros.stages.parts.two_hand_object import ObjectEmbedding
from training.data.synthetic.two_hands.records import OBJECT_PAIR_DTYPE
from training.export.two_hand_prior import export
from training.export.two_hand_prior import TwoHandPriorExport
from training.loop.fitting import LoopConfig
from training.networks.two_hand_prior.choice import start_from
from training.networks.two_hand_prior.choice import with_objects
from training.networks.two_hand_prior.generation import PairGenerator
from training.recipes.two_hand_objects import hands_about_objects
from training.recipes.two_hand_objects import ObjectPairDraws
from training.recipes.two_hand_objects import SAMPLES
from training.recipes.two_hand_objects import without_objects
from training.recipes.two_hand_prior import ShareError
from training.recipes.two_hand_prior import train
from training.recipes.two_hand_prior import TwoHandPriorRecipe


@pytest.fixture(scope='module')
def records() -> np.ndarray:
    rng = np.random.default_rng(0)
    records = np.zeros(6, OBJECT_PAIR_DTYPE)
    records['index'] = np.arange(len(records))
    for side in ('right', 'left'):
        hands = rng.standard_normal((len(records), 64))
        records[side] = with_root(hands, rotation_of(hands), 0.1 * hands[:, PLACE])
    points = 0.05 * rng.standard_normal(records['object_points'].shape)
    records['object_points'] = points - (points.min(1, keepdims=True) + points.max(1, keepdims=True)) / 2
    return records


def whitening_of(records: np.ndarray) -> PairWhitening:
    return PairWhitening.of(without_objects(records)['right'], hands_about_objects(records))


def apart(hands: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distances of the points from the wrists."""
    return np.linalg.norm(points - hands[:, None, PLACE], axis=-1)


def test_drawn_hands_keep_their_places_at_the_object(records: np.ndarray) -> None:
    whitening = whitening_of(records)
    right, left, held = ObjectPairDraws(lambda: records, whitening, 40, 3)(7)
    right, left = (whitening.unwhiten(hands.numpy(), True)[::SAMPLES] for hands in (right, left))
    points = held.points.numpy() * UNIT
    assert held.number.tolist() == [number for number in range(40) for _ in range(SAMPLES)]
    found = np.concatenate([apart(right, points), apart(left, points)], 1)
    known = [apart(records[side], records['object_points']) for side in ('right', 'left')]
    known = np.concatenate([np.concatenate(known, 1), np.concatenate(known[::-1], 1)])
    error = np.abs(found[:, None] - known).max(2)
    assert error.min(1).max() < 1e-5 and 8 < (error.argmin(1) < len(records)).sum() < 32
    assert np.abs((points.min(1) + points.max(1)) / 2).max() < 1e-6
    assert apart(right, np.zeros((40, 1, 3))).std() > 0 and np.unique(points.round(4), axis=0).shape[0] == 40
    assert all(np.array_equal(part, wanted) for part, wanted in zip(held[2:], grouped(points)))


def test_only_new_objects_are_grouped(records: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    some = [records[:3]]
    draws = ObjectPairDraws(lambda: some[0], whitening_of(records), 4, 0, 0.0)
    counts = []

    def counting(points: np.ndarray) -> tuple[np.ndarray, ...]:
        counts.append(len(points))
        return grouped(points)

    monkeypatch.setattr('training.recipes.two_hand_objects.grouped', counting)
    for those in (records[:5], records[:5], records[[0, 5, 2]]):
        some[0] = those
        draws.read()
        held = draws(1)[2]
        assert all(np.array_equal(part, wanted) for part, wanted in zip(held[2:], grouped(held.points.numpy())))
    assert counts == [2, 2]


def test_hands_without_their_object_are_about_the_left_wrist(records: np.ndarray) -> None:
    pairs = without_objects(records)
    np.testing.assert_allclose(pairs['right'], about_anchor(records['right'], records['left']), atol=1e-6)
    assert not pairs['left'][:, PLACE].any() and np.array_equal(pairs['index'], records['index'])


def test_a_training_with_objects_ends_in_hands_on_an_object(records: np.ndarray, tmp_path: Path) -> None:
    pool = tmp_path / 'pairs.pool'
    for stem, some in (('pairs', without_objects(records)), ('pairs_objects', records)):
        for name in (stem, f'{stem}_validation'):
            some.tofile(pool.with_stem(name))
            np.ones(len(some), np.int32).tofile(pool.with_stem(name).with_suffix('.counts'))
    loop = LoopConfig(tmp_path / 'run', steps=2, batch=40, averaging=0.5, threads=1)
    figures = train(TwoHandPriorRecipe(pool=pool, as_it_is=True, objects=0.1, loop=loop))
    assert set(figures) == {'alone', 'beside', 'alone_on_object', 'beside_on_object'}
    assert np.isfinite(list(figures.values())).all()

    weights = tmp_path / 'run' / 'weights.pt'
    generator, thing = PairGenerator.load(weights), box_mesh(np.array([0.1, 0.2, 0.05]))
    feature = generator.feature(object_points_of(*thing).points)
    pairs = generator.generate(2, 0, 2, held=feature)
    assert np.isfinite(pairs.right).all() and pairs.left[:, PLACE].any() and pairs.left.shape == (2, 64)
    again = with_objects('small')
    start_from(again, weights)
    encoder = generator.encoder.state_dict()
    assert all(torch.equal(part, encoder[name]) for name, part in again.encoder.state_dict().items())

    card = export(TwoHandPriorExport(weights=weights, models=tmp_path / 'none'))
    robots = ObjectEmbedding(card, tmp_path / 'run' / 'models', 'openvino', 1)(*thing).feature
    for found, wanted in zip(robots, feature):
        np.testing.assert_allclose(found, wanted, atol=0.01 * np.abs(wanted).max())


def test_objects_are_a_share_of_a_batch() -> None:
    with pytest.raises(ShareError, match='--objects 1: expected a share of 0 to less than 1'):
        train(TwoHandPriorRecipe(objects=1.0))
