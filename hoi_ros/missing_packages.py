# SPDX-License-Identifier: Apache-2.0
"""A package that is not installed ends a command in one sentence."""

from __future__ import annotations

import functools
import sys
from types import TracebackType

_OWN = 'hoi_ros', 'training', 'benchmarks'


def name_missing_packages(remedy: str) -> None:
    """Replaces the traceback of a missing package by a sentence, if Python runs a module with -m.

    Packages call this while they are imported, since a module of theirs may miss a package in its first lines.

    Args:
        remedy: what installs the packages.
    """
    # Python sets the first argument to -m while it imports the packages of the module that it is to run.
    if sys.argv[:1] == ['-m']:
        sys.excepthook = functools.partial(_say, remedy)


def _say(remedy: str, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    name = (error.name or '').split('.')[0] if isinstance(error, ModuleNotFoundError) else ''
    if name and name not in _OWN:
        print(f'error: this command needs {name}: {remedy}', file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
