# SPDX-License-Identifier: Apache-2.0
"""Joins the messages of several topics into frames by their stamps. Knows no ROS."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Frame:
    """Messages that belong together.

    Attributes:
        stamp: of the leading message, nanoseconds.
        messages: by topic.
        restarted: the stamps went backwards before it: a recording that starts over, or another clock.
    """

    stamp: int
    messages: Mapping[str, Any]
    restarted: bool = False


class Pairing:
    """Completes each message of the leading topic with those of its partners that are nearest in time.

    A frame comes out as soon as it is complete; a message that still waits when the next frame is complete is
    never used. Not safe for several threads.

    Args:
        leader: the topic that makes a frame.
        partners: topics that a frame needs, too.
        constants: topics of which the newest message serves, whatever its stamp (a camera_info).
        tolerance: the largest difference of stamps within a frame, nanoseconds; 0 for exact ones.
        depth: messages kept of each topic.
    """

    def __init__(self, leader: str, partners: Sequence[str] = (), constants: Sequence[str] = (),
                 tolerance: int = 0, depth: int = 8) -> None:
        self._leader = leader
        self._constants: dict[str, Any] = dict.fromkeys(constants)
        self._kept: dict[str, dict[int, Any]] = {name: {} for name in (leader, *partners)}
        self._last: dict[str, int] = {}
        self._tolerance = tolerance
        self._depth = depth
        self._restarted = False

    def put(self, topic: str, stamp: int, message: Any) -> Frame | None:
        """Takes one message; returns the frame that it completes, or None."""
        if topic in self._constants:
            self._constants[topic] = message
            return None
        if stamp < self._last.get(topic, stamp):
            # Every topic starts over; what is left of the old time would pair with nothing, or wrongly.
            self.clear()
            self._last.clear()
            self._restarted = True
        self._last[topic] = stamp
        kept = self._kept[topic]
        kept[stamp] = message
        while len(kept) > self._depth:
            del kept[min(kept)]
        return self._complete()

    def clear(self) -> None:
        """Forgets the messages, not the constants."""
        for messages in self._kept.values():
            messages.clear()

    def _complete(self) -> Frame | None:
        if any(message is None for message in self._constants.values()):
            return None
        if not all(self._kept.values()):
            return None
        for stamp in sorted(self._kept[self._leader], reverse=True):
            stamps = {topic: nearest(sorted(kept), stamp) for topic, kept in self._kept.items()}
            if all(abs(other - stamp) <= self._tolerance for other in stamps.values()):
                break
        else:
            return None
        messages = {topic: self._kept[topic][other] for topic, other in stamps.items()}
        for topic, other in stamps.items():
            self._kept[topic] = {left: message for left, message in self._kept[topic].items() if left > other}
        frame = Frame(stamp, {**messages, **self._constants}, self._restarted)
        self._restarted = False
        return frame


def nearest(stamps: Sequence[int], stamp: int) -> int:
    """The one of sorted stamps, at least one, that is nearest to a stamp."""
    place = bisect.bisect_left(stamps, stamp)
    return min(stamps[max(place - 1, 0):place + 1], key=lambda other: abs(other - stamp))
