# SPDX-License-Identifier: Apache-2.0
"""A clock that only the test moves, and stages that take a known time."""

import time

import pytest

from hoi_ros.systems import System
from hoi_ros.systems import SYSTEMS


class ManualClock:
    """A clock that only `advance` moves; calling it gives its seconds."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


class SixthStage:
    """A stage of colour and optional depth that takes 5 ms a hand and finds a hand in every frame that is not dark."""

    def __init__(self):
        self.timings = {}
        self.shapes = set()

    def __call__(self, colour, camera, stamp, depth=None):
        self.shapes.add((colour.shape, str(colour.dtype), depth.shape, str(depth.dtype)))
        self.timings = {'infer': 0.005, 'total': 0.005}
        time.sleep(0.005)
        return ['hand'] if colour.any() else []

    def warm_up(self):
        """Nothing is slow at first."""

    def reset(self):
        """Nothing is tracked."""


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def sixth_system(monkeypatch):
    """A system that only the entries name."""
    system = System(
        name='sixth',
        stage=f'{__name__}:SixthStage',
        images=('colour',),
        optional_images=('depth',),
        outputs=('hands', 'objects', 'mesh_topology', 'markers'),
    )
    monkeypatch.setitem(SYSTEMS, 'sixth', system)
    return system
