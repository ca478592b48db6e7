# SPDX-License-Identifier: Apache-2.0
"""A system behind the one that it stands on, against that one alone: over DDS in turns, and in one process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.stage_frames import RATE
from benchmarks.stage_frames import simulated_frames
from benchmarks.stage_speed import to_and_fro
from benchmarks.timing import Spread
from benchmarks.timing import time_in_turns
from benchmarks.timing import WARM_UP
from hoi_ros.engines import load_engine
from hoi_ros.playback.recording import Traffic
from hoi_ros.playback.recording import traffic_of
from hoi_ros.playback.session import Session
from hoi_ros.playback.session import simulated_camera
from hoi_ros.playback.stage_chain import load_pipeline
from hoi_ros.resources import model_dir
from hoi_ros.systems import System

TURNS = 3
"""Of the first node alone, and of the pipeline."""
_FRAMES, _VIEWS = 30, 2
"""Frames of the stages, shown to and fro, and crops of a tracked hand that the first network runs on in one batch."""
_NETWORK = 'network'
"""The part of a stage's time that its network takes, with what prepares its inputs."""


@dataclasses.dataclass(frozen=True)
class Turn:
    """One run of the first system's node alone, and one of the pipeline, with the same camera.

    Attributes:
        alone: the first node's traffic.
        pipeline: the last node's traffic.
        first: the first node's traffic in the pipeline.
        memory_mb, cpu_cores: of the last node.
    """

    alone: Traffic
    pipeline: Traffic
    first: Traffic
    memory_mb: float
    cpu_cores: float

    @property
    def p50_ratio(self) -> float:
        """Latency from the camera to the last topic, to that to the first node's topic alone."""
        return self.pipeline.latency_p50_ms / self.alone.latency_p50_ms


@dataclasses.dataclass(frozen=True)
class NetworkTimes:
    """The networks of both stages in one process, in turns; milliseconds.

    Attributes:
        own: of the last system, one hand, with what prepares its inputs.
        first: of the first system, one crop.
        first_views: the same on the two crops of a tracked hand.
        ratio, ratio_views: of the medians of `own` and the others.
    """

    own: Spread
    first: Spread
    first_views: Spread
    ratio: float
    ratio_views: float


@dataclasses.dataclass(frozen=True)
class PipelineFigures:
    """Medians over the turns; the turns themselves show the spread."""

    camera_hz: float
    seconds: float
    """Of each run."""
    output_hz: float
    alone_p50_ms: float
    pipeline_p50_ms: float
    p50_ratio: float
    memory_mb: float
    """The largest of the turns."""
    networks: NetworkTimes | None
    """None where the frames gave the last system's network nothing to do."""
    turns: Sequence[Turn]


def measure(
    system: System, camera_hz: float, seconds: float, logs: Path, say: Callable[[str], None] = print
) -> PipelineFigures:
    """Runs the node that a system stands on alone, then both, in turns; then times their networks.

    Args:
        system: it stands on another one.
        camera_hz: images a second.
        seconds: of all runs together.
        logs: folder for the output of the processes.
        say: receives progress lines.

    Raises:
        SessionError: a process does not start, ends, or sends nothing.
    """
    each = max(seconds / TURNS / 2, 1.0)
    turns = []
    for number in range(TURNS):
        say(f'turn {number + 1} of {TURNS}')
        turns.append(_turn(system, camera_hz, each, logs / str(number), say))
    return PipelineFigures(
        camera_hz,
        each,
        *(
            float(np.median([value(turn) for turn in turns]))
            for value in (
                lambda turn: turn.pipeline.output_hz,
                lambda turn: turn.alone.latency_p50_ms,
                lambda turn: turn.pipeline.latency_p50_ms,
                lambda turn: turn.p50_ratio,
            )
        ),
        max(turn.memory_mb for turn in turns),
        network_times(system, max(seconds / 10, 1.0)),
        turns,
    )


def network_times(system: System, seconds: float) -> NetworkTimes | None:
    """Times the networks of a system and of the one that it stands on, `seconds` each, on simulated frames of one hand.

    The first network runs on random crops: its time does not depend on what they show. None where the frames give the
    system's own network nothing to do, or its stage does not time it alone.
    """
    chain, frames = load_pipeline(system), simulated_frames(system, ('right',), _FRAMES)
    chain.warm_up()
    own: list[float] = []

    def run_stages(number: int) -> None:
        frame = frames[to_and_fro(number, _FRAMES)]
        chain(*frame.images, frame.camera, number / RATE, **frame.optional)
        if number >= WARM_UP:
            own.append(chain.timings.get(_NETWORK, 0.0))

    with load_engine(model_dir(system.below[-1].name)) as engine:
        engine.prepare(1, _VIEWS)
        rng = np.random.default_rng(0)
        crops = {
            count: {spec.name: rng.uniform(-1, 1, spec.sized(count)).astype(spec.dtype) for spec in engine.card.inputs}
            for count in (1, _VIEWS)
        }
        times = time_in_turns(
            {
                _NETWORK: run_stages,
                'first': lambda number: engine(**crops[1]),
                'views': lambda number: engine(**crops[_VIEWS]),
            },
            seconds,
        )
    if not any(own):
        return None
    spreads = [Spread.of([time for time in own if time > 0]), Spread.of(times['first']), Spread.of(times['views'])]
    return NetworkTimes(*spreads, *(spreads[0].p50_ms / spread.p50_ms for spread in spreads[1:]))


def _turn(system: System, camera_hz: float, seconds: float, logs: Path, say: Callable[[str], None]) -> Turn:
    first, camera = system.below[-1], simulated_camera(system, rate=float(camera_hz))
    with Session(first, camera, logs / first.name, say=say) as session:
        session.start_node()
        session.start_camera()
        alone = session.record(seconds)
    with Session(system, camera, logs / system.name, say=say) as session:
        session.start_node()
        session.start_camera()
        both = session.record(seconds)
    return Turn(
        traffic_of(alone),
        traffic_of(both),
        traffic_of(dataclasses.replace(both, answers=both.inputs)),
        both.memory_mb,
        both.cpu,
    )
