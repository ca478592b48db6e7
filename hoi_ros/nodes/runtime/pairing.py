# SPDX-License-Identifier: Apache-2.0
"""Joins the messages of several topics into frames by their stamps. Knows no ROS."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Callable
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
        unmatched: companions that were there, yet not for this frame: nanoseconds by which the stamp of their
            nearest message is later than the frame's.
    """

    stamp: int
    messages: Mapping[str, Any]
    restarted: bool = False
    unmatched: Mapping[str, int] = dataclasses.field(default_factory=dict)


class Pairing:
    """Completes each message of the leading topic with those of its partners that are nearest in time.

    A frame comes out as soon as it is complete; a message that still waits when the next frame is complete is
    never used. Companions complete a frame where they are there: it waits for theirs until the next message of the
    leader, then goes without. Not safe for several threads.

    Args:
        leader: the topic that makes a frame.
        partners: topics that a frame needs, too.
        constants: topics of which the newest message serves, whatever its stamp (a camera_info).
        tolerance: the largest difference of stamps within a frame, nanoseconds; 0 for exact ones.
        depth: messages kept of each topic.
        companions: topics that a frame can do without, each with its own tolerance, nanoseconds.
        alive: whether a companion is worth waiting for.
    """

    def __init__(
        self,
        leader: str,
        partners: Sequence[str] = (),
        constants: Sequence[str] = (),
        tolerance: int = 0,
        depth: int = 8,
        companions: Mapping[str, int] | None = None,
        alive: Callable[[str], bool] = lambda companion: True,
    ) -> None:
        self._leader = leader
        self._constants: dict[str, Any] = dict.fromkeys(constants)
        self._companions = dict(companions or {})
        self._kept: dict[str, dict[int, Any]] = {name: {} for name in (leader, *partners, *self._companions)}
        self._needed = (leader, *partners)
        self._last: dict[str, int] = {}
        self._interval: dict[str, int] = {}
        self._tolerance = tolerance
        self._depth = depth
        self._alive = alive
        self._restarted = False

    def put(self, topic: str, stamp: int, message: Any) -> Frame | None:
        """Takes one message; returns the frame that it completes, or None."""
        if topic in self._constants:
            self._constants[topic] = message
            return None
        if stamp < self._last.get(topic, stamp):
            self._start_over(topic, stamp)
        elif topic in self._last:
            self._interval[topic] = stamp - self._last[topic]
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

    def _start_over(self, topic: str, stamp: int) -> None:
        self._interval.pop(topic, None)
        if topic in self._companions:
            self._kept[topic].clear()
            return
        # Every topic starts over; what is left of the old time would pair with nothing, or wrongly.
        begun = {
            companion: {
                other: message for other, message in self._kept[companion].items() if abs(other - stamp) <= tolerance
            }
            for companion, tolerance in self._companions.items()
        }
        self.clear()
        self._kept |= begun
        self._last = {companion: max(kept) for companion, kept in begun.items() if kept}
        self._restarted = True

    def _complete(self) -> Frame | None:
        if any(message is None for message in self._constants.values()):
            return None
        if not all(self._kept[topic] for topic in self._needed):
            return None
        newest = max(self._kept[self._leader])
        for stamp in sorted(self._kept[self._leader], reverse=True):
            stamps = {topic: nearest(sorted(self._kept[topic]), stamp) for topic in self._needed}
            if any(abs(other - stamp) > self._tolerance for other in stamps.values()):
                continue
            if stamp == newest and any(self._may_come_nearer(companion, stamp) for companion in self._companions):
                continue
            break
        else:
            return None
        unmatched = {}
        for companion, tolerance in self._companions.items():
            if not self._kept[companion]:
                continue
            other = nearest(sorted(self._kept[companion]), stamp)
            if abs(other - stamp) <= tolerance:
                stamps[companion] = other
            else:
                unmatched[companion] = other - stamp
        messages = {topic: self._kept[topic][other] for topic, other in stamps.items()}
        for topic, other in stamps.items():
            self._kept[topic] = {left: message for left, message in self._kept[topic].items() if left > other}
        frame = Frame(stamp, {**messages, **self._constants}, self._restarted, unmatched)
        self._restarted = False
        return frame

    def _may_come_nearer(self, companion: str, stamp: int) -> bool:
        """Whether a message that is yet to come may belong to a frame, rather than one that is there."""
        last = self._last.get(companion)
        if last is None or last >= stamp or not self._alive(companion):
            return False
        kept, tolerance = self._kept[companion], self._companions[companion]
        gap = min((abs(other - stamp) for other in kept), default=tolerance + 1)
        return gap > tolerance or abs(last + self._interval.get(companion, gap) - stamp) < gap


def nearest(stamps: Sequence[int], stamp: int) -> int:
    """The one of sorted stamps, at least one, that is nearest to a stamp."""
    place = bisect.bisect_left(stamps, stamp)
    return min(stamps[max(place - 1, 0) : place + 1], key=lambda other: abs(other - stamp))
