# SPDX-License-Identifier: Apache-2.0
"""Calibrates the confidence of the claims of `reconstruction` about held objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from hoi_ros.engines import Card
from hoi_ros.stages.parts.object_claims import ClaimCalibration
from hoi_ros.stages.parts.object_claims import LogisticModel
from hoi_ros.stages.parts.object_claims import MIN_CONFIDENCE
from hoi_ros.stages.parts.object_claims import ObjectEvidence
from training.calibration.figures import with_figures
from training.calibration.scores import CalibrationError
from training.evaluation.reconstruction_claims import collect_claims
from training.evaluation.reconstruction_claims import figures_of
from training.evaluation.reconstruction_claims import ObjectClaim
from training.evaluation.reconstruction_claims import print_claims
from training.evaluation.reconstruction_stage import rendered
from training.installation import InstallOptions
from training.installation import write_card

EVIDENCE = {
    'contact': ('holds', 'on_depth', 'behind', 'overlap', 'apart', 'fitted'),
    'gap': ('holds', 'on_depth', 'behind', 'overlap', 'apart', 'fitted'),
    'box': ('on_depth', 'overlap', 'fitted'),
}
"""Fields of the evidence that each model depends on. Few boxes are right: they support few weights."""
_PRIOR = 1.0
"""Standard deviation of the prior of a weight, for evidence of unit deviation: few images fit no extreme weights."""


@dataclasses.dataclass(frozen=True)
class ReconstructionClaimCalibration(InstallOptions):
    """Fits the confidence of the claims about held objects on validation images, checks it on images of other seeds and
    object families, and writes both into the card of reconstruction."""

    frames: int = 300
    """Validation images."""
    checked: int = 150
    """Images of each split on which the confidence is checked."""
    splits: tuple[str, ...] = ('test', 'held_out')
    """Those splits."""
    models: Path = Path('models')
    workers: int = 2
    """Rendering processes."""


def calibrate(config: ReconstructionClaimCalibration) -> ClaimCalibration:
    """Fits, checks, writes the card and returns the calibration."""
    config.require_consent(config.models)
    folder = config.models / 'reconstruction'
    claims = collect_claims(config.models, rendered('validation', config.frames, config.workers))
    calibration = fit_claims(claims)
    card = Card.load(folder)
    card = dataclasses.replace(card, parameters={**card.parameters, 'claims': parameters_of(calibration)})
    for split in config.splits:
        checked = [
            dataclasses.replace(claim, confidence=calibration(claim.evidence))
            for claim in collect_claims(config.models, rendered(split, config.checked, config.workers))
        ]
        figures = figures_of(checked, MIN_CONFIDENCE)
        print_claims(split, figures)
        card = with_figures(card, f'claims_{split}', {'images': config.checked, **figures})
    write_card(folder, card, config)
    return calibration


def fit_claims(claims: Sequence[ObjectClaim]) -> ClaimCalibration:
    """The models with the largest posterior probability.

    Raises:
        CalibrationError: there are no claims.
    """
    if not claims:
        raise CalibrationError('no hand is said to hold anything: use more images')
    evidence = [claim.evidence for claim in claims]
    true = {
        'contact': [claim.contact for claim in claims],
        'gap': [claim.right('gap') for claim in claims],
        'box': [claim.right('box') for claim in claims],
    }
    return ClaimCalibration(**{name: fit_logistic(evidence, true[name], EVIDENCE[name]) for name in EVIDENCE})


def fit_logistic(evidence: Sequence[ObjectEvidence], true: Sequence[bool], names: Sequence[str]) -> LogisticModel:
    """Logistic regression with a Gaussian prior on the weights.

    Args:
        evidence: N of them.
        true: (N,) what they are evidence for.
        names: fields of the evidence that the model depends on.
    """
    values = np.array([[getattr(each, name) for name in names] for each in evidence])
    middle, deviation = values.mean(0), values.std(0)
    deviation[deviation == 0] = 1.0
    values = (values - middle) / deviation
    signs = np.where(np.array(true), 1.0, -1.0)

    def loss(parameters: np.ndarray) -> float:
        odds = values @ parameters[1:] + parameters[0]
        return float(np.logaddexp(0, -signs * odds).sum() + (parameters[1:] ** 2).sum() / (2 * _PRIOR**2))

    fitted = minimize(loss, np.zeros(len(names) + 1)).x
    weights = fitted[1:] / deviation
    return LogisticModel(float(fitted[0] - weights @ middle), dict(zip(names, weights.tolist())))


def parameters_of(calibration: ClaimCalibration) -> dict[str, dict]:
    """The calibration as a card holds it."""
    return {
        name: {
            'offset': round(model['offset'], 4),
            'weights': {key: round(weight, 4) for key, weight in model['weights'].items()},
        }
        for name, model in dataclasses.asdict(calibration).items()
        if model
    }
