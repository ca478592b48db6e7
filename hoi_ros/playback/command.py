# SPDX-License-Identifier: Apache-2.0
"""How commands on files end: with a line where they refuse something, and where they are interrupted."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path


class OutputError(ValueError):
    """Nothing can be written where a command was told to."""


def make_folder(folder: Path) -> None:
    """Creates the folder of `--out`.

    Raises:
        OutputError: it cannot be one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = 'it is no folder' if isinstance(error, FileExistsError) else error.strerror
        raise OutputError(f'--out {folder}: nothing can be written there ({reason}): give another folder') from error


def run_command(name: str, work: Callable[[], int], refusals: tuple[type[Exception], ...]) -> int:
    """Runs a command; names of files that are no text are printed with escapes.

    Args:
        name: of the command, at the start of its last line if it is refused or interrupted.
        work: returns its exit code.
        refusals: errors whose message says everything, beside those of files.

    Returns:
        The exit code: that of the work, 2 if it was refused, 130 if it was interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')
    ends: tuple[type[Exception], ...] = (*refusals, OutputError, OSError)
    try:
        return work()
    except ends as error:
        print(f'{name}: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f'{name}: interrupted', file=sys.stderr)
        return 130
