# SPDX-License-Identifier: Apache-2.0
"""Things that no hand holds: clear of the hands, and in images of hands that would hold them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from training.data.synthetic.grasps import GraspGenerator
from training.data.synthetic.loose_things import let_go
from training.data.synthetic.loose_things import loose_thing
from training.data.synthetic.placed_hands import PlacedHand
from training.data.synthetic.placed_hands import posed_hand
from training.data.synthetic.rgb_config import RgbConfig
from training.data.synthetic.rgb_scenes import RgbScenes
from training.data.synthetic.scene_parts import THING


@pytest.fixture(scope='module')
def placed() -> PlacedHand:
    hand = posed_hand(GraspGenerator(HandModel.load(), 0)[0])
    return hand.moved(Rotation.identity(), np.array([0.0, 0.0, 0.5]), 'right')


def test_a_hand_that_lets_go_is_the_same_hand(placed: PlacedHand) -> None:
    seen = [let_go(placed, [], np.random.default_rng(seed)) for seed in range(20)]
    assert all(empty.held is None and empty.hand is placed.hand for empty, _ in seen)
    things = [thing for _, thing in seen if thing is not None]
    assert 4 < len(things) < 18
    hand = cKDTree(placed.hand.vertices)
    for thing in things:
        gap = hand.query(thing.placed)[0].min()
        assert 0.003 < gap < 0.2
        assert np.array_equal(thing.vertices, placed.held.vertices)


def test_a_thing_that_is_let_go_is_clear_of_the_other_hand(placed: PlacedHand) -> None:
    beside = placed.held.placed.mean(0) - placed.hand.centre
    shift = (0.09 * beside / np.linalg.norm(beside)).astype(np.float32)
    other = placed._replace(
        hand=dataclasses.replace(
            placed.hand, vertices=placed.hand.vertices + shift, keypoints=placed.hand.keypoints + shift
        ),
        held=None,
    )
    points, met = cKDTree(other.points), 0
    for seed in range(40):
        alone = let_go(placed, [], np.random.default_rng(seed))[1]
        met += alone is not None and points.query(alone.placed)[0].min() < 0.003
        thing = let_go(placed, [other], np.random.default_rng(seed))[1]
        assert thing is None or points.query(thing.placed)[0].min() > 0.003
    assert met


def test_loose_things_are_clear_of_hands(placed: PlacedHand) -> None:
    things = [loose_thing([placed], None, np.random.default_rng(seed)) for seed in range(12)]
    things = [thing for thing in things if thing is not None]
    assert len(things) > 6 and len({thing.name for thing in things}) > 3
    assert all(cKDTree(placed.points).query(thing.placed)[0].min() > 0.003 for thing in things)


def test_images_show_things_that_their_hands_do_not_hold() -> None:
    model = HandModel.load()
    shown = {}
    for share in (0.0, 1.0):
        config = RgbConfig(160, samples=1, free=0.0, worn=0.0, shared=0.0, typing=0.0, desk=0.0, released=share)
        frames = [RgbScenes(GraspGenerator(model, 3), 3, config=config, model=model).frame(index) for index in range(4)]
        shown[share] = [(frame.hands[0].held is not None, (frame.view.owners == THING).any()) for frame in frames]
    assert all(held for held, _ in shown[0.0]) and not any(held for held, _ in shown[1.0])
    assert any(thing for _, thing in shown[1.0])
