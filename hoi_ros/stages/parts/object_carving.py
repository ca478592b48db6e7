# SPDX-License-Identifier: Apache-2.0
"""An estimated object gives way to the hand that holds it.

What is hidden of an object is guessed, and a hand that an image shows is surer than the guess. So the object's mesh
ends where the hand begins, as seen from the object's centre; what the hand does not reach stays.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

_CLEARANCE = 0.0005
"""Distance that the object keeps from the hand, metres."""
_SKIN = 0.004
"""Half of the distance between two vertices of a hand, metres."""
_DIRECTIONS = 8
"""Vertices of the object, those in the nearest directions, that a vertex of the hand may move."""
_LEAST = 0.4
"""Share of its distance from the centre that a vertex keeps."""


def carved(vertices: np.ndarray, hand: np.ndarray) -> np.ndarray:
    """An object's mesh without what a hand takes up.

    Args:
        vertices: (M, 3) of the object, metres; seen from their mean, each side of the surface is hidden by no other.
        hand: (V, 3) vertices of the hand.

    Returns:
        (M, 3); only vertices behind the hand's skin move, and straight to the mean.
    """
    centre = vertices.mean(0)
    arms, others = vertices - centre, hand - centre
    radius, distance = np.linalg.norm(arms, axis=1), np.linalg.norm(others, axis=1)
    near = (distance < radius.max()) & (distance > 0)
    if not near.any():
        return vertices
    directions = arms / np.maximum(radius, 1e-9)[:, None]
    distance = distance[near]
    count = min(_DIRECTIONS, len(vertices))
    apart, chosen = cKDTree(directions).query(others[near] / distance[:, None], range(1, count + 1))
    reached = apart * distance[:, None] < np.maximum(_SKIN, apart[:, :1] * distance[:, None])
    limit = radius.copy()
    np.minimum.at(limit, chosen[reached], np.repeat(distance - _CLEARANCE, count).reshape(apart.shape)[reached])
    return centre + directions * np.clip(limit, _LEAST * radius, radius)[:, None]
