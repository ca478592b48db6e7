# SPDX-License-Identifier: Apache-2.0
"""Throttles log lines by subject; texts that differ in their numbers only are one subject."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from collections.abc import Hashable

_NUMBER = re.compile(r'(?<![\w/.])[-+]?\d+(\.\d+)?(e[-+]?\d+)?(x\d+)?(?![\w/])')


def kind_of(text: str) -> str:
    """A text without its numbers, which change from frame to frame. Names keep their digits."""
    return _NUMBER.sub('#', text)


class Throttle:
    """Passes each kind of subject at once and then at most once a period. Thread-safe.

    rclpy throttles by line of code, which would drop a new reason for the same refusal.

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
        """Whether to log the subject now."""
        if isinstance(subject, str):
            subject = kind_of(subject)
        with self._lock:
            now = self._clock()
            self._last = {other: said for other, said in self._last.items() if now - said < self._period}
            if subject in self._last:
                return False
            self._last[subject] = now
        return True
