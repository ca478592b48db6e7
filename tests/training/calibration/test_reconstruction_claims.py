# SPDX-License-Identifier: Apache-2.0
"""The fitted confidence of claims about objects is how often they are right, and the card holds it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.engines import Card
from hoi_ros.hand.estimates import ClaimConfidence
from hoi_ros.resources import models_dir
from hoi_ros.stages.parts.object_claims import ClaimCalibration
from hoi_ros.stages.parts.object_claims import object_evidence
from training.calibration import reconstruction_claims as calibration
from training.calibration.reconstruction_claims import fit_claims
from training.calibration.reconstruction_claims import parameters_of
from training.calibration.reconstruction_claims import ReconstructionClaimCalibration
from training.evaluation.reconstruction_claims import ObjectClaim


def drawn_claims(count: int, seed: int) -> list[ObjectClaim]:
    """Objects that are touched the likelier, the surer the network is and the less background depth shows; the deeper
    the meshes overlap, the less often the gap is right, and the box never is."""
    rng = np.random.default_rng(seed)
    claims = []
    for _ in range(count):
        holds, gap = rng.uniform(0.5, 0.99), rng.uniform(-0.04, 0.01)
        behind = rng.uniform(0, 1) if rng.random() < 0.5 else None
        evidence = object_evidence(holds, gap, behind, False)
        contact = rng.random() < 1 / (1 + np.exp(-(0.7 * evidence.holds - 3 * evidence.behind)))
        right = rng.random() < 1 / (1 + np.exp(-(1 - 1.5 * evidence.overlap)))
        claims.append(
            ObjectClaim(
                'depth' if evidence.on_depth else 'colour',
                evidence,
                ClaimConfidence(),
                evidence.touching,
                contact,
                0.0 if right else 0.05,
                0.0,
                0.1,
                False,
            )
        )
    return claims


def test_the_confidence_is_the_share_of_claims_that_are_right() -> None:
    fitted, claims = fit_claims(drawn_claims(3000, 0)), drawn_claims(6000, 1)
    confidence = [fitted(claim.evidence) for claim in claims]
    for name in ('touching', 'gap'):
        given = np.array([getattr(each, name) for each in confidence])
        right = np.array([claim.right(name) for claim in claims])
        for low in (0.1, 0.3, 0.5, 0.7):
            within = (given >= low) & (given < low + 0.2)
            assert within.sum() > 100 and right[within].mean() == pytest.approx(given[within].mean(), abs=0.07)
    assert max(each.box for each in confidence) < 0.05


def test_no_claims_raise() -> None:
    with pytest.raises(ValueError, match='use more images'):
        fit_claims([])


def test_the_calibration_and_its_figures_are_written_to_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / 'models'
    shutil.copytree(models_dir() / 'reconstruction', models / 'reconstruction')
    splits = {'validation': drawn_claims(200, 2), 'test': drawn_claims(100, 3), 'held_out': drawn_claims(100, 4)}
    monkeypatch.setattr(calibration, 'rendered', lambda split, count, workers: (split, count))
    monkeypatch.setattr(calibration, 'collect_claims', lambda models, images: splits[images[0]][: images[1]])
    fitted = calibration.calibrate(ReconstructionClaimCalibration(frames=200, checked=100, models=models))
    card = Card.load(models / 'reconstruction')
    assert card.parameters['claims'] == parameters_of(fitted)
    evidence = object_evidence(0.9, -0.004, 0.2, False)
    read = ClaimCalibration.of(card.parameters['claims'])(evidence)
    assert dataclasses.astuple(read) == pytest.approx(dataclasses.astuple(fitted(evidence)), abs=1e-3)
    for split in ('test', 'held_out'):
        figures = card.figures[f'claims_{split}']
        assert figures['images'] == 100 and set(figures) == {'images', 'colour', 'depth'}
        assert figures['colour']['objects'] + figures['depth']['objects'] == 100


def test_the_shipped_card_has_a_calibration() -> None:
    card = Card.load(models_dir() / 'reconstruction')
    assert set(card.parameters['claims']) == {'contact', 'gap', 'box'}
    for split in ('test', 'held_out'):
        assert card.figures[f'claims_{split}']['depth']['touching_right_of_published'] >= 0.8
