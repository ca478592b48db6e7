# SPDX-License-Identifier: Apache-2.0
"""A hand that is followed through depth images, and the evidence about it that adds up over the frames."""

from __future__ import annotations

import dataclasses

import numpy as np

from hoi_ros.hand.estimates import Region
from hoi_ros.hand.fitting import HandFit
from hoi_ros.stages.parts.following import BRIEFEST
from hoi_ros.stages.parts.one_euro import OneEuroFilter

_LONGEST_STEP = 0.06
"""A hand is expected at most this far from where it was, along each axis, metres."""


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
        step = np.clip(self.velocity * (stamp - self.stamp), -_LONGEST_STEP, _LONGEST_STEP)
        centre: np.ndarray = self.centre + step
        return centre

    def update(self, joints: np.ndarray, stamp: float) -> None:
        """Takes over joints (21, 3) that are seen at a time, seconds."""
        if stamp > self.stamp:
            self.velocity = (joints.mean(0) - self.centre) / max(stamp - self.stamp, BRIEFEST)
        self.joints, self.stamp, self.missed = joints, stamp, 0
