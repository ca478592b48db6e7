# SPDX-License-Identifier: Apache-2.0
"""Time of a stage alone: images in, estimates with their meshes out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.stage_frames import Frame
from benchmarks.stage_frames import RATE
from benchmarks.stage_frames import simulated_frames
from benchmarks.timing import Clock
from benchmarks.timing import Spread
from benchmarks.timing import time_calls
from benchmarks.timing import WARM_UP
from hoi_ros.playback.stage_chain import load_pipeline
from hoi_ros.systems import Stage
from hoi_ros.systems import System

_TURNS = 5
"""Turns of each case."""


@dataclasses.dataclass(frozen=True)
class Case:
    """The hands in view, and whether the stage may track them from frame to frame."""

    sides: tuple[str, ...]
    tracking: bool = True


ONE_HAND, FIRST_FRAME, TWO_HANDS, NO_HAND = 'one hand', 'one hand, first frame', 'two hands', 'no hand'
CASES = {
    ONE_HAND: Case(('right',)),
    FIRST_FRAME: Case(('right',), tracking=False),
    TWO_HANDS: Case(('right', 'left')),
    NO_HAND: Case(()),
}


@dataclasses.dataclass(frozen=True)
class StageSpeed:
    """Times of the calls and of their parts, and the hands that they returned: a stage that finds none is fast. The
    median of a part is that of the calls that have it."""

    total: Spread
    parts_p50_ms: dict[str, float]
    hands_a_frame: float


@dataclasses.dataclass(frozen=True)
class Turn:
    """Consecutive calls.

    Attributes:
        seconds: of each call that counts.
        cpu: processor seconds of the process per call that counts, all its threads together.
        hands: number found by each call that counts.
    """

    seconds: list[float]
    cpu: float
    hands: list[int]


class StageRun:
    """Shows frames to a stage over and over at 30 Hz, in turns, and collects the times.

    Args:
        stage: is timed.
        frames: consecutive in time.
        tracking: whether the stage may track the hands from frame to frame; else each frame is its first.
        clock: seconds.
    """

    def __init__(
        self, stage: Stage, frames: Sequence[Frame], tracking: bool = True, clock: Clock = time.perf_counter
    ) -> None:
        self._stage, self._frames, self._tracking, self._clock = stage, frames, tracking, clock
        self._number = 0
        self._times: list[float] = []
        self._hands: list[int] = []
        self._parts: list[dict[str, float]] = []

    def take_turn(self, seconds: float) -> Turn:
        """Times calls for `seconds`, after calls that warm up and let the stage find the hands."""
        hands: list[int] = []
        parts: list[dict[str, float]] = []
        cpu: list[float] = []

        def prepare(number: int) -> None:
            if not self._tracking:
                self._stage.reset()
            cpu.append(time.process_time())

        def call(number: int) -> None:
            frame = self._frames[to_and_fro(self._number, len(self._frames))]
            estimates = self._stage(*frame.images, frame.camera, self._number / RATE, **frame.optional)
            hands.append(len(estimates))
            parts.append(self._stage.timings)
            self._number += 1

        self._stage.reset()
        times = time_calls(call, seconds, prepare, WARM_UP, self._clock)
        used = time.process_time() - cpu[WARM_UP]
        counted = slice(WARM_UP, None)
        self._times += times
        self._hands += hands[counted]
        self._parts += parts[counted]
        return Turn(times, used / len(times), hands[counted])

    def speed(self) -> StageSpeed:
        """Of all turns together.

        Raises:
            ValueError: no turn was taken.
        """
        total = Spread.of(self._times)
        names = dict.fromkeys(name for parts in self._parts for name in parts)
        medians = {name: 1e3 * float(np.median([part[name] for part in self._parts if name in part])) for name in names}
        return StageSpeed(total, medians, float(np.mean(self._hands)))


def measure(system: System, seconds: float, frames: int = 60) -> dict[str, StageSpeed]:
    """Times the stage of a system on simulated frames, behind those that it stands on, each case in turns with the
    others.

    Args:
        system: it, or the system that it stands on, reads an image.
        seconds: of all cases together.
        frames: of each case, shown to and fro.
    """
    stage = load_pipeline(system)
    stage.warm_up()
    views = dict.fromkeys(case.sides for case in CASES.values())
    shown = {sides: simulated_frames(system, sides, frames) for sides in views}
    runs = {name: StageRun(stage, shown[case.sides], case.tracking) for name, case in CASES.items()}
    for _ in range(_TURNS):
        for run in runs.values():
            run.take_turn(seconds / len(runs) / _TURNS)
    return {name: run.speed() for name, run in runs.items()}


def to_and_fro(number: int, count: int) -> int:
    """Index of the frame of a call: forwards, then backwards, so that the hand does not jump between the ends."""
    place = number % (2 * count)
    return place if place < count else 2 * count - 1 - place
