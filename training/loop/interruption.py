# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM end a training between two steps, after its checkpoint was written."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable
from collections.abc import Iterator
from types import FrameType

_SIGNALS = signal.SIGINT, signal.SIGTERM


class TrainingStopped(KeyboardInterrupt):
    """A training was asked to end; the text says how to go on.

    Args:
        text: for the user.
        number: of the signal.
    """

    def __init__(self, text: str, number: int = signal.SIGINT) -> None:
        super().__init__(text)
        self.exit_code = 128 + number


class Interruption:
    """The first signal that has arrived; None before it."""

    number: int | None = None


@contextlib.contextmanager
def deferred_interruption() -> Iterator[Interruption]:
    """Within the context the first SIGINT or SIGTERM is recorded; the second interrupts at once."""
    found = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield found
        return

    def arrived(number: int, frame: FrameType | None) -> None:
        if found.number is not None:
            raise TrainingStopped('stopped at once; what followed the last checkpoint is lost', number)
        found.number = number

    before = {number: signal.signal(number, arrived) for number in _SIGNALS}
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def interruptible(text: Callable[[], str]) -> Iterator[None]:
    """Within the context SIGINT and SIGTERM raise `TrainingStopped` with the message that `text` returns."""

    def arrived(number: int, frame: FrameType | None) -> None:
        raise TrainingStopped(text(), number)

    before = {number: signal.signal(number, arrived) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
