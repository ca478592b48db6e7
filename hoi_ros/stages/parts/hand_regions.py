# SPDX-License-Identifier: Apache-2.0
"""The rule by which given regions govern the hands of every stage.

A region is the rectangle of one hand in the image. While regions are given:

- A hand is in a region while the middle of the square around its keypoints lies in the rectangle, widened on each side
  by a quarter of the hand's square: the boxes of a detector lag behind a moving hand.
- A new hand is searched in each region that holds no tracked hand, and must be in that region.
- A tracked hand belongs to the region that continues its region of the frame before, which is the one of largest
  overlap: boxes of a detector move with their hands. A hand without a region, or whose region overlaps none of the
  given ones, belongs to the region that it is in, the one of the nearest centre first.
- A tracked hand that is not in its region ends. One that is not seen is waited for as without regions, while a region
  continues its own; a hand that is found there is that one.

Where no regions are given, hands are tracked and detected in the whole image; an empty list says that there are none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hoi_ros.hand.estimates import Region
from hoi_ros.stages.parts.hand_square import HandSquare

_MARGIN = 0.25
"""Distance outside a region at which a hand's centre is still in it, as a share of the side of the hand's square."""


def is_in(square: HandSquare, region: Region) -> bool:
    """Whether the hand that a square bounds is in a region."""
    return bool((np.abs(square.centre - centre_of(region)) <= _half_size(region) + _MARGIN * square.side).all())


def region_of_tracked(square: HandSquare, before: Region | None, given: Sequence[Region]) -> Region | None:
    """The region of a tracked hand.

    Args:
        square: of the hand in this frame.
        before: its region of the frame before; None where it had none.
        given: regions of this frame.

    Returns:
        One of the given regions; None where the hand is not in its region, and ends.
    """
    if region := continued(before, given):
        return region if is_in(square, region) else None
    holding = [region for region in given if is_in(square, region)]
    return min(holding, key=lambda region: np.linalg.norm(square.centre - centre_of(region)), default=None)


def continued(before: Region | None, given: Sequence[Region]) -> Region | None:
    """The one of the given regions that continues a region of the frame before; None where none overlaps it."""
    shares = [overlap(before, region) for region in given] if before else []
    return given[int(np.argmax(shares))] if any(shares) else None


def without_hand(given: Sequence[Region], held: Sequence[Region | None]) -> list[Region]:
    """The given regions that hold none of the tracked hands, whose regions are `held`."""
    return [region for region in given if not any(region is other for other in held)]


def overlap(first: Region, second: Region) -> float:
    """Intersection over union of two regions, 0 to 1."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (first.width * first.height + second.width * second.height - both)


def centre_of(region: Region) -> np.ndarray:
    """(2,) pixels."""
    return np.array([region.x + region.width / 2, region.y + region.height / 2])


def _half_size(region: Region) -> np.ndarray:
    return np.array([region.width / 2, region.height / 2])
