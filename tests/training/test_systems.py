# SPDX-License-Identifier: Apache-2.0
"""`python -m training`: the commands of the systems' entries, their help and their errors."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from training import __main__ as program
from training.systems import Command
from training.systems import commands
from training.systems import SYSTEMS
from training.systems import TrainingSystem


@pytest.mark.parametrize(
    ('command', 'option'),
    [
        (('train', 'depth_pose'), '--loop.minutes'),
        (('train', 'hand_finder'), '--loop.learning-rate'),
        (('train', 'reconstruction'), '--network.iterations'),
        (('train', 'reconstruction_score'), '--weights'),
        (('train', 'rgb_detector'), '--first'),
        (('export', 'depth_pose'), '--weights'),
        (('export', 'hand_finder'), '--weights'),
        (('export', 'reconstruction'), '--models'),
        (('export', 'rgb_detector'), '--models'),
        (('evaluate', 'depth_pose'), '--frames'),
        (('evaluate', 'depth_pose_score'), '--split'),
        (('evaluate', 'depth_pose_surface'), '--depth-scale'),
        (('evaluate', 'reconstruction'), '--data'),
        (('evaluate', 'reconstruction_score'), '--split'),
        (('evaluate', 'reconstruction_claims'), '--min-confidence'),
        (('evaluate', 'reconstruction_stage'), '--out'),
        (('evaluate', 'reconstruction_video'), '--overlays'),
        (('evaluate', 'rgb_detector'), '--out'),
        (('ablate', 'reconstruction'), '--budget.rows'),
        (('calibrate', 'depth_pose_score'), '--frames'),
        (('calibrate', 'depth_pose_figures'), '--figures'),
        (('calibrate', 'rgb_detector'), '--frames'),
        (('calibrate', 'reconstruction_score'), '--models'),
        (('calibrate', 'reconstruction_claims'), '--checked'),
        (('calibrate', 'reconstruction_joints'), '--models'),
    ],
)
def test_every_command_prints_its_options(
    command: tuple[str, str], option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, 'argv', ['training', *command, '--help'])
    with pytest.raises(SystemExit) as ended:
        program.main()
    printed = capsys.readouterr().out
    assert ended.value.code == 0
    assert option in printed and f'python -m training {" ".join(command)}' in printed


def test_every_command_has_a_test_of_its_options() -> None:
    tested = {arguments for arguments, _ in test_every_command_prints_its_options.pytestmark[0].args[1]}
    assert tested == commands().keys()


def test_the_list_of_commands_imports_no_pytorch() -> None:
    script = "import runpy, sys; sys.argv = ['training', '--help']; runpy.run_module('training', run_name='__main__')"
    script += "; assert not {'torch', 'scipy', 'cv2'} & sys.modules.keys()"
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('python -m training') == len(commands())


def test_a_verb_lists_its_own_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, 'argv', ['training', 'ablate', '--help'])
    monkeypatch.delitem(sys.modules, 'training.__main__')
    runpy.run_module('training', run_name='__main__')
    printed = capsys.readouterr().out
    assert 'python -m training ablate reconstruction' in printed and 'train depth_pose' not in printed


@pytest.mark.parametrize('arguments', [[], ['train'], ['train', 'juggling'], ['fly', 'depth_pose']])
def test_a_wrong_command_lists_the_right_ones(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'argv', ['training', *arguments])
    with pytest.raises(SystemExit, match='python -m training train depth_pose'):
        program.main()


@pytest.mark.parametrize(
    ('arguments', 'error'),
    [
        (('train', 'reconstruction', '--data', 'dexycb', '--root', 'nowhere'), 'nowhere: no such folder.*dex-ycb'),
        (('evaluate', 'reconstruction', '--weights', 'nowhere/weights.pt'), 'nowhere/weights.pt'),
        (('evaluate', 'reconstruction', '--weights', '.'), 'card.yaml'),
    ],
)
def test_a_missing_input_is_one_line(
    arguments: tuple[str, ...], error: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['training', *arguments])
    with pytest.raises(SystemExit, match=f'^error: .*{error}'):
        program.main()


def test_two_systems_cannot_share_a_command() -> None:
    other = TrainingSystem('other', {('train', 'depth_pose'): Command('nowhere', 'Config', 'train')})
    with pytest.raises(ValueError, match='other repeats the command train depth_pose'):
        commands((*SYSTEMS, other))


def test_evaluation_writes_no_model() -> None:
    folder = Path(program.__file__).parent / 'evaluation'
    for path in folder.glob('*.py'):
        source = path.read_text()
        for call in ('.save(', 'torch.save', 'export_onnx', 'np.save', 'dataclasses.replace(card'):
            assert call not in source, f'{path.name} calls {call}'
