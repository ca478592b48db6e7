# SPDX-License-Identifier: Apache-2.0
"""How long RViz keeps a marker that is not drawn anew."""

from __future__ import annotations

import time
from collections.abc import Callable

_LONGEST = 2.5
"""Seconds between two drawings beyond which they count as a pause: photos come one every 1.1 seconds."""


class MarkerLifetime:
    """Markers last until the next ones are drawn, down to one in 2.5 seconds, and vanish soon after the last ones.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._drawn = clock, float('-inf')

    def next(self, rate: float) -> float:
        """Seconds that the markers last which are drawn now.

        Args:
            rate: drawings a second that are wanted.
        """
        now = self._clock()
        pause, self._drawn = now - self._drawn, now
        return 2 * max(1 / max(rate, 0.5), pause if pause <= _LONGEST else 0.0)
