# SPDX-License-Identifier: Apache-2.0
"""MediaPipe's virtual environment. MediaPipe needs NumPy 1, so that it cannot share the project's.

    python -m benchmarks --install-peers --parts mediapipe

creates it; so do `python3 -m venv out/mediapipe` and `out/mediapipe/bin/pip install 'mediapipe==0.10.21' 'numpy<2'`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

VERSION = '0.10.21'
"""The last version whose wheel holds its hand models; later ones download them."""
FOLDER = Path('out/mediapipe')
_REQUIREMENTS = (f'mediapipe=={VERSION}', 'numpy<2')
_INSTALL = 'python -m benchmarks --install-peers --parts mediapipe'


class PeerError(RuntimeError):
    """A peer's environment or input is missing, or its process fails."""


def interpreter(folder: Path = FOLDER) -> Path:
    """The Python of the environment.

    Raises:
        PeerError: the environment is missing or holds another version; the text has the command that installs it.
    """
    python = folder / 'bin' / 'python'
    if not python.is_file():
        raise PeerError(f'{folder} holds no environment with MediaPipe {VERSION}: run `{_INSTALL}`')
    found = subprocess.run(
        [python, '-I', '-c', 'import importlib.metadata; print(importlib.metadata.version("mediapipe"))'],
        capture_output=True,
        text=True,
        check=False,
    )
    version = found.stdout.strip() or 'none'
    if version != VERSION:
        raise PeerError(f'{folder} holds MediaPipe {version}, expected {VERSION}: run `{_INSTALL}`')
    return python


def install(folder: Path = FOLDER, say: Callable[[str], None] = print) -> None:
    """Creates the environment and installs MediaPipe from the package index; does nothing where it is complete.

    Raises:
        PeerError: a command fails; the text ends with its output.
    """
    try:
        interpreter(folder)
    except PeerError:
        say(f'installing {" and ".join(_REQUIREMENTS)} into {folder}')
    else:
        return
    commands = (
        [sys.executable, '-m', 'venv', str(folder)],
        [str(folder / 'bin' / 'python'), '-m', 'pip', 'install', '--quiet', *_REQUIREMENTS],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PeerError(
                f'`{" ".join(command)}` failed with exit code {done.returncode}: {done.stderr.strip()[-500:]}'
            )
