# SPDX-License-Identifier: Apache-2.0
"""Configures and activates a node without a lifecycle manager."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hoi_ros.nodes.runtime.worker import THREADS

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 5.0


class Autostart:
    """Retries with growing pauses until it succeeds.

    Args:
        attempt: starts the node; returns whether it runs or needs no start.
    """

    def __init__(self, attempt: Callable[[], bool]) -> None:
        self._attempt = attempt
        self._changed = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=f'{THREADS} autostart', daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Retries now: a parameter changed."""
        self._changed.set()

    def stop(self) -> None:
        """Stops retrying."""
        self._stopped = True
        self._changed.set()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopped and not self._attempt():
            self._changed.wait(pause)
            self._changed.clear()
            pause = min(2 * pause, _LONGEST_PAUSE)
