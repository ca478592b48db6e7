# SPDX-License-Identifier: Apache-2.0
"""Forearms, upper arms, sleeves."""

from __future__ import annotations

import numpy as np

from training.data.synthetic.solids import tube
from training.data.synthetic.vectors import unit


def forearm(
    wrist: np.ndarray,
    along: np.ndarray,
    down: np.ndarray,
    across: np.ndarray,
    scale: float,
    length: float,
    sleeve: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """An elliptic forearm that starts at the wrist and widens towards the elbow.

    The first ring lies inside the hand, along the hand's axis; the following rings turn into the arm's direction.

    Args:
        wrist: (3,) metres.
        along, down, across: (3,) unit: the hand's axis, the direction to the elbow, the thumb's side.
        scale: size of the hand, a multiple of the mean hand.
        length: of the forearm, metres.
        sleeve: metres from the wrist to the sleeve; no sleeve from 0.5 on.
        rng: draws the width of the sleeve.
    """
    places = np.array([0.0, 0.03, 0.06, 0.1, 0.16, 0.24, 0.33])
    places = places[places < length * 1.05]
    broad = np.interp(places, [0, 0.06, 0.2, 0.3], [0.024, 0.027, 0.041, 0.044]) * scale
    thick = np.interp(places, [0, 0.06, 0.2, 0.3], [0.0165, 0.021, 0.036, 0.041]) * scale
    if sleeve < 0.5:
        covered = places >= sleeve
        loose = rng.uniform(0.004, 0.02)
        broad, thick = broad + covered * loose, thick + covered * loose
    turning = np.clip(places / 0.06, 0, 1)[:, None]
    direction = -along * (1 - turning) + down * turning
    centres = (
        wrist
        + 0.004 * along
        + np.concatenate([np.zeros((1, 3)), np.cumsum(np.diff(places)[:, None] * direction[1:], 0)])
    )
    side = across - down * (across @ down)
    side = unit(side)
    front = np.cross(side, down)
    return tube(centres, broad[:, None] * side, thick[:, None] * front)


def with_upper_arm(rings: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The rings (N, 16, 3) of a forearm, extended by an upper arm that leads away from the camera."""
    centres = rings.mean(1)
    ahead = unit(centres[-1] - centres[-2])
    onwards = unit(ahead + rng.uniform(0, 1) * unit(centres[-1]) + rng.normal(0, 0.3, 3))
    share = np.linspace(0.25, 1, 5)[:, None]
    directions = ahead * (1 - share) + onwards * share
    further = centres[-1] + np.cumsum(0.12 * directions, 0)
    first, second = rings[-1, 0] - centres[-1], rings[-1, 4] - centres[-1]
    turn = np.arange(16) * np.pi / 8
    section = 1.1 * (np.cos(turn)[:, None] * first + np.sin(turn)[:, None] * second)
    return np.concatenate([rings, further[:, None] + section])


def cover_arm(
    rings: np.ndarray, start: float, end: float, loose: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A tube at `loose` metres around an arm's rings (N, 16, 3), from `start` to `end` metres beyond the wrist."""
    centres = rings.mean(1)
    way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(centres, axis=0), axis=1))])
    places = np.linspace(start, min(end, way[-1]), 2 + int((min(end, way[-1]) - start) / 0.012))
    gap = loose * np.exp(rng.normal(0, 0.25, len(places)))
    if loose:
        # A hem: the cloth starts under its own edge, which gives the rim a thickness.
        places, gap = np.append(start + 0.004, places), np.append(0.0, gap)

    def along(values: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(places, way, values[:, axis]) for axis in range(3)], 1)

    def widened(values: np.ndarray) -> np.ndarray:
        axes = along(values)
        return axes * (1 + gap / np.linalg.norm(axes, axis=1))[:, None]

    return tube(along(centres), widened(rings[:, 0] - centres), widened(rings[:, 4] - centres))
