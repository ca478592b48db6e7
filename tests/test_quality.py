# SPDX-License-Identifier: Apache-2.0
"""Style, types, import contracts and file sizes of the whole tree."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
LONGEST = 400
"""Lines of a file."""


def check(*command: str) -> None:
    result = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize('command', [('check',), ('format', '--check')], ids=' '.join)
def test_ruff(command: tuple[str, ...]):
    check('ruff', *command, '.')


@pytest.mark.slow
def test_types():
    check('mypy')


def test_imports_keep_their_contracts():
    check('lint-imports')


def test_no_file_is_too_long():
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ('hoi_ros', 'training', 'benchmarks', 'launch', 'scripts', 'tests')
        for path in sorted((ROOT / folder).rglob('*.py'))
        if (lines := len(path.read_text().splitlines())) > LONGEST
    }
    assert long == {}
