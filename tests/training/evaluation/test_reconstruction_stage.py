# SPDX-License-Identifier: Apache-2.0
"""Figures of the whole `reconstruction` stage on a few images."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.resources import models_dir
from training.data.synthetic.rgb_scenes import RgbFrame
from training.evaluation import reconstruction_stage
from training.evaluation.reconstruction_stage import evaluate
from training.evaluation.reconstruction_stage import match
from training.evaluation.reconstruction_stage import ReconstructionStageEvaluation
from training.evaluation.reconstruction_stage import WAYS

CAMERA = Pinhole(640, 480, 600.0, 600.0, 319.5, 239.5)


@pytest.mark.slow
def test_depth_places_the_hands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validation_images: list[RgbFrame]
) -> None:
    out = tmp_path / 'figures.json'
    monkeypatch.setattr(reconstruction_stage, 'rendered', lambda split, count, *_, **__: validation_images[:count])
    figures = evaluate(
        ReconstructionStageEvaluation(frames=5, models=models_dir(), split='validation', workers=1, out=out)
    )
    assert set(figures) == set(WAYS) and json.loads(out.read_text()) == figures
    colour, distance, surface = figures.values()
    assert colour['hands'] == surface['hands'] >= 4 and all(0.4 < way['found'] <= 1 for way in figures.values())
    assert colour['placed_by_depth'] == 0 < distance['placed_by_depth'] == surface['placed_by_depth']
    assert distance['joints_mm'] < colour['joints_mm']


def test_each_report_matches_at_most_one_hand() -> None:
    rng = np.random.default_rng(0)

    def hand(x: float) -> SimpleNamespace:
        points = rng.uniform(-0.08, 0.08, (21, 3)) + [x, 0, 0.6]
        return SimpleNamespace(keypoints=points, joints=points, camera=CAMERA)

    first, second = hand(-0.15), hand(0.15)
    frame = SimpleNamespace(hands=(first, second))
    assert match([second, first], frame) == [first, second]
    assert match([first], frame) == [first, None]
    twice = SimpleNamespace(joints=first.joints + 0.001)
    assert match([first, twice], frame) == [first, None]
    assert match([], frame) == [None, None]
    # A report within reach of two hands belongs to the nearer one.
    beside = SimpleNamespace(**{**vars(first), 'keypoints': first.keypoints + [0.06, 0, 0]})
    beside.joints = beside.keypoints
    assert match([beside], SimpleNamespace(hands=(first, beside))) == [None, beside]
    assert match([hand(0.0)], frame) == [None, None]
