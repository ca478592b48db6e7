# SPDX-License-Identifier: Apache-2.0
"""Metrics of generative models, against closed forms, SciPy and brute force."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.spatial.distance import pdist

from training.evaluation.distributions import diversity
from training.evaluation.distributions import frechet_distance
from training.evaluation.distributions import kernel_distance
from training.evaluation.distributions import precision_and_recall


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_frechet_distance_is_that_of_known_gaussians(rng: np.random.Generator) -> None:
    deviations, others, apart = np.array([1.0, 2, 0.5]), np.array([2.0, 1, 0.5]), np.array([0.3, 0, -1])
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    first = (rng.normal(size=(200_000, 3)) * deviations) @ turn
    second = (rng.normal(size=(200_000, 3)) * others + apart) @ turn
    exact = (apart**2).sum() + ((deviations - others) ** 2).sum()
    assert frechet_distance(first, second) == pytest.approx(exact, rel=0.02)
    assert frechet_distance(first, first[::-1]) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_is_scipys(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=(300, 24)), rng.normal(size=(200, 24)) @ rng.normal(size=(24, 24))
    covariances = [np.cov(part, rowvar=False) for part in (first, second)]
    root = sqrtm(covariances[0] @ covariances[1])
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(sum(covariances) - 2 * root.real)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)
    # Fewer samples than numbers: the covariance is singular.
    assert frechet_distance(first[:10], first[:10]) == pytest.approx(0, abs=1e-6)


def test_the_kernel_distance_is_unbiased_and_grows(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=(6, 4)), rng.normal(size=(5, 4))

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (x @ y / 4 + 1) ** 3

    within = [
        np.mean([kernel(x, y) for i, x in enumerate(part) for j, y in enumerate(part) if i != j])
        for part in (first, second)
    ]
    between = np.mean([kernel(x, y) for x in first for y in second])
    assert kernel_distance(first, second) == pytest.approx(sum(within) - 2 * between)
    alike = [kernel_distance(rng.normal(size=(300, 8)), rng.normal(size=(300, 8))) for _ in range(20)]
    assert abs(np.mean(alike)) < 3 * np.std(alike) / np.sqrt(20) + 1e-9
    assert kernel_distance(rng.normal(size=(300, 8)), 1 + rng.normal(size=(300, 8))) > 5 * max(alike)


def test_precision_and_recall_are_those_of_brute_force(rng: np.random.Generator) -> None:
    real, made = rng.normal(size=(80, 3)), 0.5 * rng.normal(size=(60, 3)) + 0.5

    def among(asked: np.ndarray, others: np.ndarray) -> float:
        radii = [sorted(np.linalg.norm(others - other, axis=1))[3] for other in others]
        inside = [any(np.linalg.norm(x - y) <= r for y, r in zip(others, radii)) for x in asked]
        return float(np.mean(inside))

    found = precision_and_recall(real, made, 3)
    assert found == (pytest.approx(among(made, real)), pytest.approx(among(real, made)))
    # A mode that is missed costs recall, one that is invented precision.
    modes = np.concatenate([rng.normal(size=(100, 3)), rng.normal(size=(100, 3)) + 50])
    assert precision_and_recall(modes, modes[:100]) == (1.0, 0.5)
    assert precision_and_recall(modes[:100], modes) == (0.5, 1.0)


def test_diversity_is_the_mean_distance(rng: np.random.Generator) -> None:
    features = rng.normal(size=(500, 16))
    drawn = [diversity(features, rng) for _ in range(40)]
    assert np.mean(drawn) == pytest.approx(pdist(features).mean(), rel=0.01)


def test_features_that_are_no_features_are_refused(rng: np.random.Generator) -> None:
    features = rng.normal(size=(20, 4))
    broken = features.copy()
    broken[3, 1] = np.nan
    with pytest.raises(ValueError, match='1 samples have features that are not finite'):
        frechet_distance(features, broken)
    with pytest.raises(ValueError, match=r'shapes \(20, 4\) and \(20, 3\)'):
        kernel_distance(features, features[:, :3])
    with pytest.raises(ValueError, match='no 5 neighbours'):
        precision_and_recall(features, features[:5])
