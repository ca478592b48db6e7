# SPDX-License-Identifier: Apache-2.0
"""Scores as probabilities."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar


@dataclasses.dataclass(frozen=True)
class ScoreCalibration:
    """Turns the network's scores into probabilities (Platt, "Probabilistic Outputs for Support Vector Machines",
    1999): log-odds times `scale` plus `offset`. `training.calibration.scores` fits both on whole images, which
    hold more non-hands than the training crops."""

    scale: float = 1.0
    offset: float = 0.0
    margin: ClassVar[float] = 1e-4
    """Least distance of a score from 0 and 1."""

    def __call__(self, score: float) -> float:
        return probability(self.scale * log_odds(score, self.margin) + self.offset)


@dataclasses.dataclass(frozen=True)
class ProposalCalibration:
    """Weights of the two networks that judge a new hand: the factors and the offset of a logistic regression that
    `training.calibration.scores` fits on whole images."""

    judged: float = 1.0
    """Weight of the log-odds of the hand's calibrated score."""
    proposed: float = 0.0
    """Weight of the log-odds of the finder's score."""
    offset: float = 0.0

    def __call__(self, judged: float, proposed: float) -> float:
        """The probability of a hand from both scores, at most the one of the network alone: the finder, which sees the
        image at a quarter of its size, may doubt a hand and vouch for none."""
        odds = self.judged * log_odds(judged, ScoreCalibration.margin) + self.proposed * log_odds(proposed)
        return min(judged, probability(odds + self.offset))


@dataclasses.dataclass(frozen=True)
class SideCalibration:
    """Weights of the two kinds of evidence for a new hand's side: the factors of a logistic regression that
    `training.calibration.scores` fits on whole images."""

    read: float = 0.26
    """Weight of the network's log-odds of the two sides."""
    fitted: float = 1.5
    """Weight of the logarithm of the ratio of the two sides' fit residuals."""

    def __call__(self, read: float, fitted: float) -> float:
        """Log-odds of a side from both kinds of evidence for it."""
        return self.read * read + self.fitted * fitted


def log_odds(probability: float, margin: float = 0.01) -> float:
    """Logarithm of p / (1 − p), with p at least the margin away from 0 and 1."""
    probability = min(max(probability, margin), 1 - margin)
    return math.log(probability / (1 - probability))


def probability(odds: float) -> float:
    """The probability of log-odds: the inverse of `log_odds`."""
    tail = math.exp(-abs(odds))
    return (1 if odds >= 0 else tail) / (1 + tail)
