# SPDX-License-Identifier: Apache-2.0
"""Progress of long work: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Self
from typing import TextIO

from tqdm import tqdm

_FORMAT = '{desc} {percentage:3.0f} %|{bar:10}| {unit}'
"""tqdm puts a comma before its postfix; the unit is free for the text."""


class ProgressBar:
    """Shows a share of work that is done and a text.

    Args:
        title: of the work.
        stream: a terminal gets a bar that moves, anything else a line each `every` seconds; None shows nothing.
        every: seconds between two lines.
    """

    def __init__(self, title: str, stream: TextIO | None = sys.stderr, every: float = 30.0) -> None:
        self._title, self._stream, self._every = title, stream, every
        self._bar: tqdm | None = None
        if stream is not None and stream.isatty():
            self._bar = tqdm(total=1.0, file=stream, desc=title, unit='', dynamic_ncols=True, bar_format=_FORMAT)
        self._due = time.monotonic() + (0 if self._bar is not None else every)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def show(self, share: float, text: str) -> None:
        """Shows the share in [0, 1] and a text; cheap enough for every step."""
        now = time.monotonic()
        if self._bar is not None:
            self._bar.n = min(share, 1.0)
            self._bar.unit = self._fitted(text)
            if now >= self._due:
                self._bar.refresh()
                self._due = now + 0.2
        elif self._stream is not None and now >= self._due:
            print(f'{self._title} {100 * min(share, 1.0):.0f} %: {text}', file=self._stream, flush=True)
            self._due = now + self._every

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        elif self._stream is not None:
            print(text, file=self._stream, flush=True)

    def _fitted(self, text: str) -> str:
        """The text, shortened at a comma to fit the terminal; a truncated number would be wrong."""
        assert self._bar is not None
        columns = self._bar.format_dict['ncols'] or shutil.get_terminal_size().columns
        room = columns - len(f'{self._title} 100 %|| ') - 10
        parts = text.split(', ')
        while len(parts) > 1 and len(', '.join(parts)) > room:
            parts.pop()
        return ', '.join(parts)

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()


def duration(seconds: float) -> str:
    """Seconds as `40 s`, `12 min` or `3 h 05 min`."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 120 else f'{minutes // 60} h {minutes % 60:02d} min'
