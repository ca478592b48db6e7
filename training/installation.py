# SPDX-License-Identifier: Apache-2.0
"""Writes into the models that robots load, after a comparison of the figures and only with consent."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hoi_ros.engines import Card
from hoi_ros.engines.card import CARD_FILE
from hoi_ros.resources import models_dir
from hoi_ros.resources import package_models_dir
from hoi_ros.resources import ResourceError
from training.errors import TrainingError
from training.worsening import worse_figures


class InstallError(TrainingError):
    """Nobody can consent to an installation."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstallOptions:
    """Whether a command may replace what robots load."""

    install: bool = False
    """Change models/, which robots load, after a comparison of the old and the new figures and a question."""
    yes: bool = False
    """Do not ask, for scripts."""

    def require_consent(self, models: Path) -> None:
        """Raises an InstallError if `--install` would ask and there is no terminal."""
        if self.install and not self.yes and not sys.stdin.isatty():
            raise InstallError(
                f'--install asks before it changes {models}, and there is no terminal: add --yes, or leave --install '
                'out to see the figures only'
            )

    def agreed(self, question: str) -> bool:
        """Asks, unless `yes` is set."""
        if self.yes:
            return True
        return input(f'{question} [y/N] ').strip().lower() in ('y', 'yes')


def run_folder(weights: Path) -> Path:
    """The models folder of a run, beside its weights.pt."""
    return weights.parent / 'models'


def install_export(weights: Path, card: Card, models: Path, options: InstallOptions) -> bool:
    """Prints the figures of an export beside its weights and installs it as `install_model` does."""
    folder = run_folder(weights) / card.name
    print(f'{folder}:')
    for name, value in _flat('', card.figures):
        print(f'  {name:32} {value}')
    return install_model(folder, models, options)


def install_model(source: Path, models: Path, options: InstallOptions) -> bool:
    """Copies a model folder into `models` if the options or the user agree.

    Args:
        source: an exported model folder.
        models: the folder of models.
        options: of the command.

    Returns:
        Whether the model was installed.

    Raises:
        InstallError: nobody can be asked.
    """
    target = models / source.name
    if not options.install:
        print(f'robots still load {target}: add --install to compare and to replace it')
        return False
    old, new = Card.load(target) if (target / CARD_FILE).is_file() else None, Card.load(source)
    _compare(old, new)
    options.require_consent(models)
    if not options.agreed(f'{"replace" if target.exists() else "install"} {target}?'):
        print(f'{target} stays as it is; the new model is in {source}')
        return False
    models.mkdir(parents=True, exist_ok=True)
    fresh, former = (models / f'.{source.name}.{state}' for state in ('new', 'old'))
    for left_over in (fresh, former):
        shutil.rmtree(left_over, ignore_errors=True)
    shutil.copytree(source, fresh)
    if target.exists():
        target.rename(former)
    fresh.rename(target)
    shutil.rmtree(former, ignore_errors=True)
    lost = sorted(old.parameters.keys() - Card.load(target).parameters.keys()) if old else []
    if old and old.activations and not Card.load(target).activations:
        lost.append('activations')
    print(f'{target} installed' + (f'; calibrate it again: it lacks {", ".join(lost)}' if lost else ''))
    if old:
        print(
            f'to go back: git checkout {target}' if _in_git(target) else f'{target} is not in git: the old one is gone'
        )
    return True


def write_card(folder: Path, card: Card, options: InstallOptions) -> bool:
    """Writes a changed card; into the models that robots load only if the options and the user agree.

    Args:
        folder: a model folder.
        card: the changed card.
        options: of the command.

    Returns:
        Whether the card was written.
    """
    if _is_installed(folder.parent):
        _compare(Card.load(folder), card)
        if not options.install:
            print(f'{folder / CARD_FILE} stays as it is: add --install to write it')
            return False
        options.require_consent(folder.parent)
        if not options.agreed(f'change {folder / CARD_FILE}?'):
            return False
    card.save(folder)
    return True


def _compare(old: Card | None, new: Card) -> None:
    print(comparison(old, new))
    worse = worse_figures(old.figures, new.figures) if old else []
    if worse:
        print(
            f'warning: the new model is worse: {", ".join(worse)}; a card may be older than the validation samples: '
            '`python -m training evaluate` with --models measures both models on the same ones'
        )


def comparison(old: Card | None, new: Card) -> str:
    """A table of the training, the parameters and the figures of two cards."""
    before, after = (dict(_entries(card)) if card else {} for card in (old, new))
    names = [*after, *(name for name in before if name not in after)]
    rows = [('', 'installed', 'new'), *((name, before.get(name, '-'), after.get(name, '-')) for name in names)]
    wide, middle = (max(len(row[column]) for row in rows) for column in (0, 1))
    return '\n'.join(f'{name:{wide}}  {left:>{middle}}  {right}'.rstrip() for name, left, right in rows)


def _entries(card: Card) -> Iterator[tuple[str, str]]:
    training = {name: card.training[name] for name in ('minutes', 'samples', 'machine') if name in card.training}
    yield from _flat('training', training)
    yield from _flat('', card.parameters)
    yield from _flat('', card.figures)


def _flat(above: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f'{above} {key}'.strip()
        if isinstance(value, Mapping):
            yield from _flat(name, value)
        elif not isinstance(value, list):
            yield name, f'{value:.5g}' if isinstance(value, float) else str(value)


def _in_git(folder: Path) -> bool:
    """Whether git has a version of the folder."""
    program = shutil.which('git')
    if program is None:
        return False
    command = [program, '-C', str(folder.parent), 'ls-files', '--error-unmatch', folder.name]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _is_installed(models: Path) -> bool:
    """Whether a folder is the source tree's or the package's own."""
    loaded = [Path('models')]
    with contextlib.suppress(ResourceError):
        loaded += [models_dir(), package_models_dir()]
    return models.resolve() in [folder.resolve() for folder in loaded]
