# SPDX-License-Identifier: Apache-2.0
"""The grips of the generator: how a hand prepares for an object and how it closes."""

from __future__ import annotations

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Grip:
    """A way to hold an object."""

    kind: Literal['power', 'precision']
    fingers: tuple[int, ...]
    """Fingers that oppose the thumb, 1 index to 4 little; the others only follow."""
    opened: tuple[tuple[float, ...], ...]
    """Opened posture, shares (4, 5) as in `hoi_ros.hand.poses`."""
    closed: tuple[tuple[float, ...], ...]
    """Posture of the hand that closes without touching anything."""
    widths: tuple[float, float]
    """Range of the distance between the two sides of the object, metres."""
    clearance: tuple[float, float]
    """Range of the excess of the hand's aperture over that distance, metres."""
    depth: tuple[float, float]
    """Range of the object's middle beyond the point where the pads would meet, along the approach, metres."""
    weight: float
    """Relative frequency."""
    fist: bool = False
    """Whether the object lies in the palm, across the fingers, instead of between the pads."""
    side: bool = False
    """Whether the object lies on the middle finger's side, instead of between the pads."""


GRIPS: dict[str, Grip] = {
    'fist': Grip(
        'power',
        (1, 2, 3, 4),
        ((-0.3, 0, 0, 0, 0), (0, 0.1, 0.1, 0.1, 0.1), (0, 0.1, 0.1, 0.1, 0.1), (1, 0.2, 0, -0.1, -0.3)),
        ((1, 0.95, 0.95, 0.95, 0.95), (0.8, 0.97, 0.97, 0.97, 0.97), (0.7, 0.6, 0.6, 0.6, 0.6), (0.2, 0, 0, 0, 0)),
        (0.014, 0.055),
        (0.05, 0.07),
        (-0.05, 0.05),
        5,
        fist=True,
    ),
    'wrap': Grip(
        'power',
        (1, 2, 3, 4),
        ((-0.3, 0.15, 0.15, 0.15, 0.15), (0, 0.15, 0.15, 0.15, 0.15), (0, 0.1, 0.1, 0.1, 0.1), (1, 0.2, 0, -0.1, -0.3)),
        ((1, 0.95, 0.95, 0.95, 0.95), (0.8, 0.95, 0.95, 0.95, 0.95), (0.7, 0.55, 0.55, 0.55, 0.55), (0.4, 0, 0, 0, 0)),
        (0.035, 0.085),
        (0.015, 0.035),
        (-0.045, 0.045),
        2,
    ),
    'sphere': Grip(
        'power',
        (1, 2, 3, 4),
        ((-0.3, 0.1, 0.1, 0.1, 0.1), (0, 0.15, 0.15, 0.15, 0.15), (0, 0.1, 0.1, 0.1, 0.1), (1, 0.8, 0.2, -0.5, -0.9)),
        ((1, 0.9, 0.9, 0.9, 0.9), (0.6, 0.8, 0.8, 0.8, 0.8), (0.6, 0.5, 0.5, 0.5, 0.5), (0.6, 0.6, 0.1, -0.4, -0.7)),
        (0.035, 0.095),
        (0.015, 0.035),
        (-0.045, 0.045),
        2,
    ),
    'palmar': Grip(
        'precision',
        (1, 2, 3, 4),
        ((-0.2, 0.1, 0.1, 0.1, 0.1), (0, 0.1, 0.1, 0.1, 0.1), (0, 0.05, 0.05, 0.05, 0.05), (0.6, 0.2, 0, -0.1, -0.2)),
        ((1, 1, 1, 1, 1), (0.6, 0.4, 0.42, 0.42, 0.4), (0.5, 0.2, 0.2, 0.2, 0.2), (0.5, 0, 0, 0, 0)),
        (0.003, 0.09),
        (0.008, 0.02),
        (-0.015, 0.006),
        2,
    ),
    'tripod': Grip(
        'precision',
        (1, 2),
        ((-0.1, 0.15, 0.2, 0.4, 0.45), (0, 0.15, 0.2, 0.4, 0.45), (0, 0.1, 0.1, 0.25, 0.25), (0.6, 0.1, 0.1, 0, 0)),
        ((1, 0.85, 0.9, 0.8, 0.85), (0.6, 0.6, 0.65, 0.8, 0.85), (0.5, 0.35, 0.35, 0.4, 0.4), (0.4, -0.2, 0.1, 0, 0)),
        (0.003, 0.065),
        (0.008, 0.02),
        (-0.008, 0.006),
        1,
    ),
    'pinch': Grip(
        'precision',
        (1, 2),
        ((-0.1, 0.15, 0.15, 0.1, 0.05), (0, 0.1, 0.1, 0.1, 0.1), (0, 0.05, 0.05, 0.05, 0.05), (0.6, 0, 0, 0, -0.1)),
        ((1, 1, 1, 0.4, 0.35), (0.6, 0.45, 0.5, 0.3, 0.25), (0.5, 0.2, 0.2, 0.15, 0.15), (0.4, -0.2, 0.2, 0, -0.1)),
        (0.003, 0.065),
        (0.008, 0.02),
        (-0.008, 0.006),
        1,
    ),
    'lateral': Grip(
        'precision',
        (1, 2),
        ((-0.1, 0.1, 0.5, 0.6, 0.65), (-0.1, 0.2, 0.45, 0.6, 0.6), (-0.1, 0.1, 0.3, 0.4, 0.4), (0.8, 0.4, -0.1, 0, 0)),
        ((1, 0.85, 0.55, 0.7, 0.75), (0.6, 0.7, 0.5, 0.7, 0.7), (0.4, 0.35, 0.35, 0.4, 0.4), (-0.4, 0, -0.1, 0, 0)),
        (0.005, 0.04),
        (0.008, 0.02),
        (-0.012, 0.006),
        2,
        side=True,
    ),
}
