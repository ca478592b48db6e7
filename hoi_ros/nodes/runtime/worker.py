# SPDX-License-Identifier: Apache-2.0
"""One thread that processes the newest item, and requests that must not be lost."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable
from typing import Generic
from typing import TypeVar

Item = TypeVar('Item')
THREADS = 'hoi_ros'
"""Prefix of the names of the package's own threads."""


class NewestFirstWorker(Generic[Item]):
    """Processes one item at a time. A waiting item is replaced by a newer one; requests are all processed, in their
    order and before the waiting item.

    Args:
        process: called on the worker's thread with each item and each request; it reports its own errors.
        release: called on the worker's thread when it ends.
        name: name of the thread.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        process: Callable[[Item], None],
        release: Callable[[], None] = lambda: None,
        name: str = 'worker',
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._process = process
        self._release = release
        self._clock = clock
        self._ready = threading.Condition()
        self._requests: collections.deque[Item] = collections.deque()
        self._waiting: list[Item] = []
        self._stopped = False
        self._begun: float | None = None
        self._thread = threading.Thread(target=self._run, name=f'{THREADS} {name}', daemon=True)
        self._thread.start()

    def offer(self, item: Item) -> bool:
        """Leaves an item to be processed next; True if it replaced one that waited."""
        with self._ready:
            replaced = bool(self._waiting)
            self._waiting[:] = [item]
            self._ready.notify()
        return replaced

    def request(self, item: Item) -> None:
        """Leaves an item that no other replaces."""
        with self._ready:
            self._requests.append(item)
            self._ready.notify()

    def give_way(self) -> None:
        """Processes the waiting item in the middle of a request; on the worker's thread."""
        with self._ready:
            waiting = None if self._stopped or not self._waiting else self._waiting.pop()
        if waiting is not None:
            self._process(waiting)
        self._begun = self._clock()

    def busy(self) -> float:
        """Seconds since it began the present item, or the present step of a request; 0 while it waits for one."""
        begun = self._begun
        return 0.0 if begun is None else self._clock() - begun

    def clear(self) -> None:
        """Discards what waits."""
        with self._ready:
            self._waiting.clear()
            self._requests.clear()

    def stop(self) -> None:
        """Returns at once; the thread ends after its present item."""
        with self._ready:
            self._stopped = True
            self._ready.notify()
        self.clear()

    def join(self, timeout: float) -> bool:
        """Waits for the end of the thread; whether it came within the timeout, in seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while True:
                with self._ready:
                    self._ready.wait_for(lambda: self._requests or self._waiting or self._stopped)
                    if self._stopped:
                        return
                    item = self._requests.popleft() if self._requests else self._waiting.pop()
                self._begun = self._clock()
                self._process(item)
                self._begun = None
                del item
        finally:
            self._release()
