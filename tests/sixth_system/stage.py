# SPDX-License-Identifier: Apache-2.0
"""The stage of a system that does not exist: an open hand whose wrist is the nearest point of a depth image."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import Region


class NearestPointStage:
    """Estimates one right hand."""

    def __init__(self, models: Path | None = None, backend: str = 'auto', threads: int | None = None) -> None:
        right = HandModel.load()
        self._models = {'right': right, 'left': right.mirrored()}
        self.timings: dict[str, float] = {}

    def hand_model(self, side: str) -> HandModel:
        return self._models[side]

    def warm_up(self) -> None:
        """Needs none."""

    def reset(self) -> None:
        """Tracks nothing."""

    def __call__(
        self, depth: np.ndarray, camera: Pinhole, stamp: float, regions: Sequence[Region] | None = None
    ) -> list[HandEstimate]:
        begun = time.perf_counter()
        row, column = np.unravel_index(np.where(depth > 0, depth, np.inf).argmin(), depth.shape)
        pose, shape = np.zeros(48, np.float32), np.zeros(10, np.float32)
        wrist = camera.unproject(np.array([column, row]), depth[row, column]).astype(np.float32)
        model = self._models['right']
        place = wrist - model.joints[0]
        posed = model.forward(pose, shape, place)
        self.timings = {'total': time.perf_counter() - begun}
        scores = np.ones(21, np.float32)
        return [HandEstimate('right', 1, 0.9, posed.keypoints, scores, pose, shape, place, posed.vertices)]
