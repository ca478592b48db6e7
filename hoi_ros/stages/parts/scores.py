# SPDX-License-Identifier: Apache-2.0
"""Scores as probabilities."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar


@dataclasses.dataclass(frozen=True)
class ScoreCalibration:
    """Makes probabilities of the network's scores (Platt, "Probabilistic Outputs for Support Vector Machines", 1999):
    its log-odds times `scale` plus `offset`. Beside the hands that it learned from, the network saw few of the
    things that a whole image holds; `training.calibration.scores` fits the two numbers on such images."""

    scale: float = 1.0
    offset: float = 0.0
    margin: ClassVar[float] = 1e-4
    """No score is closer to certainty."""

    def __call__(self, score: float) -> float:
        return probability(self.scale * log_odds(score, self.margin) + self.offset)


@dataclasses.dataclass(frozen=True)
class SideCalibration:
    """How much two kinds of evidence tell of a new hand's side: the factors of a logistic regression, which
    `training.calibration.scores` fits on whole images."""

    read: float = 0.26
    """Of the log-odds that a network gives the two sides."""
    fitted: float = 1.5
    """Of the logarithm of how much worse the hand model of the other side fits the joints."""

    def __call__(self, read: float, fitted: float) -> float:
        """The log-odds of the side for which both kinds of evidence count."""
        return self.read * read + self.fitted * fitted


def log_odds(probability: float, margin: float = 0.01) -> float:
    """Logarithm of p / (1 − p), no closer to certainty than the margin."""
    probability = min(max(probability, margin), 1 - margin)
    return math.log(probability / (1 - probability))


def probability(odds: float) -> float:
    """The probability of log-odds: the inverse of `log_odds`."""
    return 1 / (1 + math.exp(-odds))
