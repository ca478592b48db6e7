# SPDX-License-Identifier: Apache-2.0
"""Rigid alignments of a hand's contact map with an object's, several starts at once."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

_NORMAL_LENGTH, _CONTACT_LENGTH = 0.015, 0.01
"""Lengths that a unit of normal and of contact count as, metres, next to the distance of a pair."""
_ROUNDS = 8
_TILTS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]) * 0.35
_STIFFNESS = 1e-4
"""Weight of a start's orientation against the spread of the contact points, m²."""


@dataclasses.dataclass(frozen=True)
class ContactPoints:
    """The points of one surface that should touch."""

    rows: np.ndarray
    """(K,) their numbers."""
    contact: np.ndarray
    """(K,) their contact, 0 to 1."""
    shares: np.ndarray
    """(K,) their weights, which sum to 1."""

    @classmethod
    def of(cls, contact: np.ndarray, least: float, full: float, most: int) -> ContactPoints:
        """Every point with contact above `least`, weighted in full from `full` on; evenly thinned to `most`."""
        rows = np.flatnonzero(contact > least)
        if len(rows) > most:
            rows = rows[np.linspace(0, len(rows) - 1, most).astype(int)]
        weights = np.minimum((contact[rows] - least) / (full - least), 1)
        return cls(rows, contact[rows], weights / max(float(weights.sum()), 1e-9))


def embedded(points: np.ndarray, normals: np.ndarray, contact: np.ndarray) -> np.ndarray:
    """(..., K, 7) in which near means: near, of like direction and of like contact."""
    contact = np.broadcast_to(_CONTACT_LENGTH * contact[..., None], (*points.shape[:-1], 1))
    return np.concatenate([points, _NORMAL_LENGTH * normals, contact], -1)


def spread(
    points: np.ndarray,
    normals: np.ndarray,
    mine: ContactPoints,
    other_points: np.ndarray,
    other_normals: np.ndarray,
    others: ContactPoints,
) -> float:
    """How far two contact maps lie from each other, metres: the root mean square of the distances between nearest
    points, in place, normal and contact together; arguments as of `aligned`."""
    source = embedded(points, normals, mine.contact)
    target = embedded(other_points, -other_normals, others.contact)
    squared = (source * source).sum(1)[:, None] + (target * target).sum(1) - 2 * source @ target.T
    return float(np.sqrt(max((squared.min(1) @ mine.shares + squared.min(0) @ others.shares) / 2, 0)))


def aligned(
    points: np.ndarray,
    normals: np.ndarray,
    mine: ContactPoints,
    other_points: np.ndarray,
    other_normals: np.ndarray,
    others: ContactPoints,
    starts: int,
) -> np.ndarray:
    """Iterative closest points (Besl and McKay 1992) between two contact maps.

    The first start puts the mean of the one map onto that of the other; more starts are tilted about it.

    Args:
        points, normals: (K, 3) of the hand's contact points, metres.
        mine: their contact and weights.
        other_points, other_normals: (L, 3) of the object's.
        others: their contact and weights.
        starts: number of starts.

    Returns:
        (starts, 4, 4) motions of the hand, the best first.
    """
    target = embedded(other_points, -other_normals, others.contact)
    squares = (target * target).sum(1)
    middle, goal = mine.shares @ points, others.shares @ other_points
    tilts = [np.zeros(3), *_TILTS][:starts]
    tilts += [tilt * 2 for tilt in _TILTS][: starts - len(tilts)]
    turns = np.stack([cv2.Rodrigues(tilt)[0] for tilt in tilts])
    tilted, shifts = turns.copy(), goal - turns @ middle
    weights = np.concatenate([mine.shares, others.shares]) / 2
    for _ in range(_ROUNDS):
        moved = points @ turns.swapaxes(1, 2) + shifts[:, None]
        facing = normals @ turns.swapaxes(1, 2)
        source = embedded(moved, facing, mine.contact)
        distances = squares - 2 * source @ target.T + (source * source).sum(-1)[..., None]
        to_other, to_mine = distances.argmin(2), distances.argmin(1)
        costs = (np.take_along_axis(distances, to_other[..., None], 2)[..., 0] @ mine.shares) + (
            np.take_along_axis(distances, to_mine[:, None], 1)[:, 0] @ others.shares
        )
        for start in range(len(turns)):
            first = np.concatenate([points, points[to_mine[start]]])
            second = np.concatenate([other_points[to_other[start]], other_points])
            turns[start], shifts[start] = _rigid(first, second, weights, tilted[start])
    result = np.tile(np.eye(4), (len(turns), 1, 1))
    result[:, :3, :3], result[:, :3, 3] = turns, shifts
    return result[np.argsort(costs, kind='stable')]


def _rigid(
    first: np.ndarray, second: np.ndarray, weights: np.ndarray, prior: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) and shift (3,) that bring the first points (N, 3) onto the second (Kabsch 1976), the rotation
    drawn to a prior."""
    middle, goal = weights @ first, weights @ second
    left, _, right = np.linalg.svd((second - goal).T @ ((first - middle) * weights[:, None]) + _STIFFNESS * prior)
    left[:, 2] *= np.sign(np.linalg.det(left @ right))
    turn = left @ right
    return turn, goal - turn @ middle
