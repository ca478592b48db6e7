# SPDX-License-Identifier: Apache-2.0
"""Configures and activates a node that no lifecycle manager looks after."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hoi_ros.nodes.runtime.worker import THREADS

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 5.0


class Autostart:
    """Tries until it succeeds, with growing pauses.

    Args:
        attempt: whether the node is started now, or needs no starting any more.
    """

    def __init__(self, attempt: Callable[[], bool]) -> None:
        self._attempt = attempt
        self._changed = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=f'{THREADS} autostart', daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Tries again now: something changed that may have been in the way."""
        self._changed.set()

    def stop(self) -> None:
        """Tries no more."""
        self._stopped = True
        self._changed.set()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopped and not self._attempt():
            self._changed.wait(pause)
            self._changed.clear()
            pause = min(2 * pause, _LONGEST_PAUSE)
