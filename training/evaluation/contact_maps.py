# SPDX-License-Identifier: Apache-2.0
"""Figures of contact maps: F1 of the points that touch, and the error in bins."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

TOUCHED = 0.4
"""Contact from which on a point counts as touched, as in ContactPose (Brahmbhatt et al., ECCV 2020)."""
BINS = 10


@dataclasses.dataclass(frozen=True)
class ContactMaps:
    """Contact of hands and objects, 0 to 1.

    Attributes:
        hand: (G, H).
        object: (G, M).
    """

    hand: np.ndarray
    object: np.ndarray

    @property
    def both(self) -> np.ndarray:
        """(G, H + M)."""
        return np.concatenate([self.hand, self.object], 1)

    def rows(self, grasps: np.ndarray) -> ContactMaps:
        """The maps of some grasps, (N,) numbers."""
        return ContactMaps(self.hand[grasps], self.object[grasps])

    def at(self, places: np.ndarray) -> ContactMaps:
        """The maps at places (N,) of `both`, those of the hand first."""
        hand = self.hand.shape[1]
        return ContactMaps(self.hand[:, places[places < hand]], self.object[:, places[places >= hand] - hand])


def contact_figures(found: ContactMaps, truth: ContactMaps, threshold: float = TOUCHED) -> dict[str, float]:
    """F1 of the touched points of all grasps, on the hand, on the object and on both, and the mean error in bins.

    Args:
        found: estimated.
        truth: true.
        threshold: estimated contact from which on a point counts as touched.
    """
    figures = {
        f'{name}_f1': f1(getattr(found, surface) >= threshold, getattr(truth, surface) >= TOUCHED)
        for name, surface in (('hand', 'hand'), ('object', 'object'), ('contact', 'both'))
    }
    return {**figures, 'bin_error': float(np.abs(bins(found.both) - bins(truth.both)).mean())}


def f1(found: np.ndarray, truth: np.ndarray) -> float:
    """Harmonic mean of precision and recall of bool arrays of one shape; NaN where nothing is found nor true."""
    both, either = (found & truth).sum(), found.sum() + truth.sum()
    return float(2 * both / either) if either else float('nan')


def bins(contact: np.ndarray) -> np.ndarray:
    """Bins of contact, 0 to 9."""
    return np.clip((np.asarray(contact, np.float32) * BINS).astype(int), 0, BINS - 1)


def best_threshold(scores: np.ndarray, truth: np.ndarray, candidates: Sequence[float]) -> float:
    """The candidate with the highest F1 of `scores >= candidate` against bool truth of the same shape."""
    return max(candidates, key=lambda candidate: f1(scores >= candidate, truth))
