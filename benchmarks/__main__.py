# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks`: measures everything on this machine; `--table` prints what was measured on all."""

from __future__ import annotations

import dataclasses
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import get_args
from typing import Literal

import tyro

from benchmarks import report
from benchmarks.machine import commit
from benchmarks.machine import load
from benchmarks.machine import this_machine
from hoi_ros.playback.session import SessionError

Part = Literal['topics', 'overload', 'stage', 'networks', 'generator', 'reconstruction_topics', 'reconstruction_stage']

_RATE, _OVERLOAD = 30.0, 120.0  # images a second


@dataclasses.dataclass(frozen=True)
class BenchmarkConfig:
    """Measure speed and cost on this machine, which should do nothing else meanwhile."""

    seconds: float = 60.0
    """Length of the run at 30 Hz; the other parts take half of it or less, all together some 6 times as long."""
    parts: tuple[Part, ...] = get_args(Part)
    """What to measure; the figures of the other parts stay in the file."""
    name: str = ''
    """Name of the machine, which is that of its file; made of processor and cores where not given."""
    out: Path = report.RESULTS
    """Folder of the results."""
    logs: Path = Path('out/benchmarks')
    """Folder for what the nodes say."""
    table: bool = False
    """Measure nothing; print the results of all machines as a Markdown table."""

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= 3600:
            raise ValueError(f'--seconds is {self.seconds}, expected 1 to 3600')


def run(config: BenchmarkConfig) -> Path:
    """Measures the parts one after the other; returns the file, which is written after each."""
    machine = this_machine()
    print(f'{machine.cpu}, {machine.cores} cores, {load():.1f} of them busy', flush=True)
    path = config.out
    for part in config.parts:
        print(f'measuring: {part}', flush=True)
        measured = {
            'commit': commit(),
            'load_before': load(),
            'taken': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
        }
        path = report.save(config.name or machine.slug, machine, part, measured, _measure(part, config), config.out)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 where a node does not do its part, or there is no result to show."""
    config = tyro.cli(BenchmarkConfig, args=arguments, prog='python -m benchmarks')
    try:
        if not config.table:
            print(f'written  {run(config)}')
        print(report.table(config.out))
    except (SessionError, FileNotFoundError) as error:
        print(f'benchmarks: {error}', file=sys.stderr)
        return 1
    return 0


def _measure(part: Part, config: BenchmarkConfig) -> Any:
    """The figures of one part, which loads what it needs: the generator's workers load this module, too."""
    from benchmarks import generator_speed
    from benchmarks import network_speed
    from benchmarks import stage_speed
    from benchmarks import topics

    match part:
        case 'topics':
            return topics.measure('depth_pose', _RATE, config.seconds, config.logs / part, _say)
        case 'overload':
            return topics.measure('depth_pose', _OVERLOAD, config.seconds / 2, config.logs / part, _say)
        case 'reconstruction_topics':
            return topics.measure('reconstruction', _RATE, config.seconds, config.logs / part, _say)
        case 'reconstruction_stage':
            return stage_speed.measure_reconstruction(config.seconds / 2)
        case 'stage':
            return stage_speed.measure(config.seconds / 2)
        case 'networks':
            return network_speed.measure(config.seconds / 2)
        case 'generator':
            return generator_speed.measure(config.seconds / 4)


def _say(text: str) -> None:
    print(f'  ... {text}', flush=True)


if __name__ == '__main__':
    sys.exit(main())
