# SPDX-License-Identifier: Apache-2.0
"""A system that stands on another is run behind it, from the same images."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from hoi_ros.playback.replay import replay
from hoi_ros.playback.replay import ReplayConfig
from hoi_ros.playback.replay import tune
from hoi_ros.playback.stage_chain import first_stage
from hoi_ros.playback.stage_chain import load_pipeline
from hoi_ros.playback.stage_chain import StageChain
from hoi_ros.stages.parts.following import HandFollowing
from hoi_ros.stages.parts.sample_request import HandInteraction
from hoi_ros.systems import System
from hoi_ros.systems import SYSTEMS

from .stand_in_stages import NearestPoint


class Bare(NearestPoint):
    """A stage of depth images without objects."""


class Below(Bare):
    """A stage of depth images whose objects have one triangle."""

    object_faces = np.array([[0, 1, 2]])


class Above:
    """Moves each hand a centimetre towards the camera."""

    def __init__(self):
        self.timings, self.seen, self.resets = {}, [], 0
        self.interaction = HandInteraction(False, 'one hand')

    def hand_model(self, side):
        return Below('auto').hand_model(side)

    def warm_up(self):
        self.seen.append('warm')

    def reset(self):
        self.resets += 1

    def __call__(self, hands, object_faces, stamp):
        self.seen.append((len(hands), object_faces.tolist(), stamp))
        self.timings = {'total': 0.001}
        for hand in hands:
            hand.joints[:, 2] -= 0.01
        return hands


@pytest.fixture
def systems(monkeypatch):
    """The entry of a system that stands on one of depth images."""
    stages = {'lower': Below('auto'), 'upper': Above()}
    lower = System('lower', 'none:None', images=('depth',))
    upper = System('upper', 'none:None', images=(), stands_on='lower', outputs=('hands', 'interaction'))
    for system in (lower, upper):
        monkeypatch.setitem(SYSTEMS, system.name, system)
    monkeypatch.setattr(System, 'load_stage', lambda system, **arguments: stages[system.name])
    return SimpleNamespace(lower=lower, upper=upper, stages=stages)


def test_the_source_of_a_system_has_its_images(systems):
    assert systems.upper.source is systems.lower and systems.lower.source is systems.lower
    assert systems.upper.below == [systems.lower] and systems.lower.below == []


def test_each_stage_takes_the_hands_of_the_one_before(systems):
    chain = load_pipeline(systems.upper, backend='auto')
    assert isinstance(chain, StageChain) and load_pipeline(systems.lower) is systems.stages['lower']
    assert first_stage(chain) is systems.stages['lower'] and first_stage(Above) is Above
    chain.warm_up()
    chain.reset()
    above = systems.stages['upper']
    assert above.seen.pop(0) == 'warm' and above.resets == 1
    np.testing.assert_array_equal(chain.object_faces, [[0, 1, 2]])


def test_the_limits_of_a_chain_are_those_of_the_stage_that_finds_the_hands():
    following = HandFollowing(None, 2, 0.5, None)
    following.object_faces = Below.object_faces
    tune(StageChain(following, Above()), 0.7, 1)
    assert (following.min_score, following.max_hands) == (0.7, 1)


def test_a_stage_without_objects_gives_none(systems, tmp_path):
    chain = StageChain(Bare('auto'), systems.stages['upper'])
    assert chain.object_faces.shape == (0, 3)


def test_a_folder_of_images_is_replayed_through_both_stages(systems, tmp_path):
    depth = np.full((60, 80), 900, np.uint16)
    depth[20, 30] = 400
    (tmp_path / 'depth').mkdir()
    cv2.imwrite(str(tmp_path / 'depth' / '1.png'), depth)
    distances = []
    for name in ('lower', 'upper'):
        out = tmp_path / name
        config = ReplayConfig(depth=tmp_path / 'depth', depth_scale=0.001, fov=65.0, stage=name, out=out)
        summary = replay(config, load_pipeline(config.system))
        assert summary.with_hands == 1
        record = json.loads((out / 'results.jsonl').read_text())
        said = {'regularised': False, 'reason': 'one hand', 'left_id': 0, 'right_id': 0, 'gap': None}
        expected = said | {'intersection_before': 0.0, 'intersection_after': 0.0} if name == 'upper' else None
        assert record.get('interaction') == expected
        distances.append(record['hands'][0]['joints'][0][2])
    assert distances[0] - distances[1] == pytest.approx(0.01)
    assert systems.stages['upper'].seen[-1] == (1, [[0, 1, 2]], 0.0)
