# SPDX-License-Identifier: Apache-2.0
"""Samples, and stages whose network knows them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hoi_ros.stages.parts.pair_whitening import PairWhitening
from hoi_ros.stages.reconstruction import ReconstructionStage
from training.data.hand_object import HandObjectSample
from training.data.synthetic.rgb_config import scenes_of
from training.data.synthetic.rgb_crops import RgbCrops

from .perfect_network import Answer
from .perfect_network import detection
from .perfect_network import planted_stage
from .perfect_network import PlantedDetector


@pytest.fixture(scope='session')
def samples() -> dict[str, HandObjectSample]:
    """A right and a left hand that hold something."""
    stream, found = RgbCrops(3, 'validation', 208, scenes=scenes_of('plain')), {}
    for index in range(60):
        sample = stream.sample(index)
        if sample.held is not None:
            found.setdefault(sample.side, sample)
        if len(found) == 2:
            return found
    raise AssertionError('no pair of hands with objects')


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[ReconstructionStage, PlantedDetector]]:
    """Makes stages whose network gives an answer for each crop, with the object's mesh of a sample."""

    def make(
        answer: Answer, sample: HandObjectSample | None = None, **settings: object
    ) -> tuple[ReconstructionStage, PlantedDetector]:
        faces = np.zeros((1, 3), int) if sample is None else sample.held.faces
        count = 3 if sample is None else len(sample.held.vertices)
        stage, detector, _ = planted_stage(monkeypatch, answer, faces, np.arange(count), **settings)
        if sample is not None:
            detector.hands, detector.whole = [detection(sample)], sample.image
        return stage, detector

    return make


@pytest.fixture(scope='session')
def whitening() -> PairWhitening:
    """Statistics like those of hands that interact: a little apart, palm to palm."""
    mean, deviation = np.zeros(64, np.float32), np.repeat([0.3, 1.0, 0.4, 0.02], [45, 10, 6, 3]).astype(np.float32)
    mean[55:] = [-1, 0, 0, 0, 1, 0, 0, 0, 0.1]
    return PairWhitening(mean, deviation, mean, deviation)
