# SPDX-License-Identifier: Apache-2.0
"""The models of the two-hand prior that are installed, in the stage and in the command."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import trimesh

from hoi_ros.engines import ModelFileError
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import parameters_of
from hoi_ros.playback.two_hand_sampling import main
from hoi_ros.stages.parts.object_points import box_mesh
from hoi_ros.stages.parts.sample_request import SampleRequest
from hoi_ros.stages.parts.two_hand_object import ObjectEmbedding
from hoi_ros.stages.parts.two_hand_sampler import ObjectFeature
from hoi_ros.stages.two_hand_prior import TwoHandPriorStage

BOX = box_mesh(np.array([0.2, 0.1, 0.06]))


@pytest.fixture(scope='module')
def stage() -> TwoHandPriorStage:
    return TwoHandPriorStage(threads=1)


@pytest.mark.parametrize('held', [False, True])
def test_mirrored_anchors_give_mirrored_samples(stage: TwoHandPriorStage, held: bool) -> None:
    sampler, hand = stage._sampler, stage.hand_model('right')
    thing = turned = None
    if held:
        thing = ObjectEmbedding(stage._engine.card, None, 'auto', 1)(*BOX).feature
        turned = ObjectFeature(thing.mirrored, thing.own)
    anchor = sampler.alone(1, 7, 'left', thing)[0]
    right = sampler.beside(anchor, 3, 1, 'right', thing)
    left = mirrored(sampler.beside(mirrored(anchor), 3, 1, 'left', turned))
    one, other = (hand.forward(*parameters_of(hand, each)).vertices for each in (right, left))
    assert np.linalg.norm(one - other, axis=-1).max() < 1e-4


@pytest.mark.parametrize(
    ('change', 'fault'),
    [
        ({'parameters': {'object_width': 512}}, 'embeds objects in 128 numbers, two_hand_prior expects 512'),
        ({'training': {'command': 'train a', 'seed': 9}}, 'two_hand_prior by `train a`, seed 9'),
    ],
)
def test_an_encoder_of_another_denoiser_is_refused(
    stage: TwoHandPriorStage, change: dict[str, object], fault: str
) -> None:
    with pytest.raises(ModelFileError, match=fault):
        ObjectEmbedding(dataclasses.replace(stage._engine.card, **change), None, 'auto', 1)


def test_samples_move_with_their_object(stage: TwoHandPriorStage) -> None:
    (vertices, faces), shift = BOX, np.array([0.1, 0.2, 0.3])
    here, there = (
        stage.sample(SampleRequest(2, 3, object_vertices=each, object_faces=faces))
        for each in (vertices, vertices + shift)
    )
    for pair, moved in zip(here.hands, there.hands):
        for hand, other in zip(pair, moved):
            np.testing.assert_allclose(other.vertices, hand.vertices + shift, atol=1e-4)


def test_the_command_writes_pairs_of_hands_on_an_object(tmp_path: Path) -> None:
    trimesh.Trimesh(*BOX).export(tmp_path / 'box.ply')
    out = tmp_path / 'samples.npz'
    for held in ([], ['--object', str(tmp_path / 'box.ply')]):
        assert main(['--count', '2', '--out', str(out), *held]) == 0
        with np.load(out) as file:
            assert file['right_vertices'].shape == file['left_vertices'].shape
            assert np.isfinite(file['right_joints']).all() and ((file['score'] >= 0) & (file['score'] <= 1)).all()
