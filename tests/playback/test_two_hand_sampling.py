# SPDX-License-Identifier: Apache-2.0
"""`python -m hoi_ros.sample`, with a denoiser that needs no training."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import trimesh

from hoi_ros.hand.model import HandModel
from hoi_ros.playback import two_hand_sampling
from hoi_ros.playback.hand_files import HandFileError
from hoi_ros.playback.hand_files import read_hand
from hoi_ros.playback.two_hand_sampling import main
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from hoi_ros.stages.parts.sample_request import HandSamples
from hoi_ros.stages.parts.sample_request import SampleRequest
from hoi_ros.stages.parts.two_hand_sampler import TwoHandSampler
from hoi_ros.stages.parts.two_hand_samples import SampleMaker


def halved(**inputs: np.ndarray) -> dict[str, np.ndarray]:
    """A denoiser to which hands near the mean are likelier."""
    return {'clean': 0.5 * inputs['noisy']}


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> dict[str, HandModel]:
    right = HandModel.load()
    models = {'right': right, 'left': right.mirrored()}
    mean, deviation = np.zeros(64, np.float32), np.full(64, 0.1, np.float32)
    mean[55:] = [-1, 0, 0, 0, 1, 0, 0, 0, 0.12]
    sampler = TwoHandSampler(halved, PairWhitening(mean, deviation, mean, deviation), right, 0)
    maker = SampleMaker(sampler, models, {'beside': [0.0, 2.0]}, lambda: pytest.fail('no object was given'))

    class Stage:
        def __init__(self, *_: object, steps: int | None) -> None:
            self.steps = steps or 3

        def hand_model(self, side: str) -> HandModel:
            return models[side]

        def sample(self, request: SampleRequest, progress: Any) -> HandSamples | None:
            return maker(request, self.steps, None, progress)

    monkeypatch.setattr(two_hand_sampling, 'TwoHandPriorStage', Stage)
    return models


def test_samples_are_written_with_a_sheet(
    hands: dict[str, HandModel], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, sheet = tmp_path / 'new' / 'samples.npz', tmp_path / 'sheet.png'
    assert main(['--count', '3', '--seed', '7', '--out', str(out), '--sheet', str(sheet)]) == 0
    samples = dict(np.load(out))
    for side in ('right', 'left'):
        expected = {'vertices': (1159, 3), 'joints': (21, 3), 'pose': (48,), 'shape': (10,), 'translation': (3,)}
        for name, shape in expected.items():
            assert samples[f'{side}_{name}'].shape == (3, *shape)
        assert np.array_equal(samples[f'{side}_faces'], hands[side].faces)
        posed = hands[side].forward(*(samples[f'{side}_{name}'] for name in ('pose', 'shape', 'translation')))
        assert np.allclose(posed.vertices, samples[f'{side}_vertices'], atol=1e-5)
    assert samples['penetration'].shape == (3,) and (samples['score'] > 0).all()
    assert cv2.imread(str(sheet)).std() > 10
    shown = capsys.readouterr()
    assert '3/3' in shown.err and '3 pairs of hands' in shown.out
    assert main(['--count', '2', '--seed', '7', '--out', str(out)]) == 0
    assert np.allclose(np.load(out)['left_joints'], samples['left_joints'][:2], atol=1e-4)


def test_an_anchor_is_a_hand_of_a_results_file(
    hands: dict[str, HandModel], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    posed = hands['left'].forward(np.full(48, 0.1, np.float32), np.zeros(10, np.float32), np.float32([0.1, 0, 0.6]))
    lines, joints = tmp_path / 'results.jsonl', np.asarray(posed.keypoints)
    record = {'side': 'left', 'score': 0.8, 'joints': joints.tolist()}
    lines.write_text('\n'.join(json.dumps({'hands': each}) for each in ([], [record | {'score': 0.2}, record])))
    assert np.abs(read_hand(lines, hands.__getitem__).joints - joints).max() < 2e-3
    out = tmp_path / 'samples.npz'
    assert main(['--count', '1', '--out', str(out), '--anchor', str(lines)]) == 0
    assert np.abs(np.load(out)['left_joints'] - joints).max() < 2e-3

    for content, reason in (
        ('{"hands": []}', 'holds no hand'),
        ('x', 'no JSON'),
        (json.dumps(record | {'joints': (1000 * joints).tolist()}), 'millimetres'),
        (json.dumps(record | {'joints': [[0, 0, 0]]}), '21 finite joints'),
        (json.dumps(record | {'side': 'both'}), "the side of the hand is 'both'"),
        (json.dumps(record | {'score': None}), 'the score of a hand is None'),
    ):
        lines.write_text(content)
        assert main(['--count', '1', '--out', str(out), '--anchor', str(lines)]) == 2
        assert reason in capsys.readouterr().err
    with pytest.raises(HandFileError, match='cannot be read'):
        read_hand(tmp_path / 'absent.json', hands.__getitem__)


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        (['--count', '0'], '--count is 0'),
        (['--count', '1', '--steps', '300'], '--steps is 300'),
        (['--count', '1', '--guidance', 'nan'], 'guidance is nan'),
        (['--count', '1', '--object', 'absent.obj'], 'no such file'),
    ],
)
def test_command_lines_that_cannot_be_carried_out_are_refused(
    hands: dict[str, HandModel],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    reason: str,
) -> None:
    # tyro shows the errors of the configuration itself, and ends.
    with pytest.raises(SystemExit, match='2'):
        sys.exit(main([*arguments, '--out', str(tmp_path / 'samples.npz')]))
    assert reason in capsys.readouterr().err
    assert not (tmp_path / 'samples.npz').exists()


def test_the_pose_of_an_object_is_that_beside_the_anchor(
    hands: dict[str, HandModel], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    posed = hands['left'].forward(np.zeros(48, np.float32), np.zeros(10, np.float32), np.float32([0, 0, 0.6]))
    record = {'side': 'left', 'score': 0.8, 'joints': np.asarray(posed.keypoints).tolist()}
    lines, mesh = tmp_path / 'results.jsonl', tmp_path / 'box.ply'
    lines.write_text(json.dumps({'hands': [record]}))
    trimesh.creation.box((0.06, 0.06, 0.1)).export(mesh)
    given = ['--count', '1', '--out', str(tmp_path / 'samples.npz')]
    beside = [*given, '--anchor', str(lines), '--object', str(mesh)]
    for arguments, reason in (
        (beside, 'm away from the object, expected at most 0.3 m'),
        # Of what is refused, the place comes before the network, which takes no objects here.
        ([*beside, '--object-pose', *['0', '0', '0.6', '0', '0', '0', '1']], 'the network takes no objects'),
    ):
        assert main(arguments) == 2
        assert reason in capsys.readouterr().err
    for arguments, reason in (
        ([*beside, '--object-pose', *['0', '0', '0.6', '0', '0', '0', '2']], 'the quaternion of --object-pose'),
        ([*given, '--object-pose', *['0', '0', '0.6', '0', '0', '0', '1']], 'give its mesh with --object'),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert reason in ' '.join(capsys.readouterr().err.split())
