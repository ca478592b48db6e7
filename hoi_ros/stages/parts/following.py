# SPDX-License-Identifier: Apache-2.0
"""The base of stages that track hands from frame to frame."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Generic
from typing import TypeVar

from hoi_ros.hand.fitting import HandFitter
from hoi_ros.hand.model import HandModel
from hoi_ros.resources import model_dir
from hoi_ros.stages.parts.one_euro import OneEuroConfig
from hoi_ros.stages.parts.one_euro import OneEuroFilter

Track = TypeVar('Track')
BRIEFEST = 0.02
"""Time between frames that a velocity is divided by at least, seconds: stamps of arrival come in bursts."""
_LONGEST_PAUSE = 1.0
"""Gap between two frames that ends all tracks, seconds."""


class HandFollowing(Generic[Track]):
    """Both hand models with their fitters, the tracks, and their numbers.

    Args:
        models: folder of the hand model.
        max_hands: hands at most.
        min_score: least score of a new hand.
        smoothing: filter of the joints over time, or None.

    Attributes:
        timings: seconds of each part of the last call.

    Raises:
        HandModelError: the hand model is missing or damaged.
    """

    def __init__(self, models: Path | None, max_hands: int, min_score: float, smoothing: OneEuroConfig | None) -> None:
        self.max_hands, self.min_score, self.smoothing = max_hands, min_score, smoothing
        self.timings: dict[str, float] = {}
        right = HandModel.load(model_dir('hand_model', models) / 'hand.npz')
        self._hands = {'right': right, 'left': right.mirrored()}
        self._fitters = {side: HandFitter(model) for side, model in self._hands.items()}
        self._tracks: list[Track] = []
        self._next_identity = 0
        self._frame = 0
        self._stamp = -math.inf

    def hand_model(self, side: str) -> HandModel:
        """The hand model of 'left' or 'right', with the faces of the estimates' vertices."""
        return self._hands[side]

    def reset(self) -> None:
        """Ends all tracks; the next frame is the first one."""
        self._tracks = []
        self._frame = 0
        self._stamp = -math.inf

    def _begin(self, stamp: float) -> None:
        """Begins a frame at a time in seconds; a jump in time ends all tracks."""
        if stamp < self._stamp or stamp - self._stamp > _LONGEST_PAUSE:
            self.reset()
        self._stamp = stamp
        self._frame += 1

    def _new_identity(self) -> int:
        self._next_identity += 1
        return self._next_identity

    def _new_filter(self) -> OneEuroFilter | None:
        return OneEuroFilter(self.smoothing) if self.smoothing else None

    def _warmed_up(self) -> None:
        """Ends the tracks of the warm-up; the next one has the number 1."""
        self.reset()
        self._next_identity = 0
