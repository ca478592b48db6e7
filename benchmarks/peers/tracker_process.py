# SPDX-License-Identifier: Apache-2.0
"""A tracker in a process of its own, which works only while it has its turn."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.peers.environment import PeerError
from benchmarks.stage_speed import Turn
from benchmarks.timing import WARM_UP

_FAREWELL = 10.0
"""Seconds for the process to end after its standard input."""
_PROJECT_VARIABLES = ('PYTHONPATH', 'LD_LIBRARY_PATH', 'VIRTUAL_ENV')
"""Variables of the project's environment that would change what the process loads."""


class TrackerProcess:
    """Starts the process; use it in a `with` statement. The protocol is that of `mediapipe_tracker.py`.

    Args:
        command: program and arguments.
        log: file for its standard error.
    """

    def __init__(self, command: Sequence[str | Path], log: Path) -> None:
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if name not in _PROJECT_VARIABLES}
        with log.open('wb') as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=_FAREWELL)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def take_turn(self, seconds: float) -> Turn:
        """Lets the process work for `seconds` and returns its times.

        Raises:
            PeerError: the process ended; the text has the end of its log.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            print(json.dumps({'seconds': seconds, 'warm_up': WARM_UP}), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            answer = ''
        else:
            answer = self._process.stdout.readline()
        if not answer:
            end = self._log.read_text(errors='replace')[-500:].strip()
            raise PeerError(f'the tracker ended with exit code {self._process.wait()}; the end of {self._log}: {end}')
        return Turn(**json.loads(answer))
