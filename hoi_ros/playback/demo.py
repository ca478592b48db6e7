# SPDX-License-Identifier: Apache-2.0
"""Runs the node of a system behind a camera, both as processes over DDS, and shows how well it does.

    python -m hoi_ros.demo                                          # a simulated camera, whose truth is known
    python -m hoi_ros.demo --data DIR --camera camera.yaml          # recorded depth images
    python -m hoi_ros.demo --stage reconstruction                   # a hand that holds a can, in colour and depth
    python -m hoi_ros.demo --stage reconstruction --data DIR        # recorded colours; or rgb/ and depth/ in DIR

prints a table and writes a picture and a video of the hands. The demo uses a ROS domain of its own, so other nodes on
the machine do not interfere.
"""

from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from hoi_ros.camera.rectified import Rectified
from hoi_ros.playback.image_folder import ImageFolderError
from hoi_ros.playback.image_folder import unpack_video
from hoi_ros.playback.image_folder import VIDEO_SUFFIXES
from hoi_ros.playback.overlay import colour_depth
from hoi_ros.playback.overlay import draw_hands
from hoi_ros.playback.overlay import VideoWriter
from hoi_ros.playback.recording import Picture
from hoi_ros.playback.recording import Recording
from hoi_ros.playback.session import Session
from hoi_ros.playback.session import SessionError
from hoi_ros.playback.session import simulated_camera
from hoi_ros.playback.tables import agreement_rows
from hoi_ros.playback.tables import node_rows
from hoi_ros.playback.tables import print_table
from hoi_ros.playback.tables import traffic_rows
from hoi_ros.systems import DEFAULT
from hoi_ros.systems import system_of

_RATE = 30.0
_PICTURES = 100
_PICTURE_RATE = _RATE / 3  # the recorder stores every third image
_LOOP = 8.0  # seconds of simulated motion
_MILLIMETRE = 0.001
_CALIBRATIONS = Path(__file__).parents[2] / 'tests' / 'data'
_KNOWN_FOLDERS = {
    'depth_sr305': (_CALIBRATIONS / 'sr305_camera.yaml', 0.000125),
    'rgb_hand_video': (_CALIBRATIONS / 'rgb_hand_video_camera.yaml', _MILLIMETRE),
}
"""Recordings without a calibration file: by the folder's name, the calibration and the metres of one unit."""


class DemoError(ValueError):
    """An invalid command line."""


@dataclasses.dataclass(frozen=True)
class DemoConfig:
    """Run a system on a simulated camera or on a folder of images."""

    stage: str = DEFAULT
    """The system to run."""
    seconds: float = 20.0
    """Duration of the measurement."""
    side: Literal['right', 'left', 'both'] = 'right'
    """The hands in view of the simulated camera."""
    object: Literal['none', 'can', 'box', 'ball'] | None = None
    """What they hold; the system's scene by default."""
    data: Path | None = None
    """Folder to publish instead of simulated images: depth images for a system of depth images; else colour images, a
    video, or the subfolders rgb and depth."""
    camera: Path | None = None
    """ROS calibration file of their camera; camera.yaml in the folder by default."""
    rectified: Rectified = 'auto'
    """Whether those images are rectified, as with hoi_ros.replay."""
    depth_scale: float | None = None
    """Metres of one unit of the depth images; 0.001 by default."""
    out: Path = Path('out/demo')
    """Folder for the picture, the video and the logs."""

    def __post_init__(self) -> None:
        try:
            system_of(self.stage)
        except ValueError as error:
            raise DemoError(f'--stage: {error}') from error
        if not 1 <= self.seconds <= 3600:
            raise DemoError(f'--seconds is {self.seconds}, expected 1 to 3600')

    def camera_arguments(self) -> tuple[str, ...]:
        """The arguments of Python that start the camera.

        Raises:
            DemoError: the folder or its calibration is missing.
        """
        if self.data is None:
            # Renders no more pictures than are shown.
            loop = min(_LOOP, self.seconds)
            held = {'object': self.object} if self.object else {}
            return simulated_camera(system_of(self.stage), rate=_RATE, loop=loop, side=self.side, **held)
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
            '--rectified',
            self.rectified,
            '--rate',
            str(_RATE),
        )

    def _folders(self, data: Path) -> dict[str, Path]:
        """The folders of 'depth' and 'rgb' images that the stage uses."""
        if 'colour' not in system_of(self.stage).images:
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
    """Measures, prints and draws; 0 if at least one hand was published.

    Raises:
        DemoError: a folder or a file is missing.
        SessionError: a process fails.
    """
    print(f'{config.stage} on {config.data or "a simulated camera"}', flush=True)
    system = system_of(config.stage)
    with Session(system, config.camera_arguments(), config.out, _PICTURES, system.images[0], _say) as session:
        start = session.start_node()
        session.start_camera()
        _say(
            f'measuring for {config.seconds:.0f} s; look on with ROS_DOMAIN_ID={session.domain} '
            'ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST'
        )
        recording = session.record(config.seconds)
    rows = traffic_rows(recording)
    if any(answer.hands for answer in recording.answers):
        rows += agreement_rows(recording, system, bool(config.data))
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


def draw(recording: Recording, picture: Path, video: Path) -> None:
    """Draws the hands over the recorded images: a video of all, and a picture of one from the middle with hands."""
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
    """Command line; 0 if a hand was published, 130 after Ctrl-C or SIGTERM."""
    import tyro

    # A shell starts a background job with SIGINT ignored.
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


def _say(text: str) -> None:
    print(f'  ... {text}', flush=True)


if __name__ == '__main__':
    sys.exit(main())
