# SPDX-License-Identifier: Apache-2.0
"""The nearest of some points to others."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

_FEW = 4096
"""Points up to which the distances to all of them are faster than a tree."""
_AT_ONCE = 1 << 16
"""Distances that are held at a time."""


def nearest_points(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) indices of the nearest of other points (M, 3), M ≥ 1, to points (N, 3).

    Squared distances are compared in single precision about the mean of the other points.
    """
    if len(others) > _FEW:
        return cKDTree(others).query(points)[1]
    middle = others.mean(0)
    around = others - middle
    columns = np.empty((4, len(others)), np.float32)
    columns[:3], columns[3] = -2 * around.T, (around * around).sum(1)
    rows = np.ones((len(points), 4), np.float32)
    rows[:, :3] = points - middle
    nearest, step = np.empty(len(points), int), max(1, _AT_ONCE // len(others))
    for first in range(0, len(points), step):
        nearest[first : first + step] = (rows[first : first + step] @ columns).argmin(1)
    return nearest
