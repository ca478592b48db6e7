# SPDX-License-Identifier: Apache-2.0
"""Two hands on one thing: both touch or nearly touch it, it is there once, and a wearer's arms come from the wearer."""

import dataclasses

import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.raycast import TriangleScene
from training.data.synthetic.grasps import GraspGenerator
from training.data.synthetic.handling import wearer_elbow
from training.data.synthetic.handling import worn_up
from training.data.synthetic.rgb_config import scenes_of
from training.data.synthetic.rgb_scenes import RgbScenes
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scene_parts import HELD
from training.data.synthetic.scenes import SceneGenerator
from training.data.synthetic.shared_holds import SharedHolds
from training.data.synthetic.vectors import unit

CAMERA = Pinhole(640, 480, 500.0, 500.0, 319.5, 239.5)


@pytest.fixture(scope='module')
def holds() -> SharedHolds:
    return SharedHolds(HandModel.load(), 0, 'train')


@pytest.mark.parametrize('worn', [False, True])
def test_both_hands_are_at_the_thing_before_the_camera(holds: SharedHolds, worn: bool) -> None:
    sides, towards = [], []
    for index in range(0, 24 * 5, 4):
        rng = np.random.default_rng(index)
        up = worn_up(rng)
        pair = holds.place(index, CAMERA, (0.3, 0.7), up if worn else None, rng)
        if not pair:
            continue
        assert pair[0].held is pair[1].held and {one.hand.side for one in pair} == {'right', 'left'}
        thing = TriangleScene(pair[0].held.placed, pair[0].held.faces)
        gaps = [thing.distances(one.hand.vertices).min() for one in pair]
        assert min(gaps) < 0.004 and max(gaps) < 0.12
        for one, gap in zip(pair, gaps):
            assert one.contact.any() == (gap < 0.004)
            again = HandModel.load() if one.hand.side == 'right' else HandModel.load().mirrored()
            made = again.forward(one.hand.pose, one.hand.shape, one.hand.translation)
            np.testing.assert_allclose(made.vertices, one.hand.vertices, atol=2e-5)
        sides.append(pair[0].hand.side)
        arms = np.mean([one.hand.keypoints[0] - one.hand.keypoints[9] for one in pair], 0)
        elbow = wearer_elbow(up, 0.0, rng) - np.mean([one.hand.centre for one in pair], 0)
        towards.append(unit(arms) @ unit(elbow))
    assert len(sides) >= 6 and set(sides) == {'right', 'left'}
    assert np.median(towards) > 0.6 if worn else np.median(towards) < 0.4


def test_the_thing_of_two_hands_is_in_the_scene_once() -> None:
    config = SceneConfig(hands=(0, 0, 1), handling=1.0, shared=1.0, clutter=0, table=0, wall=0)
    scenes, found = SceneGenerator(HandModel.load(), config, 0), 0
    for index in range(12):
        scene = scenes[index]
        if len(scene.hands) == 2 and scene.held[0] is scene.held[1]:
            found += 1
            assert (scene.owners == HELD).sum() == len(scene.held[0].faces) and not (scene.owners == HELD - 1).any()
    assert found >= 6


def test_images_show_two_hands_on_one_thing() -> None:
    config = dataclasses.replace(scenes_of('shared'), width=160, height=120, visible=0.3, samples=2)
    hand = HandModel.load()
    for frame in map(RgbScenes(GraspGenerator(hand, 0), 1, config=config, model=hand).frame, range(3)):
        first, second = frame.hands
        assert first.held is second.held and first.side != second.side
        assert {0, 1} <= set(np.unique(frame.view.owners)) and not (frame.view.owners == HELD - 1).any()
