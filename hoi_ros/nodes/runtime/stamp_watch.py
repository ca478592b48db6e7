# SPDX-License-Identifier: Apache-2.0
"""Whether the stamps of inputs are times of the node's clock. Knows no ROS."""

from __future__ import annotations

import collections
import enum
import math
import threading

_AHEAD, _BEHIND = 0.1, 10.0
"""Largest lead and lag of a stamp that counts as a time of the node's clock, seconds."""
_REPEATED = 3
"""Messages in a row with the same fault before it is reported."""


class StampFault(enum.Enum):
    """What is wrong with a stamp."""

    ZERO = 'zero'
    NO_CLOCK = 'no clock'
    """The node uses simulated time, and nobody has published it."""
    AHEAD = 'ahead'
    BEHIND = 'behind'


class StampWatch:
    """Compares the stamps of inputs with the time of their arrival. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[str, collections.deque[StampFault | None]] = {}
        self._age: dict[str, float] = {}

    def arrived(self, name: str, stamp: int, now: int) -> None:
        """Records a message; stamp and the node's time in nanoseconds."""
        with self._lock:
            faults = self._faults.setdefault(name, collections.deque(maxlen=_REPEATED))
            faults.append(fault_of(stamp, now))
            self._age[name] = (now - stamp) / 1e9

    def fault(self, name: str) -> StampFault | None:
        """The fault that the last messages of an input share."""
        with self._lock:
            faults = self._faults.get(name)
            return faults[0] if faults and len(faults) == _REPEATED and len(set(faults)) == 1 else None

    def describe(self, name: str, where: str) -> str:
        """The fault of an input as a sentence with its mend; an empty text without one.

        Args:
            name: of the input.
            where: the input and its topic.
        """
        fault = self.fault(name)
        with self._lock:
            age = self._age.get(name, 0.0)
        match fault:
            case StampFault.ZERO:
                return (
                    f'{where} has stamps of 0: latency is unknown, and nothing can be matched by stamp or by TF; have '
                    'the driver stamp its messages with the time of ROS'
                )
            case StampFault.NO_CLOCK:
                return (
                    'use_sim_time is true, but nobody publishes /clock: latency is unknown; start the simulator '
                    '(ros2 bag play: --clock), or set use_sim_time:=false'
                )
            case StampFault.AHEAD | StampFault.BEHIND:
                side = 'behind' if age > 0 else 'ahead of'
                return (
                    f'{where} is stamped {duration(abs(age))} {side} the clock of this node: latency is unknown, and '
                    'TF does not match; synchronise the clocks of the hosts, have the driver stamp with the time of '
                    'ROS and not of its device, or use use_sim_time:=true and /clock for a recording or a simulator'
                )
        return ''


def fault_of(stamp: int, now: int) -> StampFault | None:
    """What is wrong with a stamp at a time of the node's clock, both in nanoseconds."""
    if stamp == 0:
        return StampFault.ZERO
    if now == 0:
        return StampFault.NO_CLOCK
    age = (now - stamp) / 1e9
    if -_AHEAD <= age <= _BEHIND:
        return None
    return StampFault.BEHIND if age > 0 else StampFault.AHEAD


def latency_of(stamp: int, now: int) -> float:
    """Seconds from a stamp to now; NaN where the stamp is not of the clock."""
    return math.nan if fault_of(stamp, now) else (now - stamp) / 1e9


def duration(seconds: float) -> str:
    """A long time in words."""
    for unit, name in ((31557600.0, 'years'), (86400.0, 'days'), (3600.0, 'h'), (60.0, 'min')):
        if seconds >= 2 * unit:
            return f'{seconds / unit:.0f} {name}'
    return f'{seconds:.1f} s'
