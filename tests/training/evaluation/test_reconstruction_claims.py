# SPDX-License-Identifier: Apache-2.0
"""Claims about held objects against the generator's truth."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.mesh.boxes import oriented_box
from hoi_ros.resources import models_dir
from hoi_ros.stages.parts.object_claims import object_evidence
from training.data.hand_object import HandObjectSample
from training.data.synthetic.rgb_crops import RgbCrops
from training.data.synthetic.rgb_scenes import RgbFrame
from training.evaluation import reconstruction_claims
from training.evaluation.reconstruction_claims import evaluate
from training.evaluation.reconstruction_claims import figures_of
from training.evaluation.reconstruction_claims import judged
from training.evaluation.reconstruction_claims import ReconstructionClaimEvaluation

KNOWN = object_evidence(0.9, 0.0, None, False)


def truth_of(sample: HandObjectSample) -> ObjectEstimate:
    """The true object of a sample, in touch with the hand."""
    box = oriented_box(sample.held.placed.astype(float))
    return ObjectEstimate(0.9, sample.held.placed, *box, 0.0, True)


def test_each_claim_is_judged_by_its_own_bound() -> None:
    crops = RgbCrops(3, 'validation', 64)
    sample = next(each for each in map(crops.sample, range(20)) if each.held is not None and each.contact.any())
    thing = truth_of(sample)
    claim = judged('colour', KNOWN, thing, sample)
    assert claim.contact and -0.005 < claim.true_gap <= 0.004
    assert all(claim.right(name) for name in ('touching', 'gap', 'box'))
    gap = claim.true_gap

    def right(name: str, **changes: object) -> bool:
        return judged('colour', KNOWN, dataclasses.replace(thing, **changes), sample).right(name)

    assert not right('touching', touching=False)
    assert right('gap', gap=gap + 0.0049) and not right('gap', gap=gap - 0.0051)
    assert right('box', position=thing.position + [0, 0, 0.019])
    assert not right('box', position=thing.position + [0, 0, 0.021])
    assert right('box', size=thing.size + 0.014) and right('box', size=thing.size * 1.24)
    assert not right('box', size=thing.size + [0, 0, max(0.016, 0.26 * thing.size[2])])
    # Whoever holds nothing touches nothing.
    empty = dataclasses.replace(sample, held=None)
    for other in (empty, None):
        claim = judged('colour', KNOWN, thing, other)
        assert not any(claim.right(name) for name in ('touching', 'gap', 'box')) and math.isinf(claim.gap_error)
        assert judged('colour', KNOWN, dataclasses.replace(thing, touching=False), other).right('touching')
    figures = figures_of([judged('colour', KNOWN, thing, each) for each in (sample, sample, empty, None)], 0.5)
    assert set(figures) == {'colour'} and figures['colour']['objects'] == 4
    assert figures['colour']['touching_right'] == figures['colour']['gap_right'] == 0.5
    assert figures['colour']['touching_published'] == 1 and figures['colour']['gap_error_median_mm'] < 5


@pytest.mark.slow
def test_the_claims_of_the_stage_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validation_images: list[RgbFrame]
) -> None:
    out = tmp_path / 'figures.json'
    monkeypatch.setattr(reconstruction_claims, 'rendered', lambda split, count, *_: validation_images[:count])
    config = ReconstructionClaimEvaluation(5, models_dir(), ('validation',), min_confidence=0.0, workers=1, out=out)
    figures = evaluate(config)
    assert set(figures) == {'validation'} and json.loads(out.read_text()) == figures
    for columns in figures['validation'].values():
        assert columns['objects'] >= 1 and 0 < columns['visible_residual_median_mm'] < 100
        for name in ('touching', 'gap', 'box'):
            assert columns[f'{name}_published'] == 1 and 0 < columns[f'{name}_confidence'] < 1
            assert np.isclose(columns[f'{name}_right_of_published'], columns[f'{name}_right'])
