# SPDX-License-Identifier: Apache-2.0
"""The stages beside MediaPipe's hand tracker: short turns after one another, on one machine in one state."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from benchmarks.peers import environment
from benchmarks.peers.environment import PeerError
from benchmarks.peers.tracker_process import TrackerProcess
from benchmarks.stage_frames import Frame
from benchmarks.stage_frames import simulated_frames
from benchmarks.stage_speed import CASES
from benchmarks.stage_speed import ONE_HAND
from benchmarks.stage_speed import StageRun
from benchmarks.stage_speed import Turn
from benchmarks.timing import Spread
from hoi_ros.camera import Pinhole
from hoi_ros.systems import SYSTEMS

SIZE = (640, 360)
"""Width and height of the tracker's frames, pixels."""
_FOCAL = 0.785
"""Assumed focal length of the video's unknown camera, as a share of the width: a field of view of 65 degrees."""
_FRAMES = 150
"""Frames of the video, shown to and fro."""
_TURN = 2.0
"""Longest turn, seconds."""
_FEWEST_TURNS = 3
_TRACKER = Path(__file__).with_name('mediapipe_tracker.py')


class Contestant(Protocol):
    """A tracker or a stage with its frames."""

    def take_turn(self, seconds: float) -> Turn:
        """Works for `seconds`."""


@dataclasses.dataclass(frozen=True)
class TrackerSpeed:
    """Times of one contestant over all turns.

    Attributes:
        total: wall time of a call.
        cpu_ms: processor time of a call, all threads together, median of the turns.
        hands_a_frame: mean.
    """

    total: Spread
    cpu_ms: float
    hands_a_frame: float


@dataclasses.dataclass(frozen=True)
class ComparedSpeed(TrackerSpeed):
    """Times of a stage, and their ratios to the tracker's: medians of the turns, each against the tracker's turn before
    it.

    Attributes:
        p50_ratio: of the median wall time.
        p50_ratio_range: lowest and highest of the turns.
        cpu_ratio: of the processor time.
    """

    p50_ratio: float
    p50_ratio_range: tuple[float, float]
    cpu_ratio: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A tracker and the stages beside it."""

    version: str
    frame_size: tuple[int, int]
    turns: int
    tracker: TrackerSpeed
    stages: dict[str, ComparedSpeed]


def measure(
    seconds: float,
    logs: Path,
    video: Path,
    folder: Path = environment.FOLDER,
    say: Callable[[str], None] = print,
) -> Comparison:
    """Times MediaPipe's tracker on a video and every stage with a camera on simulated frames of one tracked hand.

    A stage that needs only colours is also timed on the tracker's frames.

    Args:
        seconds: of all contestants together.
        logs: folder for the tracker's output.
        video: shows one hand.
        folder: MediaPipe's environment.
        say: receives progress lines.

    Raises:
        PeerError: the environment or the video is missing, or the tracker's process fails.
    """
    python = environment.interpreter(folder)
    frames = video_frames(video)
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / 'frames.npy'
        np.save(file, np.stack(frames))
        # -I: neither the variables of the project's environment nor the script's folder change what Python loads.
        with TrackerProcess([python, '-I', _TRACKER, file], logs / 'mediapipe.log') as tracker:
            return compare(tracker, _stages(frames), seconds, environment.VERSION, say)


def compare(
    tracker: Contestant,
    stages: Mapping[str, Contestant],
    seconds: float,
    version: str,
    say: Callable[[str], None] = print,
) -> Comparison:
    """Lets the tracker and the stages take turns of at most two seconds, `seconds` in all."""
    contestants = {'': tracker, **stages}
    turns = max(_FEWEST_TURNS, round(seconds / len(contestants) / _TURN))
    taken: dict[str, list[Turn]] = {name: [] for name in contestants}
    for number in range(turns):
        for name, contestant in contestants.items():
            taken[name].append(contestant.take_turn(seconds / len(contestants) / turns))
        medians = {name: 1e3 * float(np.median(done[-1].seconds)) for name, done in taken.items()}
        ours = ', '.join(f'{name} {medians[name]:.1f} ms' for name in stages)
        say(f'turn {number + 1} of {turns}: tracker {medians[""]:.1f} ms, {ours}')
    of_tracker = taken.pop('')
    return Comparison(
        version, SIZE, turns, _speed(of_tracker), {name: _compared(done, of_tracker) for name, done in taken.items()}
    )


def video_frames(video: Path, count: int = _FRAMES) -> list[np.ndarray]:
    """The first frames of a video, (360, 640, 3) uint8 RGB.

    Raises:
        PeerError: the video is missing or cannot be decoded.
    """
    if not video.is_file():
        raise PeerError(f'{video} is missing: give a video of one hand with --video')
    capture = cv2.VideoCapture(str(video))
    frames: list[np.ndarray] = []
    try:
        while len(frames) < count:
            more, image = capture.read()
            if not more:
                break
            small = cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA)
            frames.append(np.ascontiguousarray(small[..., ::-1]))
    finally:
        capture.release()
    if not frames:
        raise PeerError(f'{video} cannot be decoded: expected a video of one hand')
    return frames


def _stages(video: Sequence[np.ndarray]) -> dict[str, Contestant]:
    width, height = SIZE
    camera = Pinhole(width, height, _FOCAL * width, _FOCAL * width, (width - 1) / 2, (height - 1) / 2)
    runs: dict[str, Contestant] = {}
    for name, system in SYSTEMS.items():
        if not system.images:
            continue
        stage = system.load_stage(max_hands=1)  # as many as the tracker looks for
        stage.warm_up()
        runs[name] = StageRun(stage, simulated_frames(system, CASES[ONE_HAND].sides, 60))
        if system.images == ('colour',):
            runs[f"{name} on the tracker's frames"] = StageRun(stage, [Frame((image,), camera) for image in video])
    return runs


def _speed(turns: Sequence[Turn]) -> TrackerSpeed:
    return TrackerSpeed(
        Spread.of([second for turn in turns for second in turn.seconds]),
        1e3 * float(np.median([turn.cpu for turn in turns])),
        float(np.mean([count for turn in turns for count in turn.hands])),
    )


def _compared(turns: Sequence[Turn], tracker: Sequence[Turn]) -> ComparedSpeed:
    speed = _speed(turns)
    ratios = [float(np.median(own.seconds) / np.median(other.seconds)) for own, other in zip(turns, tracker)]
    cpu = float(np.median([own.cpu / other.cpu for own, other in zip(turns, tracker)]))
    return ComparedSpeed(
        speed.total, speed.cpu_ms, speed.hands_a_frame, float(np.median(ratios)), (min(ratios), max(ratios)), cpu
    )
