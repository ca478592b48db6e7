# SPDX-License-Identifier: Apache-2.0
"""The scenes behind the samples, and sensors that add nothing."""

import numpy as np
import pytest

from hoi_ros.simulation.sensor import SensorModel
from training.data.synthetic.scenes import Scene
from training.data.synthetic.scenes import SceneGenerator
from training.data.synthetic.stereo_matching import StereoMatching


@pytest.fixture
def made_scenes(monkeypatch: pytest.MonkeyPatch) -> list[Scene]:
    """Fills with each scene that a generator makes: the last one is what a sample shows."""
    made: list[Scene] = []
    original = SceneGenerator.__getitem__

    def remembering(self: SceneGenerator, index: int) -> Scene:
        made.append(original(self, index))
        return made[-1]

    monkeypatch.setattr(SceneGenerator, '__getitem__', remembering)
    return made


@pytest.fixture
def perfect_sensor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Depth images come as they were rendered."""

    def unchanged(
        self: SensorModel, depth: np.ndarray, focal: float, rng: np.random.Generator, pitch: float = 1.0
    ) -> np.ndarray:
        return np.where(depth < self.farthest, depth, 0).astype(np.float32)

    def matched(self: StereoMatching, depth: np.ndarray, *_: object) -> np.ndarray:
        return unchanged(SensorModel(), depth, 0.0, np.random.default_rng())

    monkeypatch.setattr(SensorModel, 'observe', unchanged)
    monkeypatch.setattr(StereoMatching, 'observe', matched)
