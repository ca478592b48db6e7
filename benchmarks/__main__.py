# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks` measures this machine; `python -m benchmarks --table` prints the results of all machines."""

from __future__ import annotations

import dataclasses
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

import tyro

from benchmarks import report
from benchmarks import results
from benchmarks.contact_cost import CostError
from benchmarks.machine import commit
from benchmarks.machine import load
from benchmarks.machine import this_machine
from benchmarks.parts import parts
from benchmarks.parts import Run
from benchmarks.peers import environment
from benchmarks.peers.environment import PeerError
from benchmarks.results import OtherMachineError
from hoi_ros.engines import EngineError
from hoi_ros.playback.session import SessionError

_VIDEO = Path('../shared/data/rgb_hand_video/human_hand_video.mp4')


def _default_parts() -> tuple[str, ...]:
    return tuple(name for name, part in parts().items() if part.default)


@dataclasses.dataclass(frozen=True)
class BenchmarkConfig:
    """Measure speed and cost on this machine, which should be idle otherwise."""

    seconds: float = 60.0
    """Length of each run at 30 Hz; the other parts take half of it or less, all together about six times as long."""
    parts: tuple[str, ...] = dataclasses.field(default_factory=_default_parts)
    """Parts to measure; the figures of the other parts stay in the file. `mediapipe`, which the default leaves out,
    times MediaPipe's hand tracker in turns with the stages."""
    name: str = ''
    """Name of the machine and of its file; made of processor and cores where not given."""
    out: Path = results.FOLDER
    """Folder of the results."""
    logs: Path = Path('out/benchmarks')
    """Folder for the output of the processes."""
    video: Path = _VIDEO
    """Video of one hand, for the part `mediapipe`."""
    install_peers: bool = False
    """Install MediaPipe from the package index into an environment of its own, out/mediapipe, before measuring."""
    table: bool = False
    """Measure nothing; print the results of all machines as a Markdown table."""

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= 3600:
            raise ValueError(f'--seconds is {self.seconds}, expected 1 to 3600')
        if unknown := [part for part in self.parts if part not in parts()]:
            raise ValueError(f'--parts has {unknown[0]!r}, expected some of {", ".join(parts())}')


def run(config: BenchmarkConfig) -> Path:
    """Measures the parts one after the other and returns the file, which is written after each part.

    Raises:
        PeerError, SessionError, CostError: a process does not do its part.
        EngineError: a model is missing or damaged.
        OtherMachineError: the file is that of another machine.
    """
    if config.install_peers:
        environment.install(say=_say)
    machine = this_machine()
    print(f'{machine.cpu}, {machine.cores} cores, {load():.1f} of them busy', flush=True)
    path = config.out
    for name in config.parts:
        print(f'measuring: {name}', flush=True)
        measured = {
            'commit': commit(),
            'load_before': load(),
            'taken': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
        }
        figures = parts()[name].measure(Run(config.seconds, config.logs / name, config.video, _say))
        path = results.save(config.name or machine.slug, machine, name, measured, figures, config.out)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 where a process does not do its part, or there is no result to show."""
    config = tyro.cli(BenchmarkConfig, args=arguments, prog='python -m benchmarks')
    try:
        if not config.table:
            print(f'written  {run(config)}')
        print(report.table(config.out))
    except (SessionError, PeerError, CostError, EngineError, OtherMachineError, FileNotFoundError) as error:
        print(f'benchmarks: {error}', file=sys.stderr)
        return 1
    return 0


def _say(text: str) -> None:
    print(f'  ... {text}', flush=True)


if __name__ == '__main__':
    sys.exit(main())
