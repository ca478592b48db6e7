# SPDX-License-Identifier: Apache-2.0
"""`python -m training`: the commands of the systems' entries, their help and their errors."""

import dataclasses
import functools
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from training import __main__ as program
from training.systems import Command
from training.systems import commands
from training.systems import SYSTEMS
from training.systems import TrainingSystem

ROOT = Path(__file__).parents[2]
MODELS = ROOT / 'models'
DEPTH = '--depth', 'nodepth', '--camera', 'camera.yaml', '--depth-scale', '0.001'
"""A folder of depth images that does not exist."""


@pytest.mark.parametrize(
    ('command', 'option'),
    [
        (('train', 'depth_pose'), '--loop.minutes'),
        (('train', 'hand_finder'), '--loop.learning-rate'),
        (('train', 'reconstruction'), '--network.iterations'),
        (('train', 'reconstruction_score'), '--weights'),
        (('train', 'rgb_detector'), '--first'),
        (('train', 'contact'), '--gcn.neighbours'),
        (('train', 'contact_semi'), '--pseudo.filters.chamfer'),
        (('train', 'two_hand_prior'), '--capacity'),
        (('train', 'two_hand_prior_clean'), '--validation-frames'),
        (('export', 'two_hand_prior_clean'), '--weights'),
        (('train', 'two_hand_features'), '--as-it-is'),
        (('export', 'depth_pose'), '--weights'),
        (('export', 'hand_finder'), '--weights'),
        (('export', 'reconstruction'), '--models'),
        (('export', 'rgb_detector'), '--models'),
        (('export', 'contact'), '--object-points'),
        (('export', 'two_hand_prior'), '--sampling.steps'),
        (('evaluate', 'depth_pose'), '--frames'),
        (('evaluate', 'depth_pose_score'), '--split'),
        (('evaluate', 'hand_finder'), '--models'),
        (('evaluate', 'depth_pose_empty'), '--folder'),
        (('evaluate', 'depth_pose_stereo'), '--overlays'),
        (('evaluate', 'depth_pose_surface'), '--depth-scale'),
        (('evaluate', 'reconstruction'), '--data'),
        (('evaluate', 'reconstruction_photos'), '--photos'),
        (('evaluate', 'reconstruction_score'), '--split'),
        (('evaluate', 'reconstruction_claims'), '--min-confidence'),
        (('evaluate', 'reconstruction_stage'), '--out'),
        (('evaluate', 'reconstruction_stereo'), '--folder'),
        (('evaluate', 'reconstruction_video'), '--overlays'),
        (('evaluate', 'rgb_detector'), '--out'),
        (('evaluate', 'contact'), '--tuned-on'),
        (('evaluate', 'two_hand_prior'), '--evaluations'),
        (('evaluate', 'two_hand_prior_regulariser'), '--cache'),
        (('ablate', 'two_hand_prior'), '--budget.given'),
        (('evaluate', 'contact_stage'), '--budget'),
        (('ablate', 'reconstruction'), '--budget.rows'),
        (('ablate', 'contact'), '--budget.semi-steps'),
        (('calibrate', 'depth_pose_activations'), '--samples'),
        (('calibrate', 'depth_pose_score'), '--frames'),
        (('calibrate', 'depth_pose_figures'), '--figures'),
        (('calibrate', 'rgb_detector'), '--frames'),
        (('calibrate', 'reconstruction_score'), '--models'),
        (('calibrate', 'reconstruction_activations'), '--samples'),
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


@pytest.mark.parametrize(
    'arguments', [[], ['train'], ['train', 'juggling'], ['fly', 'depth_pose'], ['trian', 'hand_finder']]
)
def test_a_wrong_command_lists_the_right_ones(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'argv', ['training', *arguments])
    with pytest.raises(SystemExit, match='python -m training train depth_pose +Trains a pose network') as ended:
        program.main()
    guess = {'trian': 'train hand_finder', 'juggling': 'unknown command "train juggling"'}
    for typed, said in guess.items():
        if typed in arguments:
            assert said in str(ended.value).splitlines()[0]


def test_every_command_says_what_it_does() -> None:
    for (verb, name), command in commands().items():
        assert 15 < len(command.effect) < 200 and command.effect.endswith('.'), f'{verb} {name}: {command.effect}'


@pytest.mark.parametrize(
    ('arguments', 'error'),
    [
        (('train', 'reconstruction', '--data', 'dexycb', '--root', 'nowhere'), 'nowhere: no such folder.*dex-ycb'),
        (('evaluate', 'reconstruction', '--data', 'dexycb', '--root', 'nowhere'), 'nowhere: no such folder.*dex-ycb'),
        (('evaluate', 'reconstruction', '--weights', 'nowhere/weights.pt'), 'nowhere/weights.pt'),
        (('evaluate', 'depth_pose_surface', *DEPTH, '--models', 'nowhere'), 'nodepth'),
        (('evaluate', 'reconstruction_video', '--video', 'novideo.mp4', '--models', 'nowhere'), 'novideo.mp4'),
        (('train', 'depth_pose', '--start', 'nowhere'), '--start nowhere: no such file'),
        (('train', 'hand_finder', '--start', 'nowhere'), '--start nowhere: no such file'),
        (('train', 'reconstruction', '--start', 'nowhere.pt'), '--start nowhere.pt: no such file'),
        (('train', 'rgb_detector', '--start', 'nowhere'), '--start nowhere: no such file'),
        (('evaluate', 'reconstruction', '--weights', '.'), 'card.yaml'),
        (
            ('evaluate', 'reconstruction'),
            'runs/reconstruction/weights.pt: no such file: train first .python -m training train reconstruction., or '
            'give --weights models/reconstruction$',
        ),
        (('train', 'reconstruction_score'), 'weights.pt: no such file: train first .* train reconstruction.$'),
        (
            ('train', 'reconstruction_score', '--capacity', '64'),
            '64 samples, .* 2,048: raise --capacity, or .* --frames',
        ),
        (('evaluate', 'hand_finder', '--split', 'train'), '--split train: no such split; .* validation, test'),
        (('evaluate', 'depth_pose', '--frames', '0'), '--frames is 0, expected 1 or more'),
        (('evaluate', 'hand_finder', '--models', 'nowhere'), 'nowhere/hand_finder'),
        (('evaluate', 'depth_pose_empty', '--folder', 'nowhere'), 'nowhere: no .*_depth.png for the split validation'),
        (('evaluate', 'depth_pose_stereo', '--folder', 'nowhere'), 'nowhere: none of the stereo pairs'),
        (('train', 'rgb_detector', '--capacity', '0'), '--capacity is 0, expected 1 sample or more'),
        (('train', 'contact', '--start', 'nowhere.pt'), 'nowhere.pt: no such file: train first .* train contact.$'),
        (('evaluate', 'contact', '--grasps', '0'), '--grasps is 0, expected 1 or more'),
        (('evaluate', 'contact'), 'runs/contact/weights.pt: no such file: train first .* train contact.$'),
        (('evaluate', 'contact', '--ablation'), 'tables.json: no such file: train the rows first .* ablate contact.$'),
        (('ablate', 'contact', '--budget.rows', 'K = 9'), "unknown row 'K = 9'; the rows are 'GCN-Contact', 'PointNet"),
        (('train', 'contact_semi'), 'runs/contact/weights.pt: no such file: train first .* train contact.$'),
        (('export', 'contact'), 'runs/contact/weights.pt: no such file: train first .* train contact.$'),
        (('export', 'two_hand_prior'), 'weights.pt: no such file: train first .* train two_hand_prior.$'),
        (('train', 'two_hand_prior', '--as-it-is'), 'two_hand_prior_validation.pool: no pairs in it, .* --pool'),
        (('train', 'hand_finder', '--start', f'{MODELS}/rgb_detector'), 'holds rgb_detector; expected .* hand_finder$'),
        (('train', 'depth_pose', '--start', f'{MODELS}/hand_finder/card.yaml'), 'is a file; expected a model folder'),
        (('train', 'reconstruction', '--start', f'{MODELS}/rgb_detector'), 'holds rgb_detector; .* reconstruction$'),
        (('calibrate', 'depth_pose_figures', '--figures', f'{MODELS}/hand_finder/card.yaml'), 'is not the file of'),
    ],
)
def test_a_missing_input_is_one_line(
    arguments: tuple[str, ...], error: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['training', *arguments])
    with pytest.raises(SystemExit, match=f'^error: .*{error}'):
        program.main()


@dataclasses.dataclass(frozen=True)
class Nothing:
    """A command without options."""


def interrupted_training(config: Nothing) -> None:
    """A training of one weight that receives SIGINT in its third step."""
    import torch

    from training.loop.fitting import fit
    from training.loop.fitting import LoopConfig

    def batch(step: int) -> tuple[torch.Tensor]:
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return (torch.ones(2, 1),)

    loop = LoopConfig(Path('run'), accelerator='cpu')
    fit(torch.nn.Linear(1, 1), loop, batch, lambda forward, x: {'sum': forward(x).sum()}, lambda module: {})


def terminated_preparation(config: Nothing) -> None:
    """A command that receives SIGTERM before its training."""
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ('run', 'code', 'line'),
    [
        (interrupted_training, 130, 'stopped at step 3, minute 0.0; run the same command again to go on from run/'),
        (terminated_preparation, 143, 'stopped; run the same command again'),
    ],
)
def test_a_signal_ends_a_command_in_one_line(
    run: Callable[[Nothing], None],
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    command = SimpleNamespace(load=lambda: (Nothing, run))
    monkeypatch.setattr(program, 'commands', lambda: {('train', 'one'): command})
    monkeypatch.setattr(sys, 'argv', ['training', 'train', 'one'])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == code
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f'python -m training train one: {line}')


def test_a_stopped_command_says_what_it_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.data.pool import filled
    from training.recipes.hand_finder import HandFinderRecipe
    from training.remains import remains

    monkeypatch.chdir(tmp_path)
    options = HandFinderRecipe(pool=Path('frames.pool'))
    assert remains(options) == 'stopped; run the same command again: nothing was rendered yet'
    filled(functools.partial(range, 9), np.dtype(np.int64), Path('frames_validation.pool'), 'key', 7)
    assert remains(options).endswith(': it goes on with 7 samples in frames_validation.pool')
    options.loop.out.mkdir(parents=True)
    (options.loop.out / 'checkpoint.pt').touch()
    assert remains(options).endswith('frames_validation.pool, the checkpoint runs/hand_finder/checkpoint.pt')


@pytest.mark.parametrize(
    'command',
    [
        'training train depth_pose --help',
        'training evaluate reconstruction',
        'training.data.synthetic.depth_preview --help',
        'benchmarks --help',
    ],
)
@pytest.mark.parametrize('missing', ['torch', 'tyro', 'numpy'])
def test_a_missing_package_is_one_sentence(command: str, missing: str, tmp_path: Path) -> None:
    if missing == 'torch' and not command.startswith('training '):
        pytest.skip('this command does not load PyTorch')
    (tmp_path / f'{missing}.py').write_text(
        f'raise ModuleNotFoundError("No module named {missing!r}", name="{missing}")'
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get('PYTHONPATH', '')])
    done = subprocess.run(
        [sys.executable, '-m', *command.split()],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {'PYTHONPATH': path},
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr == f'error: this command needs {missing}: run make training, which installs it\n'


def test_make_training_installs_what_training_needs() -> None:
    done = subprocess.run(['make', '-n', 'training'], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0 and 'scripts/setup.sh runtime demo training\n' in done.stdout


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
