# SPDX-License-Identifier: Apache-2.0
"""The project's own hand, random poses of it, and where the public test data lies."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand import HandModel

Draw = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray, np.ndarray]]


@pytest.fixture(scope='session')
def hand() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='session')
def draw(hand: HandModel) -> Draw:
    """draw(generator) → pose (48,) inside the limits and turned anyhow, shape (10,), translation (3,)."""

    def drawn(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pose = hand.pose_of(generator.uniform(hand.limits[..., 0], hand.limits[..., 1]))
        axis = generator.normal(size=3)
        pose[:3] = axis / np.linalg.norm(axis) * generator.uniform(0, np.pi)
        return pose, generator.normal(size=10), generator.uniform(-0.5, 0.5, 3)

    return drawn


@pytest.fixture(scope='session')
def public_data() -> Path:
    folder = Path(os.environ.get('HOI_DATA', Path(__file__).resolve().parents[3] / 'shared' / 'data'))
    if not folder.is_dir():
        pytest.skip(f'{folder}: the public test data is not here (set HOI_DATA)')
    return folder
