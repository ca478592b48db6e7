# SPDX-License-Identifier: Apache-2.0
"""Scenes of hands that handle things: what is held touches the hand, and cameras of both kinds see it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.raycast import TriangleScene
from training.data.synthetic import scenes as scenes_module
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scene_parts import HELD
from training.data.synthetic.scenes import Scene
from training.data.synthetic.scenes import SceneGenerator

HANDLING = SceneConfig(hands=(0.0, 0.6, 0.4), handling=1.0)


@pytest.fixture(scope='module')
def scenes() -> list[Scene]:
    generator = SceneGenerator(HandModel.load(), HANDLING, seed=4)
    return [generator[index] for index in range(0, 216, 12)]


def test_held_objects_lie_at_their_hand_and_own_their_pixels(scenes: list[Scene]) -> None:
    gaps, seen = [], 0
    for scene in scenes:
        view = scene.look(scene.camera.scaled(160, 120))
        for number, (hand, held) in enumerate(zip(scene.hands, scene.held, strict=True)):
            if held is not None:
                nearest, _ = TriangleScene(held.placed, held.faces).nearest(hand.vertices)
                gaps.append(np.linalg.norm(hand.vertices - nearest, axis=1).min())
                seen += (view.owners == HELD - number).any()
    assert len(gaps) >= 10
    assert np.mean(np.array(gaps) < 0.004) > 0.6  # the others are about to grasp
    assert max(gaps) < 0.2
    assert seen >= 0.7 * len(gaps)


def test_hands_and_what_they_hold_stay_apart_from_each_other(scenes: list[Scene]) -> None:
    pairs = [scene for scene in scenes if len(scene.hands) == 2]
    assert len(pairs) >= 3
    for scene in pairs:
        first, second = (
            np.concatenate([hand.vertices, held.placed]) if held else hand.vertices
            for hand, held in zip(scene.hands, scene.held, strict=True)
        )
        assert cKDTree(first).query(second)[0].min() > 0.009


def test_a_scene_is_the_same_whenever_it_is_generated(scenes: list[Scene]) -> None:
    again = SceneGenerator(HandModel.load(), HANDLING, seed=4)
    for number in (5, 2):
        assert np.array_equal(again[12 * number].vertices, scenes[number].vertices)


def test_held_out_families_are_held_in_their_own_split_alone() -> None:
    names = {
        split: {
            held.name
            for index in range(0, 120, 24)
            for held in SceneGenerator(HandModel.load(), HANDLING, 1, split)[index].held
            if held is not None
        }
        for split in ('test', 'held_out')
    }
    assert names['test'] and names['held_out']
    assert not names['test'] & names['held_out']


def test_without_handling_the_scenes_do_not_depend_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes_module, 'HandlingHands', None)
    free = SceneGenerator(HandModel.load(), SceneConfig(hands=(0, 1, 0)), seed=4)[0]
    assert free.held == (None,)
