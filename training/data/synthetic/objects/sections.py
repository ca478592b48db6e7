# SPDX-License-Identifier: Apache-2.0
"""Cross sections and profiles of objects, and the random numbers that vary them."""

from __future__ import annotations

import numpy as np


def oval(count: int, exponent: float = 2.0) -> np.ndarray:
    """Superellipse (count, 2) with half-axes 1; exponent 2 is a circle, 8 almost a square."""
    turn = np.arange(count) * 2 * np.pi / count
    cosine, sine = np.cos(turn), np.sin(turn)
    return np.stack(
        [np.sign(cosine) * np.abs(cosine) ** (2 / exponent), np.sign(sine) * np.abs(sine) ** (2 / exponent)], 1
    )


def stacked(heights: np.ndarray, radii: np.ndarray, section: np.ndarray) -> np.ndarray:
    """Rings (N, S, 3) along z: heights (N,), half-axes (N,) or (N, 2), section (S, 2)."""
    scale = radii[:, None, None] if radii.ndim == 1 else radii[:, None]
    flat = scale * section
    return np.concatenate([flat, np.broadcast_to(heights[:, None, None], (*flat.shape[:2], 1))], -1)


def rounded_edge(radius: float, height: float, rounding: float, upwards: bool) -> tuple[np.ndarray, np.ndarray]:
    """Radii (4,) and heights (4,) of a rounded edge between a flat end at `height` and a wall at `radius`, metres."""
    turn = np.radians([0, 30, 60, 90])
    radii, heights = radius - rounding * (1 - np.sin(turn)), height + rounding * (1 - np.cos(turn))
    return (radii, heights) if upwards else (radii[::-1], 2 * height - heights[::-1])


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number uniform between two limits."""
    return float(rng.uniform(low, high))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform between those of two limits."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
