# SPDX-License-Identifier: Apache-2.0
"""What the stages that follow hands from frame to frame have in common."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Generic
from typing import TypeVar

from hoi_ros.hand.fitting import HandFitter
from hoi_ros.hand.model import HandModel
from hoi_ros.stages.parts.one_euro import OneEuroConfig
from hoi_ros.stages.parts.one_euro import OneEuroFilter

Track = TypeVar('Track')
_LONGEST_PAUSE = 1.0
"""Seconds between two frames after which nothing is followed any more."""


class HandFollowing(Generic[Track]):
    """Both hand models, the hands that are followed, and their numbers.

    Args:
        models: folder of the hand model.
        max_hands: hands at the most.
        min_score: a new hand that is less sure is not reported.
        smoothing: filter of the joints over time, or None.

    Attributes:
        timings: seconds that the parts of the last call took.

    Raises:
        HandModelError: the hand model is missing or damaged.
    """

    def __init__(self, models: Path, max_hands: int, min_score: float, smoothing: OneEuroConfig | None) -> None:
        self.max_hands, self.min_score, self.smoothing = max_hands, min_score, smoothing
        self.timings: dict[str, float] = {}
        right = HandModel.load(models / 'hand_model' / 'hand.npz')
        self._hands = {'right': right, 'left': right.mirrored()}
        self._fitters = {side: HandFitter(model) for side, model in self._hands.items()}
        self._tracks: list[Track] = []
        self._next_identity = 0
        self._frame = 0
        self._stamp = -math.inf

    def hand_model(self, side: str) -> HandModel:
        """The hand model of 'left' or 'right', whose faces belong to the vertices of the estimates."""
        return self._hands[side]

    def reset(self) -> None:
        """Forgets the hands that were followed."""
        self._tracks = []
        self._stamp = -math.inf

    def _begin(self, stamp: float) -> None:
        """A frame of that time, seconds: after a jump in time the hands before are forgotten."""
        if stamp < self._stamp or stamp - self._stamp > _LONGEST_PAUSE:
            self._tracks = []
        self._stamp = stamp
        self._frame += 1

    def _new_identity(self) -> int:
        self._next_identity += 1
        return self._next_identity

    def _new_filter(self) -> OneEuroFilter | None:
        return OneEuroFilter(self.smoothing) if self.smoothing else None

    def _warmed_up(self) -> None:
        """Forgets what was followed to warm up: the first hand that is seen has the number 1."""
        self.reset()
        self._next_identity = 0
