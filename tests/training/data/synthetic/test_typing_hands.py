# SPDX-License-Identifier: Apache-2.0
"""Typing hands lie side by side on one desk, palms down, the keys between them and it."""

import dataclasses

import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import FINGERTIPS
from training.data.synthetic.desk import add_desk_below
from training.data.synthetic.dressing import Dresser
from training.data.synthetic.handling import worn_up
from training.data.synthetic.rgb_config import scenes_of
from training.data.synthetic.rgb_scenes import RgbScenes
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scene_parts import Parts
from training.data.synthetic.scenes import SceneGenerator
from training.data.synthetic.typing_hands import place_typing
from training.data.synthetic.vectors import unit

CAMERA = Pinhole(640, 480, 500.0, 500.0, 319.5, 239.5)


@pytest.mark.parametrize('worn', [False, True])
def test_both_hands_lie_on_the_desk_with_the_keys_below_the_fingers(worn: bool) -> None:
    found, keyboards = 0, 0
    for index in range(40):
        rng = np.random.default_rng(index)
        pair, up = place_typing(HandModel.load(), CAMERA, (0.3, 0.7), worn_up(rng) if worn else None, rng)
        if not pair:
            continue
        found += 1
        hands = {one.hand.side: one.hand for one in pair}
        assert set(hands) == {'right', 'left'} and up @ unit(-np.mean([h.centre for h in hands.values()], 0)) > 0.15
        ahead = np.zeros(3)
        for side, hand in hands.items():
            wrist, first, middle, little = hand.keypoints[[0, 5, 9, 17]].astype(float)
            back = np.cross(little - wrist, first - wrist) * (1 if side == 'right' else -1)
            assert unit(back) @ up > 0.6
            ahead += unit(middle - wrist)
        across = np.cross(unit(ahead), up)
        assert (hands['right'].centre - hands['left'].centre) @ across > 0.05
        lowest = [(hand.vertices @ up).min() for hand in hands.values()]
        assert np.ptp(lowest) < 0.031
        parts = Parts()
        add_desk_below(parts, list(hands.values()), up, rng)
        vertices = parts.joined()[0].astype(float)
        assert vertices[-4:] @ up == pytest.approx((vertices[-1] @ up) * np.ones(4), abs=1e-3)
        assert vertices[-1] @ up < min(lowest) + 1e-4
        if len(vertices) > 4:
            keyboards += 1
            keys = vertices[:-12]
            near = keys[np.abs(keys @ up - min(lowest)) < 0.004]
            for hand in hands.values():
                gaps = near - hand.keypoints[list(FINGERTIPS[1:])].mean(0)
                gaps -= (gaps @ up)[:, None] * up
                assert np.linalg.norm(gaps, axis=1).min() < 0.035
    assert found > 20 and 0.6 < keyboards / found < 1


def test_depth_scenes_show_typing_hands_above_their_desk() -> None:
    config = SceneConfig(handling=1.0, typing=1.0, clutter=0, wall=0, table=0)
    scenes, found = SceneGenerator(HandModel.load(), config, 0), 0
    for index in range(10):
        scene = scenes[index]
        if len(scene.hands) == 2 and {hand.side for hand in scene.hands} == {'right', 'left'}:
            view = scene.look(scene.camera.scaled(160, 120))
            found += scene.visible_share(0, view) + scene.visible_share(1, view) > 0.5
            assert scene.held == (None, None)
    assert found >= 6


def test_images_show_typing_hands() -> None:
    config = dataclasses.replace(scenes_of('typing'), width=160, height=120, visible=0.3, samples=2)
    for frame in map(RgbScenes(None, 1, config=config).frame, range(3)):
        assert {hand.side for hand in frame.hands} == {'right', 'left'} and min(frame.visible) >= 0.3
        assert {0, 1} <= set(np.unique(frame.view.owners))


def test_typing_hands_are_those_of_one_person(monkeypatch: pytest.MonkeyPatch) -> None:
    dressed = []
    monkeypatch.setattr(Dresser, 'add', lambda self, surfaces, placed, people: dressed.append(people))
    config = dataclasses.replace(scenes_of('typing'), width=96, height=72, visible=0.0, samples=1)
    scenes = RgbScenes(None, 2, config=config)
    for index in range(8):
        scenes.frame(index)
    assert len(dressed) >= 8 and all(first is second for first, second in dressed)
