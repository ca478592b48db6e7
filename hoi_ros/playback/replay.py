# SPDX-License-Identifier: Apache-2.0
"""Runs a stage over a folder of images without ROS, or publishes the folder as camera topics.

    python -m hoi_ros.replay --depth DIR --camera camera.yaml --depth-scale 0.001 --out out/replay
    python -m hoi_ros.replay --stage reconstruction --rgb DIR [--depth DIR --depth-scale 0.001] [--camera camera.yaml]
    python -m hoi_ros.replay --grasps FILE.jsonl            see `hoi_ros.playback.grasp_replay`

writes `results.jsonl` (one object a frame) and `overlays/` (one picture a frame). A folder of photos needs no
calibration: each picture is on its own, of any size, and its camera has the field of view `--fov`.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
import math
import sys
import time
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from typing import Any

import numpy as np
import tyro

from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.camera.calibration import CameraCalibration
from hoi_ros.camera.rectified import Rectified
from hoi_ros.engines import Backend
from hoi_ros.engines import EngineError
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModelError
from hoi_ros.playback.cameras import camera_beside
from hoi_ros.playback.cameras import cameras_of
from hoi_ros.playback.cameras import depth_scale_of
from hoi_ros.playback.cameras import fault_of_camera
from hoi_ros.playback.cameras import FIELD_OF_VIEW
from hoi_ros.playback.cameras import note_on_camera
from hoi_ros.playback.command import make_folder
from hoi_ros.playback.command import run_command
from hoi_ros.playback.depth_range import DepthRange
from hoi_ros.playback.frame_reader import estimated
from hoi_ros.playback.frame_reader import FrameReader
from hoi_ros.playback.image_folder import FrameFiles
from hoi_ros.playback.image_folder import ImageFolderError
from hoi_ros.playback.image_folder import list_frames
from hoi_ros.playback.image_folder import USUAL_RATE
from hoi_ros.playback.overlays import overlay
from hoi_ros.playback.overlays import overlay_names
from hoi_ros.playback.overlays import OVERLAYS
from hoi_ros.playback.overlays import refuse_other_results
from hoi_ros.playback.overlays import remove_overlays
from hoi_ros.playback.overlays import RESULTS
from hoi_ros.playback.picture_files import write_picture
from hoi_ros.playback.results import camera_record
from hoi_ros.playback.results import hand_record
from hoi_ros.playback.results import interaction_record
from hoi_ros.playback.results import Reasons
from hoi_ros.playback.sequence import chosen_order
from hoi_ros.playback.sequence import Order
from hoi_ros.playback.sources import counted
from hoi_ros.playback.sources import left_out
from hoi_ros.playback.sources import opened
from hoi_ros.playback.stage_chain import first_stage
from hoi_ros.playback.stage_chain import load_pipeline
from hoi_ros.playback.stage_chain import StageChain
from hoi_ros.playback.summary import ReplaySummary
from hoi_ros.resources import ResourceError
from hoi_ros.stages.parts.following import HandFollowing
from hoi_ros.systems import DEFAULT
from hoi_ros.systems import Stage
from hoi_ros.systems import System
from hoi_ros.systems import system_of
from hoi_ros.systems import SYSTEMS

PICTURE_RATE = 1 / 1.1
"""Independent pictures a second on topics: a node ends its tracks after a pause of a second."""
MIN_SCORE = 0.5
"""Lowest score of a hand, as in the nodes."""


class ReplayError(ValueError):
    """An invalid command line."""


@dataclasses.dataclass(frozen=True)
class ReplayConfig:
    """Run a stage over a folder of images, or publish the folder as camera topics (--ros). With --grasps FILE, run it
    on given hands and objects instead: `--grasps FILE --help` lists those options."""

    camera: Path | None = None
    """ROS calibration file of the camera (image_width, camera_matrix, distortion_coefficients, ...); by default
    camera.yaml in the folder of images, else a camera of the field of view --fov is assumed."""
    fov: float | None = None
    """Field of view of images without a calibration, degrees across the longer side; 65 for colour images."""
    depth: Path | None = None
    """Folder of depth images: 16-bit PNG or TIFF, or 32-bit TIFF; folders below it count."""
    rgb: Path | None = None
    """Folder of colour images, aligned with the depth images and named as they are; or one image, a video, or a folder
    with a video."""
    rectified: Rectified = 'auto'
    """Whether the images are rectified, so that projection_matrix describes them; auto: if the folder is named so."""
    depth_scale: float | None = None
    """Metres of one unit of the depth images: 0.001 for millimetres. A calibration file may hold it as depth_scale."""
    independent: bool = False
    """Every picture is on its own: no hand is tracked from one to the next. The default where names are not numbered
    alike, as those of photos, or sizes differ."""
    sequence: bool = False
    """The pictures follow each other in time. The default where names are numbered alike and sizes are equal."""
    min_score: float = MIN_SCORE
    """A new hand, and any hand of an independent picture, below this score is not reported."""
    max_hands: int = 2
    """Largest number of hands in a picture."""
    stage: str = DEFAULT
    """The system whose stage runs."""
    out: Path = Path('out/replay')
    """Folder for results.jsonl and overlays/."""
    backend: Backend = 'auto'
    """What runs the network."""
    models: Path | None = None
    """Folder of models; the package's own by default, also for those that the folder lacks."""
    vertices: bool = False
    """Write the mesh's vertices, too."""
    rate: float | None = None
    """Frames a second, of the stamps and of the topics: those of a video, else 30, by default; with --ros one every
    1.1 s of independent pictures, after which a node tracks anew."""
    ros: bool = False
    """Publish the folder as camera topics instead of running a stage."""
    loop: bool = False
    """With --ros: repeat until interrupted."""
    video_rate: Annotated[float | None, tyro.conf.Suppress] = None
    """Frames a second of the video whose frames `rgb` holds; None where they are of none."""

    def __post_init__(self) -> None:
        if self.depth is None and self.rgb is None:
            raise ReplayError('neither --depth nor --rgb is given: name the folder of images')
        if fault := fault_of_camera(self.fov, self.depth_scale):
            raise ReplayError(fault)
        if self.depth is not None and self.metres_per_unit is None:
            raise ReplayError(
                '--depth comes without --depth-scale: say how many metres one unit is, 0.001 for millimetres'
            )
        if self.fov is not None and self.camera is not None:
            raise ReplayError('--fov and --camera exclude each other: the calibration file says the field of view')
        if self.loop and not self.ros:
            raise ReplayError('--loop comes without --ros: a stage sees each image once')
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise ReplayError(f'--rate is {self.rate}, expected frames a second above 0')
        if self.rgb is None and self.calibration is None and self.fov is None:
            raise ReplayError(
                '--depth comes without --camera: give the ROS calibration file of the camera, or its field of view '
                'with --fov'
            )
        if not 0 <= self.min_score <= 1:
            raise ReplayError(f'--min-score is {self.min_score}, expected 0 to 1')
        if not 1 <= self.max_hands <= 4:
            raise ReplayError(f'--max-hands is {self.max_hands}, expected 1 to 4')
        if self.independent and self.sequence:
            raise ReplayError('--independent and --sequence exclude each other: give one of them, or none')
        folders = {'depth': self.depth, 'colour': self.rgb}
        missing = [name for name in self.system.source.images if folders[name] is None]
        if missing and not self.ros:
            able = [name for name, system in SYSTEMS.items() if all(folders[kind] for kind in system.source.images)]
            other = f', or give --stage {" or ".join(able)}' if able else ''
            raise ReplayError(f'the stage {self.stage} needs {" and ".join(missing)} images: give their folder{other}')

    @property
    def system(self) -> System:
        """The entry of the system."""
        try:
            return system_of(self.stage)
        except ValueError as error:
            raise ReplayError(f'--stage: {error}') from error

    @property
    def calibration(self) -> Path | None:
        """The calibration file; None where a field of view is assumed."""
        return self.camera or camera_beside(self.rgb, self.depth)

    @property
    def cameras(self) -> Callable[[int, int], CameraCalibration]:
        """The calibration of an image of width × height pixels.

        Raises:
            CalibrationError: the calibration file is unusable.
        """
        return cameras_of(self.calibration, self.fov or FIELD_OF_VIEW, self.rectified, (self.depth, self.rgb))

    @property
    def metres_per_unit(self) -> float | None:
        """Of the depth images."""
        return self.depth_scale or depth_scale_of(self.calibration)

    def order(self, frames: Sequence[FrameFiles]) -> Order:
        """Whether the pictures are a sequence."""
        return chosen_order(frames, bool(self.video_rate), self.independent, self.sequence)

    def publishing_rate(self, order: Order) -> float:
        """Frames a second on topics."""
        return PICTURE_RATE if order.independent and not self.rate else self.frame_rate

    @property
    def frame_rate(self) -> float:
        """Frames a second of a sequence."""
        return self.rate or self.video_rate or USUAL_RATE


def replay(config: ReplayConfig, stage: Stage) -> ReplaySummary:
    """Runs a stage over every frame and writes `results.jsonl` and `overlays/` into `config.out`.

    A frame with a missing or unreadable image, or one of another shape than the camera's, becomes a line with an
    `error`; any other error ends the replay. Tracks end before each independent picture, and in a sequence where the
    folder or the size changes.

    Raises:
        ImageFolderError: a folder is missing, empty, or does not pair with the other, or an image lies where the
            overlays go.
        CalibrationError: the calibration file is unusable.
        OutputError: `config.out` can be no folder, or holds the results of something else.
    """
    system = config.system
    make_folder(config.out)
    refuse_other_results(config.out, 'image')
    reader = FrameReader(system, config.cameras, config.metres_per_unit or 1.0)
    frames = list_frames(config.depth, config.rgb)
    order = config.order(frames)
    print(order if order.frames == 'picture' else f'{counted(len(frames), "frame")}, {order}')
    _refuse_own_pictures(frames, config.out / OVERLAYS)
    for line in left_out(config.depth, config.rgb):
        print(line)
    if config.calibration is None:
        print(note_on_camera(None, config.fov))
    names = overlay_names([files.name for files in frames])
    faces = {side: np.asarray(stage.hand_model(side).faces) for side in ('right', 'left')}
    if system.has_objects:
        faces['object'] = np.asarray(stage.object_faces)
    times: list[float] = []
    found: list[HandEstimate] = []
    reasons = Reasons()
    without: list[str] = []
    depths = DepthRange()
    unreadable = with_hands = 0
    before: object = None
    tune(stage, config.min_score, config.max_hands)
    stage.warm_up()
    remove_overlays(config.out)
    told = time.monotonic()
    with (config.out / RESULTS).open('w', encoding='utf-8') as results:
        for index, files in enumerate(frames):
            stamp = round(index / config.frame_rate, 6)
            record: dict[str, Any] = {'image': files.name, 'stamp': stamp, 'hands': []}
            frame = reader.read(files)
            faults = [*frame.faults, *_lacking(config, files)]
            if faults:
                record['error'] = '; '.join(faults)
                for fault in faults:
                    reasons.add(fault)
            if frame.complete(system):
                recording = (Path(files.name).parent, frame.shown.camera)
                if order.independent or recording != before:
                    stage.reset()
                before = recording
                start = time.perf_counter()
                hands = estimated(stage, system, frame, stamp)
                times.append((time.perf_counter() - start) * 1e3)
                if order.independent:
                    hands = [hand for hand in hands if hand.score >= config.min_score]
                record['camera'] = camera_record(frame.views[system.source.images[0]].camera)
                record['hands'] = [hand_record(hand, config.vertices, system.has_objects) for hand in hands]
                if isinstance(stage, StageChain) and system.has_interaction:
                    record['interaction'] = interaction_record(stage.interaction)
                with_hands += bool(hands)
                found += hands
                if not hands:
                    without.append(files.name)
                    if 'depth' in system.source.images:
                        depths.add(frame.views['depth'].image)
                write_picture(
                    config.out / OVERLAYS / names[files.name],
                    overlay(frame.shown.image, hands, frame.shown.camera, faces),
                )
            else:
                unreadable += 1
            results.write(json.dumps(record, allow_nan=False) + '\n')
            if time.monotonic() - told > 5:
                told = time.monotonic()
                print(f'{index + 1} of {len(frames)} frames', file=sys.stderr)
    p50, p99 = np.percentile(times, [50, 99]).tolist() if times else (math.nan, math.nan)
    return ReplaySummary(
        len(frames),
        unreadable,
        with_hands,
        dict(collections.Counter(hand.side for hand in found)),
        float(np.mean([hand.score for hand in found])) if found else math.nan,
        p50,
        p99,
        len(frames) - unreadable if order.independent else 0,
        reasons.lines(),
        without,
        sum(hand.held is not None for hand in found) if system.has_objects else None,
        sum(hand.contact is not None for hand in found) if system.has_contact else None,
        '' if found else depths.hint(config.metres_per_unit),
    )


def _lacking(config: ReplayConfig, files: FrameFiles) -> list[str]:
    """What a frame lacks although its folder is given and the stage could use it."""
    folders = {'depth': (config.depth, files.depth), 'colour': (config.rgb, files.colour)}
    return [
        f'{files.name}: the frame has no {name} image: its hands are estimated without'
        for name in config.system.source.optional_images
        if folders[name][0] is not None and folders[name][1] is None
    ]


def _refuse_own_pictures(frames: Sequence[FrameFiles], overlays: Path) -> None:
    """Raises an ImageFolderError if an image of the frames lies in the folder that the overlays go to."""
    overlays = overlays.resolve()
    for file in (file for files in frames for file in (files.depth, files.colour) if file):
        if file.resolve().is_relative_to(overlays):
            raise ImageFolderError(
                f'{file} lies where this command writes its overlays: give another folder with --out, or move that '
                'folder away'
            )


def tune(stage: Stage, min_score: float, max_hands: int) -> None:
    """Sets the limits of a stage that tracks hands."""
    first = first_stage(stage)
    if isinstance(first, HandFollowing):
        first.min_score, first.max_hands = min_score, max_hands


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 if at least one frame was read. With --ros, the arguments after --ros-args go to ROS; with
    --grasps, `grasp_replay` runs instead."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if any(argument.partition('=')[0] == '--grasps' for argument in arguments):
        from hoi_ros.playback.grasp_replay import main as replay_grasps

        return replay_grasps(arguments)
    return run_command(
        'replay',
        functools.partial(_run, arguments),
        (ImageFolderError, CalibrationError, EngineError, HandModelError, ResourceError),
    )


def _run(arguments: Sequence[str]) -> int:
    end = arguments.index('--ros-args') if {'--ros', '--ros-args'} <= set(arguments) else len(arguments)
    config = tyro.cli(ReplayConfig, args=arguments[:end], prog='python -m hoi_ros.replay')
    if config.calibration and config.fov:
        print(note_on_camera(config.calibration, config.fov))
        config = dataclasses.replace(config, fov=None)
    if config.rgb is not None:
        rgb, video_rate = opened(config.rgb, config.out / 'frames')
        config = dataclasses.replace(
            config, rgb=rgb, video_rate=video_rate, camera=config.camera or camera_beside(config.rgb, config.depth)
        )
    if config.ros:
        from hoi_ros.playback.folder_publisher import publish_folder

        return publish_folder(config, arguments[end:])
    summary = replay(config, load_pipeline(config.system, backend=config.backend, models=config.models))
    print(summary)
    print(f'written to  {config.out}')
    return 0 if summary.unreadable < summary.frames else 1


if __name__ == '__main__':
    sys.exit(main())
