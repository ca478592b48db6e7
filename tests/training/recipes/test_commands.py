# SPDX-License-Identifier: Apache-2.0
"""`python -m training`: every command says what it takes, and a wrong one what there is."""

import runpy
import sys
from pathlib import Path

import pytest

from training import __main__ as commands


def test_training_depth_pose_explains_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, 'argv', ['training', 'train', 'depth_pose', '--help'])
    monkeypatch.delitem(sys.modules, 'training.__main__')
    with pytest.raises(SystemExit) as ended:
        runpy.run_module('training', run_name='__main__')
    said = capsys.readouterr().out
    assert ended.value.code == 0
    for option in ('--network', '--pool', '--loop.steps', '--loop.minutes', 'the network that ships', 'metres'):
        assert option in said


@pytest.mark.parametrize(
    ('command', 'option'),
    [
        (('train', 'hand_finder'), '--loop.learning-rate'),
        (('export', 'depth_pose'), '--'),
        (('export', 'hand_finder'), '--'),
        (('evaluate', 'depth_pose'), '--frames'),
        (('train', 'reconstruction'), '--network.iterations'),
        (('evaluate', 'reconstruction'), '--ablation'),
        (('train', 'reconstruction_score'), '--weights'),
        (('evaluate', 'reconstruction_score'), '--split'),
        (('evaluate', 'score'), '--card'),
    ],
)
def test_every_command_explains_itself(
    command: tuple[str, str], option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, 'argv', ['training', *command, '--help'])
    with pytest.raises(SystemExit) as ended:
        commands.main()
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert option in said and f'python -m training {" ".join(command)}' in said


@pytest.mark.parametrize('arguments', [[], ['train'], ['train', 'juggling'], ['fly', 'depth_pose']])
def test_a_wrong_command_lists_the_right_ones(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'argv', ['training', *arguments])
    with pytest.raises(SystemExit, match='python -m training train depth_pose'):
        commands.main()


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (('train', 'reconstruction', '--data', 'dexycb', '--root', 'nowhere'), 'nowhere: no such folder.*dex-ycb'),
        (('evaluate', 'reconstruction', '--weights', 'nowhere/weights.pt'), 'nowhere/weights.pt'),
        (('evaluate', 'reconstruction', '--weights', '.'), 'card.yaml'),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['training', *arguments])
    with pytest.raises(SystemExit, match=f'^error: .*{said}'):
        commands.main()
