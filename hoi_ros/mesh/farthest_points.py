# SPDX-License-Identifier: Apache-2.0
"""Points that are far from each other: the farthest-point sampling of PointNet++ (Qi et al., NeurIPS 2017)."""

from __future__ import annotations

import numpy as np


def farthest_points(points: np.ndarray, count: int) -> np.ndarray:
    """Indices (..., M) of points (..., N, 3), each the farthest from those before; the first, from their mean.

    Args:
        points: of one cloud or of several.
        count: points of a cloud; M is N where there are fewer.
    """
    leading, size = points.shape[:-2], points.shape[-2]
    clouds = points.reshape(-1, size, 3)
    axes = np.ascontiguousarray(np.moveaxis(clouds - clouds.mean(1, keepdims=True), -1, 0))
    rows, chosen = np.arange(len(clouds)), np.zeros((len(clouds), min(count, size)), np.int64)
    distance = np.full(clouds.shape[:2], np.inf, axes.dtype)
    last = np.zeros((3, len(clouds), 1), axes.dtype)
    for number in range(chosen.shape[1]):
        apart = axes - last
        squared = np.einsum('abn,abn->bn', apart, apart)
        chosen[:, number] = (np.minimum(distance, squared, out=distance) if number else squared).argmax(1)
        last = axes[:, rows, chosen[:, number], None]
    return chosen.reshape(*leading, -1)
