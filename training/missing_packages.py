# SPDX-License-Identifier: Apache-2.0
"""A package that is not installed ends a command in one sentence."""

from __future__ import annotations

import sys
from types import TracebackType

_OWN = 'training', 'benchmarks', 'hoi_ros', 'tests'


def name_missing_packages() -> None:
    """Replaces the traceback of a missing package by a sentence, if Python runs a module with -m.

    Packages call this while they are imported, since a module of theirs may miss a package in its first lines.
    """
    # Python sets the first argument to -m while it imports the packages of the module that it is to run.
    if sys.argv[:1] == ['-m']:
        sys.excepthook = _say


def _say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    name = (error.name or '').split('.')[0] if isinstance(error, ModuleNotFoundError) else ''
    if name and name not in _OWN:
        print(f'error: this command needs {name}: run make training, which installs it', file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
