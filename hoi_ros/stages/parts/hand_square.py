# SPDX-License-Identifier: Apache-2.0
"""The square in the image that bounds a hand's keypoints, and when two of them belong to one hand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

_SAME_HAND = 0.5
"""Two squares with centres nearer than this share of the larger side are one hand."""
_AGREEING_CENTRE, _AGREEING_SCALE = 0.5, 0.5
"""Largest distance of the centres, in sides, and largest difference of the log sides of two squares that agree."""
_OFF_CENTRE, _OFF_SCALE = 0.12, 0.16
"""A crop is aligned again beyond this distance of the centres, in sides, or this difference of the log sides. Chosen on
simulated frames as a trade-off of time and accuracy."""


class HandSquare(NamedTuple):
    """Centre (2,) and side of the square that bounds a hand's keypoints, pixels."""

    centre: np.ndarray
    side: float

    def agrees(self, expected: HandSquare) -> bool:
        """Whether this square can be the expected hand."""
        near = np.linalg.norm(self.centre - expected.centre) < _AGREEING_CENTRE * expected.side
        return bool(near and self.side > 0 and abs(math.log(self.side / expected.side)) < _AGREEING_SCALE)

    def or_expected(self, expected: HandSquare) -> HandSquare:
        """This square where it agrees with the expected one, else the expected one."""
        return self if self.agrees(expected) else expected

    def differs(self, cropped: HandSquare) -> bool:
        """Whether a crop about another square is too far off this one."""
        return bool(
            np.linalg.norm(self.centre - cropped.centre) > _OFF_CENTRE * cropped.side
            or abs(math.log(self.side / cropped.side)) > _OFF_SCALE
        )

    def is_one_of(self, others: Iterable[HandSquare]) -> bool:
        """Whether this square bounds the same hand as one of the others."""
        return any(
            np.linalg.norm(self.centre - other.centre) < _SAME_HAND * max(self.side, other.side) for other in others
        )
