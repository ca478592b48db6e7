# SPDX-License-Identifier: Apache-2.0
"""Runs a stage's node behind a camera, both as processes over DDS, and shows how well it does.

    python -m hoi_ros.demo                                          # a simulated camera, whose truth is known
    python -m hoi_ros.demo --data DIR --camera camera.yaml          # recorded depth images
    python -m hoi_ros.demo --stage reconstruction                   # a hand that holds a can, in colour and depth
    python -m hoi_ros.demo --stage reconstruction --data DIR        # recorded colours; or rgb/ and depth/ in DIR

prints a table and writes a picture and a video of the hands. Nodes of the same machine do not get in the way: the
demo has a ROS domain of its own.
"""

from __future__ import annotations

import dataclasses
import math
import signal
import sys
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from hoi_ros.playback.image_folder import ImageFolderError
from hoi_ros.playback.image_folder import unpack_video
from hoi_ros.playback.image_folder import VIDEO_SUFFIXES
from hoi_ros.playback.overlay import colour_depth
from hoi_ros.playback.overlay import draw_hands
from hoi_ros.playback.overlay import VideoWriter
from hoi_ros.playback.recording import Picture
from hoi_ros.playback.recording import Recording
from hoi_ros.playback.recording import traffic_of
from hoi_ros.playback.recording import truth_agreement
from hoi_ros.playback.replay import StageEntry
from hoi_ros.playback.replay import STAGES
from hoi_ros.playback.session import Session
from hoi_ros.playback.session import SessionError
from hoi_ros.playback.session import SIMULATED_CAMERA
from hoi_ros.playback.session import StartTimes
from hoi_ros.simulation.surface_agreement import surface_agreement
from hoi_ros.simulation.surface_agreement import SurfaceAgreement

Row = tuple[str, str]

_RATE = 30.0
_PICTURES = 100
_PICTURE_RATE = _RATE / 3  # the recorder keeps every third image
_LOOP = 8.0  # seconds of simulated movements
_MILLIMETRE = 0.001
_CALIBRATIONS = Path(__file__).parents[2] / 'tests' / 'data'
_KNOWN_FOLDERS = {
    'depth_sr305': (_CALIBRATIONS / 'sr305_camera.yaml', 0.000125),
    'rgb_hand_video': (_CALIBRATIONS / 'rgb_hand_video_camera.yaml', _MILLIMETRE),
}
"""Recordings that come without calibration: by the folder's name, the calibration and the metres of one unit."""


class DemoError(ValueError):
    """The command line asks for something that cannot be done."""


@dataclasses.dataclass(frozen=True)
class DemoConfig:
    """Show a stage at work: on a simulated camera, or on a folder of images."""

    stage: str = 'depth_pose'
    """What to show."""
    seconds: float = 20.0
    """How long to measure."""
    side: Literal['right', 'left', 'both'] = 'right'
    """The hands before the simulated camera."""
    object: Literal['none', 'can', 'box', 'ball'] | None = None
    """What they hold; a can where the stage sees objects, else nothing, where not given."""
    data: Path | None = None
    """Folder to publish instead of simulated images: depth images; for a stage that looks at colours those, or a
    video, or subfolders rgb and depth."""
    camera: Path | None = None
    """ROS calibration file of their camera; camera.yaml in the folder where not given."""
    depth_scale: float | None = None
    """Metres of one unit of the depth images; 0.001 where not given."""
    out: Path = Path('out/demo')
    """Folder for the picture, the video and what the nodes say."""

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise DemoError(f'--stage is {self.stage!r}, expected {" or ".join(STAGES)}')
        if not 1 <= self.seconds <= 3600:
            raise DemoError(f'--seconds is {self.seconds}, expected 1 to 3600')

    def camera_arguments(self) -> tuple[str, ...]:
        """What Python is to run as the camera.

        Raises:
            DemoError: the folder is missing, or its calibration.
        """
        if self.data is None:
            # No more pictures are rendered than are shown.
            loop = min(_LOOP, self.seconds)
            held = self.object or ('can' if STAGES[self.stage].sees_objects else 'none')
            return (
                *SIMULATED_CAMERA,
                '-p',
                f'rate:={_RATE}',
                '-p',
                f'loop:={loop}',
                '-p',
                f'side:={self.side}',
                '-p',
                f'object:={held}',
            )
        if not self.data.is_dir():
            raise DemoError(f'{self.data} is no folder: give one of images')
        beside = self.data / 'camera.yaml'
        known, known_scale = _KNOWN_FOLDERS.get(self.data.resolve().name, (None, _MILLIMETRE))
        calibrations = [self.camera] if self.camera else [beside, known]
        calibration = next((path for path in calibrations if path and path.is_file()), None)
        if calibration is None:
            raise DemoError(
                f'{self.camera or beside} is missing: give the ROS calibration file of the camera with --camera'
            )
        folders = self._folders(self.data)
        arguments = [text for name, folder in folders.items() for text in (f'--{name}', str(folder))]
        if 'depth' in folders:
            arguments += ['--depth-scale', str(self.depth_scale or known_scale)]
        return (
            '-m',
            'hoi_ros.replay',
            '--ros',
            '--loop',
            *arguments,
            '--camera',
            str(calibration),
            '--rate',
            str(_RATE),
        )

    def _folders(self, data: Path) -> dict[str, Path]:
        """The folders of 'depth' and 'rgb' images that the stage looks at."""
        if 'colour' not in STAGES[self.stage].inputs:
            return {'depth': data}
        if (data / 'rgb').is_dir():
            return {name: data / name for name in ('depth', 'rgb') if (data / name).is_dir()}
        videos = [path for path in sorted(data.iterdir()) if path.suffix.lower() in VIDEO_SUFFIXES]
        if not videos:
            return {'rgb': data}
        if len(videos) > 1:
            raise DemoError(f'{data} holds {len(videos)} videos, expected one: give a folder with the one to show')
        _say(f'unpacking {videos[0]}')
        try:
            return {'rgb': unpack_video(videos[0], self.out / 'frames')}
        except ImageFolderError as error:
            raise DemoError(str(error)) from error


def demo(config: DemoConfig) -> int:
    """Measures, prints and draws; 0 where at least one hand came out.

    Raises:
        DemoError: the configuration names what is not there.
        SessionError: a process does not do its part.
    """
    print(f'{config.stage} on {config.data or "a simulated camera"}', flush=True)
    kind = STAGES[config.stage].inputs[0]
    with Session(config.stage, config.camera_arguments(), config.out, _PICTURES, kind, _say) as session:
        start = session.start_stage()
        session.start_camera()
        _say(
            f'measuring for {config.seconds:.0f} s; look on with ROS_DOMAIN_ID={session.domain} '
            'ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST'
        )
        recording = session.record(config.seconds)
    rows = traffic_rows(recording)
    if any(answer.hands for answer in recording.answers):
        rows += _agreement_rows(recording, STAGES[config.stage], bool(config.data))
    print_table(rows + node_rows(recording, start))
    if not any(answer.hands for answer in recording.answers):
        print(
            f'demo: no hand came out. The node says: {recording.diagnostics or "nothing"}; more in '
            f'{config.out}/{config.stage}.log',
            file=sys.stderr,
        )
        return 1
    if recording.pictures:
        picture, video = (config.out / f'{config.stage}{suffix}' for suffix in ('.png', '.mp4'))
        draw(recording, picture, video)
        print(f'written  {picture}, {video}')
    return 0


def traffic_rows(recording: Recording) -> list[Row]:
    """Frames, rates and latency."""
    traffic = traffic_of(recording)
    return [
        ('frames in', f'{traffic.frames_in} ({traffic.input_hz:.1f} a second)'),
        ('frames out', f'{traffic.frames_out} ({traffic.output_hz:.1f} a second), {traffic.with_hands} with hands'),
        ('frames dropped', f'{traffic.dropped}'),
        ('camera to topic', f'p50 {traffic.latency_p50_ms:.1f} ms, p99 {traffic.latency_p99_ms:.1f} ms'),
    ]


def truth_rows(recording: Recording, objects: bool = False) -> list[Row]:
    """How near the hands, and the objects in them, are to the simulated truth."""
    agreement = truth_agreement(recording)
    rows = [
        ('hands found', f'{_share(agreement.found, agreement.true_hands)}, {agreement.false_hands} false'),
        ('side right', _share(agreement.side_right, agreement.found)),
        ('mean joint error', f'{agreement.mean_joint_error_mm:.1f} mm'),
    ]
    if objects:
        found = _share(agreement.objects_found, agreement.true_objects)
        rows += [
            ('from the wrist', f'{agreement.mean_relative_joint_error_mm:.1f} mm'),
            ('objects found', f'{found}, {agreement.false_objects} false'),
            ('object centre', f'{agreement.mean_object_error_mm:.1f} mm off'),
        ]
    return rows


def seen_rows(recording: Recording) -> list[Row]:
    """What was seen, where no truth is known."""
    hands = [hand for answer in recording.answers for hand in answer.hands]
    by_depth = sum(hand.located_by == 'depth' for hand in hands)
    return [
        _sides(recording),
        ('located by', f'depth {_share(by_depth, len(hands))}, else the size of the hand'),
        ('hold something', _share(sum(hand.held is not None for hand in hands), len(hands))),
    ]


def surface_rows(recording: Recording) -> list[Row]:
    """How near the meshes are to the observed surface."""
    agreements = list(_surfaces(recording))
    residuals = [agreement.residual_mm for agreement in agreements if not math.isnan(agreement.residual_mm)]
    ious = [agreement.silhouette_iou for agreement in agreements]
    rows = [_sides(recording)]
    if agreements:
        distance = f'{np.median(residuals):.1f} mm, worst {max(residuals):.1f} mm' if residuals else 'nothing in common'
        rows += [
            ('mesh to depth', f'{distance} ({len(agreements)} hands)'),
            ('silhouette IoU', f'{np.mean(ious):.2f}, worst {min(ious):.2f}'),
        ]
    return rows


def node_rows(recording: Recording, start: StartTimes) -> list[Row]:
    """What the node takes."""
    return [
        ('node memory', f'{recording.memory_mb:.0f} MB'),
        ('node processor', f'{recording.cpu:.2f} cores'),
        (
            'node start',
            f'{start.ready_s:.1f} s (configure {start.configure_s:.1f}, activate '
            f'{start.activate_s:.1f}), after {start.process_s:.1f} s to appear',
        ),
    ]


def print_table(rows: Iterable[Row]) -> None:
    """Two columns."""
    for name, value in rows:
        print(f'  {name:18} {value}')


def draw(recording: Recording, picture: Path, video: Path) -> None:
    """Draws the hands over the kept images: a video of all, a picture of one in the middle that has hands."""
    sample = np.concatenate([kept.image[::8, ::8].ravel() for kept in recording.pictures])
    nearest, farthest = np.percentile(sample[sample > 0], [1, 99]).tolist() if (sample > 0).any() else (0.0, 1.0)

    def drawn(kept: Picture) -> np.ndarray:
        image = colour_depth(kept.image, nearest, farthest) if kept.image.ndim == 2 else kept.image
        return draw_hands(
            image, recording.hands_at(kept.stamp), kept.camera, recording.faces, recording.faces.get('object')
        )

    with VideoWriter(video, _PICTURE_RATE) as writer:
        for kept in recording.pictures:
            writer.write(drawn(kept))
    shown = [kept for kept in recording.pictures if recording.hands_at(kept.stamp)] or recording.pictures
    if not cv2.imwrite(str(picture), cv2.cvtColor(drawn(shown[len(shown) // 2]), cv2.COLOR_RGB2BGR)):
        raise OSError(f'{picture}: the picture cannot be written')


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 where a hand came out, 130 after Ctrl-C or SIGTERM."""
    import tyro

    # A shell starts a background job with SIGINT ignored; whoever sends it all the same means it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return demo(tyro.cli(DemoConfig, args=arguments, prog='python -m hoi_ros.demo'))
    except (DemoError, SessionError) as error:
        print(f'demo: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('demo: interrupted', file=sys.stderr)
        return 130


def _surfaces(recording: Recording) -> Iterable[SurfaceAgreement]:
    for kept in recording.pictures:
        for hand in recording.hands_at(kept.stamp):
            if len(hand.vertices):
                yield surface_agreement(hand.vertices, recording.faces[hand.side], hand.joints, kept.image, kept.camera)


def _agreement_rows(recording: Recording, stage: StageEntry, recorded: bool) -> list[Row]:
    if not recorded:
        return truth_rows(recording, stage.sees_objects)
    return surface_rows(recording) if stage.inputs[0] == 'depth' else seen_rows(recording)


def _sides(recording: Recording) -> Row:
    sides = [hand.side for answer in recording.answers for hand in answer.hands]
    return 'sides', ', '.join(f'{side} {_share(sides.count(side), len(sides))}' for side in sorted(set(sides)))


def _share(part: int, whole: int) -> str:
    return f'{100 * part / whole:.1f} %' if whole else 'none'


def _say(text: str) -> None:
    print(f'  ... {text}', flush=True)


if __name__ == '__main__':
    sys.exit(main())
