# SPDX-License-Identifier: Apache-2.0
"""Fits score and side calibrations by maximum likelihood and writes them into model cards."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from hoi_ros.engines import Card
from hoi_ros.stages.parts.scores import log_odds
from hoi_ros.stages.parts.scores import ProposalCalibration
from hoi_ros.stages.parts.scores import ScoreCalibration
from hoi_ros.stages.parts.scores import SideCalibration
from training.errors import TrainingError
from training.installation import InstallOptions
from training.installation import write_card

_NON_HAND = 1.5
"""Weight of a non-hand: a hand that is missed is found in a later image, a false one is acted on."""


class CalibrationError(TrainingError, ValueError):
    """The frames do not suffice for a calibration."""


def fit_score_calibration(scores: np.ndarray, hands: np.ndarray) -> ScoreCalibration:
    """Platt scaling: the scale and offset of the log-odds with the largest likelihood.

    Args:
        scores: (N,) of the network, in [0, 1].
        hands: (N,) bool.

    Raises:
        CalibrationError: all candidates are of one kind.
    """
    if not hands.any() or hands.all():
        raise CalibrationError(
            f'{hands.sum()} of {len(hands)} candidates are hands: both kinds are needed, use more frames'
        )
    odds = np.array([log_odds(score, ScoreCalibration.margin) for score in scores])
    signs = np.where(hands, 1.0, -1.0)

    def loss(parameters: np.ndarray) -> float:
        return float(np.logaddexp(0, -signs * (parameters[0] * odds + parameters[1])).mean())

    scale, offset = minimize(loss, np.array([1.0, 0.0])).x
    return ScoreCalibration(float(scale), float(offset))


def fit_proposal_calibration(judged: np.ndarray, proposed: np.ndarray, hands: np.ndarray) -> ProposalCalibration:
    """The weights and the offset with the largest likelihood, in which non-hands count more often.

    Args:
        judged: (N,) calibrated scores of the network.
        proposed: (N,) scores of the finder.
        hands: (N,) bool, of both kinds.
    """
    odds = np.array([[log_odds(one, ScoreCalibration.margin), log_odds(other)] for one, other in zip(judged, proposed)])
    signs, weights = np.where(hands, 1.0, -1.0), np.where(hands, 1.0, _NON_HAND)

    def loss(factors: np.ndarray) -> float:
        return float(np.average(np.logaddexp(0, -signs * (odds @ factors[:2] + factors[2])), weights=weights))

    judged_weight, proposed_weight, offset = minimize(loss, np.array([1.0, 0.0, 0.0])).x
    return ProposalCalibration(float(judged_weight), float(proposed_weight), float(offset))


def fit_side_calibration(evidence: np.ndarray) -> SideCalibration:
    """The non-negative factors of the side evidence with the largest likelihood.

    Args:
        evidence: (N, 2) evidence for the true side of each hand, as `side_evidence` returns it.

    Raises:
        CalibrationError: there is no evidence.
    """
    if not len(evidence):
        raise CalibrationError('no hand was evaluated as both sides: use more frames')

    def loss(factors: np.ndarray) -> float:
        return float(np.logaddexp(0, -evidence @ factors).mean())

    read, fitted = minimize(loss, np.array([0.3, 1.0]), bounds=[(0, 10), (0, 10)]).x
    return SideCalibration(float(read), float(fitted))


def write_calibrations(
    folder: Path, options: InstallOptions, **calibrations: ScoreCalibration | ProposalCalibration | SideCalibration
) -> None:
    """Writes calibrations by name into the card of a model folder."""
    values = {
        name: {key: round(value, 4) for key, value in dataclasses.asdict(calibration).items()}
        for name, calibration in calibrations.items()
    }
    write_parameters(folder, options, values)


def write_parameters(folder: Path, options: InstallOptions, parameters: dict) -> None:
    """Adds parameters to the card of a model folder, replacing those of the same name."""
    card = Card.load(folder)
    write_card(folder, dataclasses.replace(card, parameters={**card.parameters, **parameters}), options)
