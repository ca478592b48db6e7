# SPDX-License-Identifier: Apache-2.0
"""How alike two sets of samples are, by features of them: the metrics of generative models.

Features (N, D) and (M, D) need the same D; N and M may differ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

DRAWN = 200
"""Pairs whose mean distance is the diversity (Guo et al., "Action2Motion", 2020)."""
NEIGHBOURS = 5
_BLOCK = 1000
"""Samples of a block of the kernel distance, which is their mean."""
_ROWS = 2048
"""Rows of a matrix of distances that are held at a time."""


class Agreement(NamedTuple):
    """Precision and recall, 0 to 1."""

    precision: float
    recall: float


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Squared Fréchet distance of two Gaussians with the features' means and covariances (Heusel et al., NeurIPS 2017).

    Raises:
        ValueError: a set has fewer than two samples, or a feature is not finite.
    """
    _require(first, second, 2)
    covariances = [np.cov(features, rowvar=False).reshape(features.shape[1], -1) for features in (first, second)]
    # tr √(C₁C₂) = tr √(√C₁ C₂ √C₁), which is symmetric.
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariances[1] @ root), 0)).sum()
    apart = ((first.mean(0) - second.mean(0)) ** 2).sum()
    return float(apart + sum(np.trace(covariance) for covariance in covariances) - 2 * cross)


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x·y / D + 1)³ (Bińkowski et al., ICLR 2018), the mean
    over blocks of the samples; below 0 by chance where the sets are alike.

    Raises:
        ValueError: as `frechet_distance`.
    """
    _require(first, second, 2)
    blocks = max(1, min(len(first), len(second)) // _BLOCK)
    parts = zip(np.array_split(first, blocks), np.array_split(second, blocks))
    return float(np.mean([_discrepancy(one, other) for one, other in parts]))


def diversity(features: np.ndarray, rng: np.random.Generator, count: int = DRAWN) -> float:
    """Mean distance of pairs of samples that are drawn by chance.

    Args:
        features: (N, D).
        rng: draws the pairs.
        count: pairs; no sample is drawn twice where there are enough.
    """
    drawn = rng.choice(len(features), 2 * count, replace=len(features) < 2 * count)
    return float(np.linalg.norm(features[drawn[:count]] - features[drawn[count:]], axis=1).mean())


def precision_and_recall(real: np.ndarray, made: np.ndarray, neighbours: int = NEIGHBOURS) -> Agreement:
    """Shares of the made samples among the real ones, and of the real among the made (Kynkäänniemi et al., NeurIPS
    2019): a sample is among others if it is as near to one of them as its k-th neighbour of its own set.

    Args:
        real, made: (N, D) and (M, D), of more samples than neighbours.
        neighbours: k.

    Raises:
        ValueError: as `frechet_distance`.
    """
    return Agreement(share_among(made, real, neighbours), share_among(real, made, neighbours))


def share_among(asked: np.ndarray, others: np.ndarray, neighbours: int = NEIGHBOURS) -> float:
    """Share of the samples that are among others, as of `precision_and_recall`."""
    _require(others, asked, 1)
    if len(others) <= neighbours:
        raise ValueError(f'{len(others)} samples have no {neighbours} neighbours each: give more')
    radius = np.concatenate(
        [
            np.partition(cdist(others[start : start + _ROWS], others), neighbours, 1)[:, neighbours]
            for start in range(0, len(others), _ROWS)
        ]
    )
    among = [(cdist(asked[start : start + _ROWS], others) <= radius).any(1) for start in range(0, len(asked), _ROWS)]
    return float(np.concatenate(among).mean())


def _discrepancy(first: np.ndarray, second: np.ndarray) -> float:
    own = [_kernel(part, part) for part in (first, second)]
    sums = [(matrix.sum() - np.trace(matrix)) / (len(matrix) * (len(matrix) - 1)) for matrix in own]
    return float(sum(sums) - 2 * _kernel(first, second).mean())


def _kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    kernel: np.ndarray = (first @ second.T / first.shape[1] + 1) ** 3
    return kernel


def _require(first: np.ndarray, second: np.ndarray, least: int) -> None:
    for features in (first, second):
        if len(features) < least or features.ndim != 2 or features.shape[1] != first.shape[1]:
            raise ValueError(
                f'features have the shapes {first.shape} and {second.shape}, expected (N, D) and (M, D) with N and M '
                f'of {least} or more'
            )
        if not np.isfinite(features).all():
            raise ValueError(f'{int((~np.isfinite(features).all(1)).sum())} samples have features that are not finite')
