# SPDX-License-Identifier: Apache-2.0
"""One thread that works on the newest of what it is given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic
from typing import TypeVar

Item = TypeVar('Item')
THREADS = 'hoi_ros'
"""How the names of the package's own threads begin."""


class NewestFirstWorker(Generic[Item]):
    """Processes one item after the other; an item that waits is replaced by a newer one.

    Args:
        process: called on the worker's thread with each item; it reports its own errors.
        release: called on the worker's thread when it ends.
        name: of the thread.
    """

    def __init__(
        self, process: Callable[[Item], None], release: Callable[[], None] = lambda: None, name: str = 'worker'
    ) -> None:
        self._process = process
        self._release = release
        self._ready = threading.Condition()
        self._waiting: list[Item] = []
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=f'{THREADS} {name}', daemon=True)
        self._thread.start()

    def offer(self, item: Item) -> bool:
        """Leaves an item to be processed next; True if it took the place of one that waited."""
        with self._ready:
            replaced = bool(self._waiting)
            self._waiting[:] = [item]
            self._ready.notify()
        return replaced

    def clear(self) -> None:
        """Forgets the item that waits."""
        with self._ready:
            self._waiting.clear()

    def stop(self) -> None:
        """Returns at once; the thread ends after the item it works on."""
        with self._ready:
            self._stopped = True
            self._waiting.clear()
            self._ready.notify()

    def join(self, timeout: float) -> bool:
        """Waits for the end of the thread; whether it came within the timeout, in seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while True:
                with self._ready:
                    self._ready.wait_for(lambda: self._waiting or self._stopped)
                    if self._stopped:
                        return
                    item = self._waiting.pop()
                self._process(item)
                del item
        finally:
            self._release()
