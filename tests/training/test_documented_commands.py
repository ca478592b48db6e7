# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/training.md exist with the options that it gives them."""

import re
import shlex
from pathlib import Path

import pytest
import tyro

from training.installation import InstallOptions
from training.systems import commands

TEXT = (Path(__file__).parents[2] / 'docs' / 'training.md').read_text(encoding='utf-8')
BLOCKS = ''.join(re.findall(r'^```\n(.*?)^```$', TEXT, re.MULTILINE | re.DOTALL)).replace('\\\n', ' ')
LINES = re.findall(r'^python -m training ([a-z].*)$', BLOCKS, re.MULTILINE)


@pytest.mark.parametrize('line', LINES)
def test_a_documented_command_exists(line: str) -> None:
    line = re.sub(r'\[.*?\]', '', line)
    verb, name, *options = shlex.split(line, comments=True)
    config, _ = commands()[verb, name].load()
    tyro.cli(config, args=options)


def test_the_first_training_runs_from_the_weights_to_the_way_back() -> None:
    block = TEXT.split('## Try it in ten minutes')[1].split('## ')[0]
    steps = ['train hand_finder', 'Ctrl-C', 'export', 'evaluate', 'runs/first/models  #', '--install', 'git checkout']
    places = [block.index(step) for step in steps]
    assert places == sorted(places)


def test_each_export_is_evaluated_where_it_was_written_before_it_is_installed() -> None:
    written: set[str] = set()
    for line in LINES:
        verb, name, *options = shlex.split(re.sub(r'\[.*?\]', '', line), comments=True)
        given = tyro.cli(commands()[verb, name].load()[0], args=options)
        if verb == 'export' and not given.install:
            written.add(name)
        elif verb == 'export' and given.models == Path('models'):
            assert name in written, f'{line} installs what was not measured'
        elif isinstance(given, InstallOptions):
            assert given.install or given.models != Path('models'), f'{line} changes nothing'
