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
_SLACK, _BENT = 0.001, 0.3
"""Noise of the clearance, metres, and of the angles, radians, where fingers are set apart."""
_FLESH = (0.01, 0.0055)
"""Least thickness of flesh about the bones of the palm and of the fingers, metres."""
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
        self._thick = np.where(owner == 5, _FLESH[0], _FLESH[1])
        first, second = np.triu_indices(len(points), 1)
        palm = owner[second] == 5
        kept = (owner[first] != owner[second]) & (~palm | out[first])
        self._first, self._second = first[kept], second[kept]
        self._apart = np.where(palm[kept], PALM_APART, FINGERS_APART)

    def shortest(self, state: Articulated) -> float:
        """Least distance of two fingers beyond their clearance, metres; below 0 where fingers are too near."""
        return float((self._distances(state)[1] - self._apart).min())

    def relaxed(self, hand: Articulation, angles: np.ndarray, steps: int = 6) -> np.ndarray:
        """The angles (5, 3, 3) changed by Gauss-Newton steps until no finger is too near another."""
        origin = np.eye(3), np.zeros(3)
        start = angles
        for _ in range(steps):
            short, jacobian = self.residuals(hand, hand.posed(*origin, angles, np.zeros(10)))
            if not len(short) or short.min() > -_SLACK:
                break
            normal = jacobian @ jacobian.T / _SLACK**2 + np.eye(45) / _BENT**2
            gradient = jacobian @ short / _SLACK**2 + (angles - start).ravel() / _BENT**2
            change = np.clip(-np.linalg.solve(normal, gradient), -_BENT, _BENT)
            angles = np.clip(angles + change.reshape(5, 3, 3), hand.low, hand.high)
        return angles

    def residuals(self, hand: Articulation, state: Articulated) -> tuple[np.ndarray, np.ndarray]:
        """(N,) what is short of the clearance, below 0, and the Jacobian (45, N) by the angles."""
        offset, distance = self._distances(state)
        near = np.flatnonzero(distance < self._apart)
        if not len(near):
            return np.zeros(0), np.zeros((45, 0))
        direction = offset[near] / np.maximum(distance[near], 1e-6)[:, None]
        keypoints = hand.jacobian(state).reshape(21, 3, UNKNOWNS)[..., ANGLES]
        difference = self._points[self._first[near]] - self._points[self._second[near]]
        moved = (difference @ keypoints.reshape(21, -1)).reshape(len(near), 3, 45)
        jacobian = np.einsum('nia,ni->an', moved, direction)
        return distance[near] - self._apart[near], jacobian

    def between(
        self, hands: tuple[Articulation, Articulation], right: Articulated, left: Articulated
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fingers of one hand whose bones are nearer to those of the other than any flesh allows.

        Half-way through a finger the normals of its surface push to both sides, its bones only to the nearer one.

        Returns:
            (N,) what is short of the clearance, below 0, and the Jacobians (6 + 45, N) and (45, N) by the unknowns of
            the right hand and by the angles of the left.
        """
        mine, others = self._points @ right.keypoints, self._points @ left.keypoints
        offset = mine[:, None] - others[None]
        distance = np.sqrt((offset * offset).sum(-1))
        first, second = np.nonzero(distance < self._thick[:, None] + self._thick)
        if not len(first):
            return np.zeros(0), np.zeros((51, 0)), np.zeros((45, 0))
        apart = distance[first, second]
        direction = offset[first, second] / np.maximum(apart, 1e-6)[:, None]
        jacobians = []
        for hand, state, rows, unknowns in (
            (hands[0], right, first, slice(0, ANGLES.stop)),
            (hands[1], left, second, ANGLES),
        ):
            keypoints = hand.jacobian(state)[:, unknowns].reshape(21, -1)
            points = (self._points[rows] @ keypoints).reshape(len(rows), 3, -1)
            jacobians.append(np.einsum('nia,ni->an', points, direction))
        return apart - self._thick[first] - self._thick[second], jacobians[0], -jacobians[1]

    def _distances(self, state: Articulated) -> tuple[np.ndarray, np.ndarray]:
        points = self._points @ state.keypoints
        offset = points[self._first] - points[self._second]
        return offset, np.sqrt((offset * offset).sum(1))
