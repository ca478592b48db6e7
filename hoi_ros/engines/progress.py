# SPDX-License-Identifier: Apache-2.0
"""Signs of life during a long operation."""

import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager

PERIOD_S = 4.0


@contextmanager
def progress_lines(what: str, say: Callable[[str], None], period_s: float = PERIOD_S) -> Iterator[None]:
    """Says every `period_s` how long the block has been running, and at its end how long it took."""
    start = time.monotonic()
    done = threading.Event()

    def speak() -> None:
        while not done.wait(period_s):
            say(f'{what}: {time.monotonic() - start:.0f} s so far')

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield
    finally:
        done.set()
        speaker.join()
    say(f'{what}: took {time.monotonic() - start:.0f} s')
