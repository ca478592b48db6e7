# SPDX-License-Identifier: Apache-2.0
"""The parts of a benchmark run, which follow from the systems' entries.

Each loads what it needs only when it is measured: the generator's worker processes load this module, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.own_files import has_own_module
from benchmarks.own_files import own_module
from hoi_ros.systems import DEFAULT
from hoi_ros.systems import System
from hoi_ros.systems import SYSTEMS

RATE, OVERLOAD = 30.0, 120.0
"""Images a second of the camera."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What a part is told.

    Attributes:
        seconds: length of the run at 30 Hz.
        logs: folder for the output of the processes that this part starts.
        video: shows one hand, for the peers.
        say: receives progress lines.
    """

    seconds: float
    logs: Path
    video: Path
    say: Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Part:
    """Measures figures: a data class, or data classes by name.

    Attributes:
        measure: takes the run's settings.
        default: whether a run without `--parts` has it.
    """

    measure: Callable[[Run], Any]
    default: bool = True


def stage_part(system: str) -> str:
    """Name of the part that times the stage of a system."""
    return f'{system}_stage'


def topics_part(system: str) -> str:
    """Name of the part that runs the node of a system behind a camera."""
    return f'{system}_topics'


def cost_part(system: str) -> str:
    """Name of the part that measures the cost of the networks of a system in PyTorch."""
    return f'{system}_cost'


def pipeline_part(system: str) -> str:
    """Name of the part that runs a system behind the one that it stands on, against that one alone."""
    return f'{system}_pipeline'


def parts() -> Mapping[str, Part]:
    """Every part by name, in order."""
    found: dict[str, Part] = {}
    for name, system in SYSTEMS.items():
        if system.source.images:
            found[topics_part(name)] = _topics(system, RATE)
        if system.source.images or has_own_module(name, 'stage'):
            found[stage_part(name)] = _stage(system)
        if system.below and system.source.images:
            found[pipeline_part(name)] = _pipeline(system)
        if has_own_module(name, 'cost'):
            found[cost_part(name)] = _cost(system)
    found['overload'] = _topics(SYSTEMS[DEFAULT], OVERLOAD)
    found['networks'] = Part(_networks)
    found['refinement'] = Part(_refinement)
    found['sampling'] = Part(_sampling)
    found['generator'] = Part(_generator)
    found['mediapipe'] = Part(_mediapipe, default=False)
    return found


def _topics(system: System, rate: float) -> Part:
    def measure(run: Run) -> Any:
        from benchmarks import topics

        seconds = run.seconds if rate == RATE else run.seconds / 2
        return topics.measure(system, rate, seconds, run.logs, run.say)

    return Part(measure)


def _pipeline(system: System) -> Part:
    def measure(run: Run) -> Any:
        from benchmarks import pipeline

        return pipeline.measure(system, RATE, run.seconds, run.logs, run.say)

    return Part(measure)


def _stage(system: System) -> Part:
    def measure(run: Run) -> Any:
        from benchmarks import stage_speed

        own = own_module(system.name, 'stage')
        return own.measure(run.seconds / 2) if own else stage_speed.measure(system, run.seconds / 2)

    return Part(measure)


def _cost(system: System) -> Part:
    def measure(run: Run) -> Any:
        own = own_module(system.name, 'cost')
        return own.measure() if own else {}

    return Part(measure, default=False)


def _networks(run: Run) -> Any:
    from benchmarks import network_speed

    return network_speed.measure(run.seconds / 2)


def _refinement(run: Run) -> Any:
    from benchmarks import refinement_speed

    return refinement_speed.measure(run.seconds / 2)


def _sampling(run: Run) -> Any:
    from benchmarks import two_hand_sampling

    return two_hand_sampling.measure(run.seconds / 2)


def _generator(run: Run) -> Any:
    from benchmarks import generator_speed

    return generator_speed.measure(run.seconds / 4)


def _mediapipe(run: Run) -> Any:
    from benchmarks.peers import comparison

    return comparison.measure(run.seconds, run.logs, run.video, say=run.say)
