# SPDX-License-Identifier: Apache-2.0
"""A hand that is followed through depth images, and the evidence about it that adds up over the frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from hoi_ros.hand.estimates import Region
from hoi_ros.hand.fitting import HandFit
from hoi_ros.stages.parts.following import BRIEFEST
from hoi_ros.stages.parts.hand_regions import continued
from hoi_ros.stages.parts.inferred_hand import InferredHand
from hoi_ros.stages.parts.inferred_hand import SAME_HAND
from hoi_ros.stages.parts.one_euro import OneEuroFilter

_LONGEST_STEP, _FASTEST = 0.06, 2.0
"""A hand is expected at most this far from where it was, along each axis, metres, or as far as this speed takes it."""
_REACH = 1.5
"""Speed by which a hand that was not seen may have left its place, m/s."""
_MISSES, _PATIENCE = 2, 0.09
"""Frames, and seconds, that a followed hand which is not seen is waited for, whichever is longer."""
SURE, _SETTLED = 12.0, 8.0
"""Largest log-odds of a side, and those from which on a hand does not turn into one of the other side."""


@dataclasses.dataclass
class DepthTrack:
    """A followed hand."""

    identity: int
    side_evidence: float
    """Log-odds of a right hand."""
    joints: np.ndarray
    """(21, 3) metres, optical frame, at `stamp`."""
    velocity: np.ndarray
    """(3,) metres a second."""
    stamp: float
    smoothing: OneEuroFilter | None
    region: Region | None = None
    """The region that it belongs to; None where none are given."""
    fit: HandFit | None = None
    missed: int = 0
    """Frames since it was seen."""
    settled: bool = False
    """Whether its side has been beyond doubt."""

    @property
    def centre(self) -> np.ndarray:
        """(3,) of its joints."""
        return self.joints.mean(0)

    @property
    def right(self) -> bool:
        """Whether it is more likely a right hand."""
        return self.side_evidence >= 0

    def expected(self, stamp: float) -> np.ndarray:
        """(3,) the centre at a time, seconds, by the hand's velocity."""
        elapsed = stamp - self.stamp
        longest = max(_LONGEST_STEP, _FASTEST * elapsed)
        centre: np.ndarray = self.centre + np.clip(self.velocity * elapsed, -longest, longest)
        return centre

    def off(self, centre: np.ndarray, stamp: float) -> float:
        """Metres from a centre (3,) to where the hand was or is expected at a time, whichever is nearer."""
        return float(min(np.linalg.norm(centre - place) for place in (self.centre, self.expected(stamp))))

    def may_be(self, hand: InferredHand, stamp: float) -> bool:
        """Whether a hand that is seen at a time may be this one, which was not."""
        return self.may_turn(hand.right) and self.off(hand.centre, stamp) <= SAME_HAND + _REACH * (stamp - self.stamp)

    def may_turn(self, right: bool) -> bool:
        """Whether it may be a hand of that side."""
        return right == self.right or not self.settled

    def waits(self, stamp: float, regions: Sequence[Region] | None) -> bool:
        """Counts a frame in which the hand is not seen; whether it is waited for, in its region if some are given."""
        self.missed += 1
        self.region = None if regions is None else continued(self.region, regions)
        lasting = self.missed <= _MISSES or stamp - self.stamp < _PATIENCE
        return lasting and (regions is None or self.region is not None)

    def add_side(self, evidence: float) -> bool:
        """Adds a frame's log-odds of a right hand; whether the track has gone over to a hand of the other side."""
        right = self.right
        self.side_evidence = float(np.clip(0.9 * self.side_evidence + evidence, -SURE, SURE))
        other = self.settled and self.right != right
        self.settled = (self.settled and not other) or abs(self.side_evidence) >= _SETTLED
        return other

    def give_side(self, side: str | None) -> None:
        """Takes over the side that a region says; None where it says none."""
        if side is not None:
            self.side_evidence = SURE if side == 'right' else -SURE

    def update(self, joints: np.ndarray, stamp: float) -> None:
        """Takes over joints (21, 3) that are seen at a time, seconds."""
        if stamp > self.stamp:
            self.velocity = (joints.mean(0) - self.centre) / max(stamp - self.stamp, BRIEFEST)
        self.joints, self.stamp, self.missed = joints, stamp, 0


def waiting_for(
    tracks: Sequence[DepthTrack], hand: InferredHand, region: Region | None, stamp: float
) -> DepthTrack | None:
    """Which of some tracks that wait a hand belongs to: one that waits in the region where the hand is found, else one
    that may be at its place, and of several the nearest; None where it is a new hand."""
    own = [track for track in tracks if region and track.region is region and track.may_turn(hand.right)]
    near = own or [track for track in tracks if track.may_be(hand, stamp)]
    return min(near, key=lambda track: track.off(hand.centre, stamp), default=None)
