# SPDX-License-Identifier: Apache-2.0
"""The command that builds engines ahead of time, with the real TensorRT for RTX."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hoi_ros import build_engines
from hoi_ros.engines import tensorrt_package
from hoi_ros.engines.cuda_driver import first_gpu

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> int:
    return build_engines.main(arguments)


def test_a_second_run_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('tensorrt_rtx')
    arguments = ('hand_finder', '--target', '8.6', '--cache', str(tmp_path))
    assert run(*arguments) == 0
    first = capsys.readouterr().out.splitlines()
    (engine,) = tmp_path.glob('*.engine')
    assert first[-1] == f'hand_finder: built {engine}'
    assert any('building hand_finder for compute capability 8.6 in fp16: took' in line for line in first)
    modified = engine.stat().st_mtime_ns
    assert run(*arguments) == 0
    assert capsys.readouterr().out.splitlines() == [f'hand_finder: nothing to do, {engine}']
    assert engine.stat().st_mtime_ns == modified


def test_one_model_that_fails_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('tensorrt_rtx')
    broken = tmp_path / 'broken'
    broken.mkdir()
    (broken / 'card.yaml').write_text('[]')
    assert run(str(broken), 'rgb_detector', '--target', '8.6', '--precision', 'fp32', '--cache', str(tmp_path)) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f'build_engines: {broken}/card.yaml holds list')
    assert 'rgb_detector: built' in said.out
    assert len(list(tmp_path.glob('rgb_detector-*-fp32-*.engine'))) == 1


def test_every_model_of_the_package_is_built_where_none_is_named() -> None:
    cards = sorted((ROOT / 'models').glob('*/card.yaml'))
    assert build_engines._folders(()) == [card.parent for card in cards]
    assert cards


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('nothing',), 'nothing is neither a folder with a card.yaml nor one of .*hand_finder'),
        (('hand_finder', '--target', '9.0'), 'builds for the compute capabilities 7.5, .*, not for 9.0'),
    ],
)
def test_a_wrong_argument_is_named(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    pytest.importorskip('tensorrt_rtx')
    assert run(*arguments) == 1
    assert re.search(message, capsys.readouterr().err)


def test_without_a_gpu_the_target_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('tensorrt_rtx')
    if first_gpu() is not None:
        pytest.skip('this machine has a GPU')
    assert run('hand_finder') == 1
    assert 'there is no NVIDIA GPU to build for: name its compute capability' in capsys.readouterr().err


def test_without_tensorrt_the_packages_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tensorrt_package, 'find_spec', lambda name: None)
    assert run('hand_finder') == 1
    assert 'building needs tensorrt or tensorrt-rtx-cu13' in capsys.readouterr().err


def test_the_command_runs_from_the_command_line() -> None:
    command = [sys.executable, '-m', 'hoi_ros.build_engines', '--help']
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ).stdout
    assert all(option in shown for option in ('--precision {fp16,tf32,fp32}', '--target', '--cache'))


def test_the_command_is_installed() -> None:
    (executable,) = (
        path
        for prefix in os.environ['AMENT_PREFIX_PATH'].split(os.pathsep)
        if (path := Path(prefix, 'lib', 'hoi_ros', 'build_engines')).exists()
    )
    assert os.access(executable, os.X_OK)
    assert 'from hoi_ros.build_engines import main' in executable.read_text()
