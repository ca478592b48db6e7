# SPDX-License-Identifier: Apache-2.0
"""Triangles in small parts."""

from __future__ import annotations

import numpy as np

_PART, _ACROSS = 0.015, 64
"""Longest edge of a part, metres, and the least number of such edges across a mesh that is large."""


def split(corners: np.ndarray, longest: float, most: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Halves triangles at their longest edges until none is longer.

    Args:
        corners: (F, 3, 3) of the triangles.
        longest: edge of a part, in their unit.
        most: times that all that are longer are halved.

    Returns:
        Parts (F', 3, 3) and the triangle (F',) that each belongs to.
    """
    parents = np.arange(len(corners))
    for _ in range(most):
        lengths = np.linalg.norm(np.roll(corners, -1, 1) - corners, axis=2)
        long = lengths.max(1, initial=0) > longest
        if not long.any():
            break
        order = (lengths[long].argmax(1)[:, None] + [0, 1, 2]) % 3
        first, second, third = np.take_along_axis(corners[long], order[..., None], 1).transpose(1, 0, 2)
        middle = (first + second) / 2
        halves = [np.stack(half, 1) for half in ((first, middle, third), (middle, second, third))]
        corners = np.concatenate([corners[~long], *halves])
        parents = np.concatenate([parents[~long], parents[long], parents[long]])
    return corners, parents


def parts_for_search(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `split`, into parts so small that the nearest triangle to a point is among those with the nearest parts: a
    long triangle has its centre far from most of its places. Metres."""
    if not len(corners):
        return corners, np.arange(0)
    across = float(np.linalg.norm(np.ptp(corners.reshape(-1, 3), axis=0)))
    return split(corners, max(_PART, across / _ACROSS))
