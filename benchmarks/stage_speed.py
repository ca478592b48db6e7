# SPDX-License-Identifier: Apache-2.0
"""The stages alone: images of 640×480 pixels in, hands with their meshes out, and what they hold."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import Protocol
from typing import TypeVar

import numpy as np

from benchmarks.timing import Clock
from benchmarks.timing import Spread
from benchmarks.timing import time_calls
from hoi_ros.camera import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.simulation.camera import SimulatedCamera
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.simulation.held_solid import Can
from hoi_ros.simulation.held_solid import Solid
from hoi_ros.simulation.sensor import SensorModel
from hoi_ros.stages.depth_pose import DepthPoseStage
from hoi_ros.stages.reconstruction import ReconstructionStage

CAMERA = Pinhole(640, 480, 610.0, 610.0, 319.5, 239.5)
Frame = TypeVar('Frame', contravariant=True)
_RATE = 30.0
_SIDES = {'one hand': ('right',), 'two hands': ('right', 'left'), 'no hand': ()}
_ASIDE = {'right': -0.2, 'left': 0.2}


@dataclasses.dataclass(frozen=True)
class ColourAndDepth:
    """Colours (480, 640, 3) uint8 RGB and depth (480, 640) metres, 0 invalid."""

    colour: np.ndarray
    depth: np.ndarray


class Stage(Protocol[Frame]):
    """A stage that reads frames of a kind: depth images, or colour and depth."""

    @property
    def timings(self) -> dict[str, float]:
        """Seconds that the parts of the last call took."""

    def __call__(self, frame: Frame, camera: Pinhole, stamp: float, /) -> Sequence[object]:
        """The hands in a frame."""

    def reset(self) -> None:
        """Forgets the hands that were followed."""


@dataclasses.dataclass(frozen=True)
class StageSpeed:
    """Times of the calls, of their parts, and what was found in them: a stage that finds nothing is soon done."""

    total: Spread
    parts_p50_ms: dict[str, float]
    hands_a_frame: float


def stage_speed(
    stage: Stage[Frame], frames: Sequence[Frame], seconds: float, tracking: bool, clock: Clock = time.perf_counter
) -> StageSpeed:
    """Times a stage on frames shown over and over at 30 Hz.

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


def simulated_frames(sides: Sequence[str], count: int, solid: Solid | None = None) -> list[ColourAndDepth]:
    """The first frames of a simulated camera at 30 Hz, its depth with a real camera's noise; each hand holds the solid
    where there is one."""
    model = HandModel.load()
    motions = [
        HandMotion(model, side, aside=_ASIDE[side] if len(sides) > 1 else 0.0, solid=solid)
        for side in sides or ('right',)
    ]
    simulated = SimulatedCamera(CAMERA, motions, SensorModel())
    frames = []
    for index in range(count):
        depth, colour = np.zeros((480, 640), np.uint16), np.zeros((480, 640, 3), np.uint8)
        view = simulated.look(index / _RATE)
        if not sides:
            view = dataclasses.replace(view, depth=view.depth[:0], shade=view.shade[:0])
        simulated.paint(view, depth, colour)
        frames.append(ColourAndDepth(colour, depth * np.float32(0.001)))
    return frames


def measure(seconds: float, frames: int = 60) -> dict[str, StageSpeed]:
    """Times `depth_pose` on simulated frames, `seconds` in all."""
    stage = DepthPoseStage()
    stage.warm_up()
    return _measure(stage, lambda sides: [frame.depth for frame in simulated_frames(sides, frames)], seconds)


def measure_reconstruction(seconds: float, frames: int = 60) -> dict[str, StageSpeed]:
    """Times `reconstruction` on simulated frames of hands that hold a can, in colour and depth, `seconds` in all."""
    stage = ReconstructionStage()
    stage.warm_up()
    return _measure(_WithDepth(stage), lambda sides: simulated_frames(sides, frames, Can()), seconds)


class _WithDepth:
    """A stage that reads colours, and depth by its name, as one that reads both as one frame."""

    def __init__(self, stage: ReconstructionStage) -> None:
        self._stage = stage
        self.reset = stage.reset

    @property
    def timings(self) -> dict[str, float]:
        return self._stage.timings

    def __call__(self, frame: ColourAndDepth, camera: Pinhole, stamp: float) -> Sequence[object]:
        return self._stage(frame.colour, camera, stamp, depth=frame.depth)


def _measure(
    stage: Stage[Any], frames_of: Callable[[Sequence[str]], Sequence[Any]], seconds: float
) -> dict[str, StageSpeed]:
    share = seconds / (len(_SIDES) + 1)
    results = {}
    for name, sides in _SIDES.items():
        shown = frames_of(sides)
        results[name] = stage_speed(stage, shown, share, tracking=True)
        if name == 'one hand':
            results['one hand, first frame'] = stage_speed(stage, shown, share, tracking=False)
    return results
