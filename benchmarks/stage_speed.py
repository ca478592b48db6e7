# SPDX-License-Identifier: Apache-2.0
"""The stage alone: a depth image of 640×480 pixels in, hands with their meshes out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from benchmarks.timing import Clock
from benchmarks.timing import Spread
from benchmarks.timing import time_calls
from hoi_ros.camera import Pinhole
from hoi_ros.camera.sensor import SensorModel
from hoi_ros.camera.simulated import SimulatedCamera
from hoi_ros.camera.simulated_hand import HandMotion
from hoi_ros.hand import HandModel
from hoi_ros.stages.depth_pose import DepthPoseStage

CAMERA = Pinhole(640, 480, 610.0, 610.0, 319.5, 239.5)
_RATE = 30.0
_SIDES = {'one hand': ('right',), 'two hands': ('right', 'left'), 'no hand': ()}
_ASIDE = {'right': -0.2, 'left': 0.2}


class Stage(Protocol):
    """A stage that reads depth."""

    timings: dict[str, float]

    def __call__(self, depth: np.ndarray, camera: Pinhole, stamp: float) -> Sequence[object]:
        """The hands in an image."""

    def reset(self) -> None:
        """Forgets the hands that were followed."""


@dataclasses.dataclass(frozen=True)
class StageSpeed:
    """Times of the calls, of their parts, and what was found in them: a stage that finds nothing is soon done."""

    total: Spread
    parts_p50_ms: dict[str, float]
    hands_a_frame: float


def stage_speed(stage: Stage, frames: Sequence[np.ndarray], seconds: float, tracking: bool,
                clock: Clock = time.perf_counter) -> StageSpeed:
    """Times a stage on depth images (H, W), metres, shown over and over at 30 Hz.

    Args:
        stage: what is timed.
        frames: one after the other in time.
        seconds: to spend.
        tracking: whether the stage may follow the hands from frame to frame; else each frame is its first.
        clock: seconds.
    """
    found: list[int] = []
    parts: list[dict[str, float]] = []

    def read(number: int) -> None:
        # To and fro, so that the hand does not jump where the frames start over.
        place = number % (2 * len(frames))
        frame = frames[place if place < len(frames) else 2 * len(frames) - 1 - place]
        found.append(len(stage(frame, CAMERA, number / _RATE)))
        parts.append(stage.timings)

    stage.reset()
    times = time_calls(read, seconds, None if tracking else lambda number: stage.reset(), clock=clock)
    counted = slice(-len(times), None)  # without the calls that warmed up
    medians = {name: float(np.median([part[name] for part in parts[counted]])) * 1e3 for name in parts[-1]}
    return StageSpeed(Spread.of(times), medians, float(np.mean(found[counted])))


def simulated_frames(sides: Sequence[str], count: int) -> list[np.ndarray]:
    """The first frames of a simulated camera at 30 Hz: (480, 640) metres, 0 invalid, with a real camera's noise."""
    model = HandModel.load()
    motions = [HandMotion(model, side, aside=_ASIDE[side] if len(sides) > 1 else 0.0) for side in sides or ('right',)]
    simulated = SimulatedCamera(CAMERA, motions, SensorModel())
    depth, colour = np.zeros((480, 640), np.uint16), np.zeros((480, 640, 3), np.uint8)
    frames = []
    for index in range(count):
        view = simulated.look(index / _RATE)
        if not sides:
            view = dataclasses.replace(view, depth=view.depth[:0], shade=view.shade[:0])
        simulated.paint(view, depth, colour)
        frames.append(depth * np.float32(0.001))
    return frames


def measure(seconds: float, frames: int = 60) -> dict[str, StageSpeed]:
    """Times `depth_pose` on simulated frames, `seconds` in all."""
    stage = DepthPoseStage()
    stage.warm_up()
    share = seconds / (len(_SIDES) + 1)
    results = {}
    for name, sides in _SIDES.items():
        shown = simulated_frames(sides, frames)
        results[name] = stage_speed(stage, shown, share, tracking=True)
        if name == 'one hand':
            results['one hand, first frame'] = stage_speed(stage, shown, share, tracking=False)
    return results
