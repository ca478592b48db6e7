# SPDX-License-Identifier: Apache-2.0
"""The room between the fingers of one hand, and between them and the palm, from the axes of their bones."""

from __future__ import annotations

import numpy as np

from hoi_ros.hand.articulation import ANGLES
from hoi_ros.hand.articulation import Articulated
from hoi_ros.hand.articulation import Articulation
from hoi_ros.hand.articulation import UNKNOWNS

FINGERS_APART = 0.0115
"""Distance between the bones of two fingers below which they are pushed apart, metres."""
PALM_APART = 0.013
"""Distance between a finger's outer bones and the palm's."""
_PALM = (0.1, 0.35, 0.6, 0.85)
"""Points along the palm's bones: share of the wrist."""


class FingerClearance:
    """Residuals of fingers that are too near each other: points along the bones, as in `hoi_ros.hand.poses`."""

    def __init__(self) -> None:
        points, owners, outer = [], [], []
        for finger in range(5):
            first = 1 + 4 * finger
            for share in np.arange(1, 7) / 2:
                if finger == 0 and share < 1.5:
                    continue
                row = np.zeros(21)
                low = min(int(share), 2)
                row[first + low], row[first + low + 1] = low + 1 - share, share - low
                points.append(row)
                owners.append(finger)
                outer.append(share > 1)
        for knuckle in (5, 9, 13, 17):
            for share in _PALM:
                row = np.zeros(21)
                row[0], row[knuckle] = share, 1 - share
                points.append(row)
                owners.append(5)
                outer.append(False)
        self._points, owner, out = np.array(points), np.array(owners), np.array(outer)
        first, second = np.triu_indices(len(points), 1)
        palm = owner[second] == 5
        kept = (owner[first] != owner[second]) & (~palm | out[first])
        self._first, self._second = first[kept], second[kept]
        self._apart = np.where(palm[kept], PALM_APART, FINGERS_APART)

    def shortest(self, state: Articulated) -> float:
        """How much the two nearest lack to their clearance, metres; below 0 where they are nearer."""
        return float((self._distances(state)[1] - self._apart).min())

    def residuals(self, hand: Articulation, state: Articulated) -> tuple[np.ndarray, np.ndarray]:
        """(N,) what is short of the clearance, below 0, and the Jacobian (45, N) by the angles."""
        offset, distance = self._distances(state)
        near = np.flatnonzero(distance < self._apart)
        if not len(near):
            return np.zeros(0), np.zeros((45, 0))
        direction = offset[near] / np.maximum(distance[near], 1e-6)[:, None]
        keypoints = hand.jacobian(state).reshape(21, 3, UNKNOWNS)[..., ANGLES]
        difference = self._points[self._first[near]] - self._points[self._second[near]]
        jacobian = np.einsum('nk,kia,ni->an', difference, keypoints, direction, optimize=True)
        return distance[near] - self._apart[near], jacobian

    def _distances(self, state: Articulated) -> tuple[np.ndarray, np.ndarray]:
        points = self._points @ state.keypoints
        offset = points[self._first] - points[self._second]
        return offset, np.sqrt((offset * offset).sum(1))
