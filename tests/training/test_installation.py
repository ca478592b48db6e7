# SPDX-License-Identifier: Apache-2.0
"""Nothing changes the models that robots load without --install, a comparison and consent."""

import dataclasses
import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from hoi_ros.engines import Card
from hoi_ros.resources import models_dir
from hoi_ros.stages.parts.scores import ScoreCalibration
from training import installation
from training.calibration.scores import write_calibrations
from training.export import depth_pose
from training.export.depth_pose import DepthPoseExport
from training.installation import install_model
from training.installation import InstallError
from training.installation import InstallOptions
from training.installation import write_card
from training.networks.hand_finder import HandFinderNet
from training.networks.weights_file import WeightsError
from training.systems import commands

NAME = 'hand_finder'


class Terminal(io.StringIO):
    """Standard input of somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that robots load, with one network."""
    for name in (NAME, 'hand_model'):
        shutil.copytree(models_dir() / name, tmp_path / 'models' / name)
    monkeypatch.setenv('HOI_ROS_MODELS', str(tmp_path / 'models'))
    return tmp_path / 'models'


@pytest.fixture
def exported(models: Path, tmp_path: Path) -> Path:
    """A model folder of a run of 42 seconds, with other figures."""
    folder = tmp_path / 'run' / 'models' / NAME
    shutil.copytree(models / NAME, folder)
    card = Card.load(folder)
    dataclasses.replace(card, training={'minutes': 0.7, 'samples': 320}, figures={'validation_found': 0.1}).save(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.mark.slow
def test_an_export_writes_beside_the_weights_until_install_is_given(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    weights = tmp_path / 'run' / 'weights.pt'
    weights.parent.mkdir()
    network = HandFinderNet()
    torch.save(
        {
            'weights': network.state_dict(),
            'seed': 0,
            'machine': '2 CPU cores',
            'figures': {'found': 0.01},
            'progress': {'step': 1, 'samples': 32, 'seconds': 42.0},
        },
        weights,
    )
    before = contents(models)
    depth_pose.export_finder(DepthPoseExport(weights, models))
    assert contents(models) == before
    folder = tmp_path / 'run' / 'models' / NAME
    assert Card.load(folder).training['machine'] == '2 CPU cores'
    printed = capsys.readouterr().out
    assert f'robots still load {models / NAME}: add --install' in printed
    assert printed.count(str(folder)) == 1 and '{' not in printed

    write_calibrations(folder, InstallOptions(), score_calibration=ScoreCalibration(2.0, 1.0))
    depth_pose.export_finder(DepthPoseExport(weights, models, install=True, yes=True))
    assert contents(models / NAME) == contents(folder)
    # The calibration of the same weights is kept.
    assert Card.load(models / NAME).parameters['score_calibration'] == {'scale': 2.0, 'offset': 1.0}


def test_old_and_new_figures_stand_side_by_side(
    models: Path, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Card.load(models / NAME)
    assert install_model(exported, models, InstallOptions(install=True, yes=True))
    rows = {' '.join(line.split()) for line in capsys.readouterr().out.splitlines()}
    assert 'installed new' in rows
    assert f'validation_found {old.figures["validation_found"]:.5g} 0.1' in rows
    assert f'training minutes {old.training["minutes"]:.5g} 0.7' in rows
    assert f'validation_false_per_frame {old.figures["validation_false_per_frame"]:.5g} -' in rows
    assert contents(models / NAME) == contents(exported)
    assert sorted(path.name for path in models.iterdir()) == [NAME, 'hand_model']


def test_a_worse_model_is_installed_with_a_warning_and_the_way_back(
    models: Path, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card, old = Card.load(exported), Card.load(models / NAME).figures
    figures = {'validation_found': 0.0, 'validation_centre_error_mm': float('nan'), 'validation_false_per_frame': 0.1}
    dataclasses.replace(card, figures=figures).save(exported)
    for command in (['init', '-q'], ['add', 'models']):
        subprocess.run(['git', '-C', str(models.parent), *command], check=True, timeout=60)
    assert install_model(exported, models, InstallOptions(install=True, yes=True))
    printed = capsys.readouterr().out
    found, error = old['validation_found'], old['validation_centre_error_mm']
    warning = (
        f'the new model is worse: validation_found {found:.4g} → 0, validation_centre_error_mm {error:.4g} → nan; '
    )
    assert f'warning: {warning}' in printed
    assert printed.endswith(f'to go back: git checkout {models / NAME}\n')


def test_a_better_model_is_installed_without_a_warning(
    models: Path, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card, old = Card.load(exported), Card.load(models / NAME).figures
    better = {'validation_found': 1.0, 'validation_centre_error_mm': 0.5 * old['validation_centre_error_mm']}
    dataclasses.replace(card, figures=better).save(exported)
    assert install_model(exported, models, InstallOptions(install=True, yes=True))
    printed = capsys.readouterr().out
    assert 'warning' not in printed and f'{models / NAME} is not in git: the old one is gone' in printed


@pytest.mark.parametrize(('answer', 'installed'), [('y\n', True), ('n\n', False), ('\n', False)])
def test_the_user_decides(
    answer: str, installed: bool, models: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(models / NAME)
    monkeypatch.setattr(sys, 'stdin', Terminal(answer))
    assert install_model(exported, models, InstallOptions(install=True)) == installed
    assert (contents(models / NAME) == before) != installed


def test_without_a_terminal_the_figures_are_shown_and_nobody_consents(
    models: Path, exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(models)
    monkeypatch.setattr(sys, 'stdin', io.StringIO('y\n'))
    with pytest.raises(InstallError, match='there is no terminal: add --yes'):
        install_model(exported, models, InstallOptions(install=True))
    assert contents(models) == before
    assert 'validation_found' in capsys.readouterr().out


def test_a_lost_calibration_is_said(models: Path, exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_calibrations(models / NAME, InstallOptions(install=True, yes=True), score_calibration=ScoreCalibration())
    assert 'score_calibration' in Card.load(models / NAME).parameters
    install_model(exported, models, InstallOptions(install=True, yes=True))
    assert 'calibrate it again: it lacks score_calibration' in capsys.readouterr().out


def test_calibrations_change_installed_cards_only_with_install(
    models: Path, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(models)
    write_calibrations(models / NAME, InstallOptions(), score_calibration=ScoreCalibration(3.0, -1.0))
    assert contents(models) == before
    printed = capsys.readouterr().out
    assert 'stays as it is: add --install to write it' in printed
    assert 'score_calibration scale 3' in ' '.join(printed.replace('-', ' ').split())
    write_calibrations(exported, InstallOptions(), score_calibration=ScoreCalibration(3.0, -1.0))
    assert Card.load(exported).parameters['score_calibration']['scale'] == 3.0
    assert write_card(models / NAME, Card.load(exported), InstallOptions(install=True, yes=True))


def test_a_first_model_is_installed_too(tmp_path: Path, exported: Path) -> None:
    assert install_model(exported, tmp_path / 'new', InstallOptions(install=True, yes=True))
    assert contents(tmp_path / 'new' / NAME) == contents(exported)


@pytest.mark.parametrize('command', [key for key in commands() if key[0] == 'export'])
def test_every_export_needs_the_weights_of_its_own_training(
    command: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = commands()[command].load()
    assert issubclass(config, InstallOptions)
    for name in ('rgb_detector', 'checkpoint'):
        (tmp_path / name).mkdir()
    other = HandFinderNet() if command[1] != 'hand_finder' else nn.Linear(1, 1)
    kept = {'weights': other.state_dict(), 'figures': {}, 'network': 'voting', 'cube': 0.27, 'data': 'synthetic'}
    kept |= {'gcn': {}, 'points': [0, 0], 'whitening': {}, 'object_width': 0, 'pairs': {}}
    torch.save(kept | {'command': 'python -m training train juggling'}, tmp_path / 'weights.pt')
    torch.save({'network': other.state_dict(), 'optimizer': {}}, tmp_path / 'checkpoint.pt')
    (tmp_path / 'damaged.pt').write_bytes(b'half a file')
    training = f'python -m training train {command[1]}'
    for path, error in (
        (tmp_path / 'nothing.pt', f'nothing.pt: no such file: train first .{training}'),
        (tmp_path, r'is a folder: give .*weights.pt$'),
        (tmp_path / 'checkpoint.pt', 'checkpoint of a training: run the training to its end'),
        (tmp_path / 'damaged.pt', 'damaged.pt is not readable'),
        (tmp_path / 'weights.pt', 'weights.pt holds another network'),
    ):
        with pytest.raises(WeightsError, match=error) as raised:
            run(config(weights=path))
        assert '\n' not in str(raised.value)


@pytest.mark.parametrize('command', [key for key in commands() if key[0] == 'calibrate'])
def test_every_calibration_asks_before_it_measures(
    command: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = commands()[command].load()
    assert issubclass(config, InstallOptions)
    monkeypatch.setattr(sys, 'stdin', io.StringIO())
    first = next(field.name for field in dataclasses.fields(config) if not field.kw_only)
    with pytest.raises(InstallError):
        run(config(**{first: tmp_path / 'nothing'}, install=True))


def test_the_current_folder_counts_as_the_source_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert installation._is_installed(Path('models')) and not installation._is_installed(Path('runs/a/models'))
