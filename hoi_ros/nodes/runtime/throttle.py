# SPDX-License-Identifier: Apache-2.0
"""Says a thing that goes on happening now and then, not every time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from collections.abc import Hashable


class Throttle:
    """Lets each subject through at once and then at most once a period. Safe for several threads.

    rclpy's own throttling counts by line of code, so that a new reason for the
    same refusal would stay unsaid.

    Args:
        period: seconds.
        clock: monotonic seconds.
    """

    def __init__(self, period: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._period = period
        self._clock = clock
        self._last: dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def allows(self, subject: Hashable) -> bool:
        """Whether to speak about the subject now."""
        with self._lock:
            now = self._clock()
            self._last = {other: said for other, said in self._last.items() if now - said < self._period}
            if subject in self._last:
                return False
            self._last[subject] = now
        return True
