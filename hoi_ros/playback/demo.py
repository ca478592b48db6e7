# SPDX-License-Identifier: Apache-2.0
"""Runs the node of a system behind a camera, both as processes over DDS, and shows how well it does.

    python -m hoi_ros.demo                                          # a simulated camera, whose truth is known
    python -m hoi_ros.demo --data DIR --camera camera.yaml          # recorded depth images
    python -m hoi_ros.demo --stage reconstruction                   # a hand that holds a can, in colour and depth
    python -m hoi_ros.demo --stage reconstruction --data DIR        # recorded colours or photos; or rgb/ and depth/

prints a table and writes a picture and a video of the hands; photos are published one by one and shown side by side.
The demo uses a ROS domain of its own, so other nodes on
the machine do not interfere.
"""

from __future__ import annotations

import dataclasses
import functools
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from hoi_ros.camera.depth_unit import check_depth
from hoi_ros.camera.depth_unit import DepthUnitError
from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.camera.rectified import Rectified
from hoi_ros.playback.cameras import camera_beside
from hoi_ros.playback.cameras import depth_scale_of
from hoi_ros.playback.cameras import FIELD_OF_VIEW
from hoi_ros.playback.image_folder import ImageFolderError
from hoi_ros.playback.image_folder import list_frames
from hoi_ros.playback.image_folder import read_metric_depth
from hoi_ros.playback.image_folder import unpack_video
from hoi_ros.playback.image_folder import VIDEO_SUFFIXES
from hoi_ros.playback.pictures import draw_picture
from hoi_ros.playback.pictures import draw_sheet
from hoi_ros.playback.pictures import draw_video
from hoi_ros.playback.recording import Recording
from hoi_ros.playback.replay import PICTURE_RATE
from hoi_ros.playback.sequence import Order
from hoi_ros.playback.sequence import order_of
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
_EVERY = 3  # the recorder stores every third image of a camera's rate
_FEW, _SLOW_RATE = 30, 3.0  # a recording of few frames, which skips many, is played slowly
_PATIENCE_FOR_PICTURES = 3.0  # seconds without an image that the node takes for normal
_WARNINGS = 3  # faults of the node that are printed
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
    """ROS calibration file of their camera; camera.yaml in the folder by default, else --fov for colour images."""
    rectified: Rectified = 'auto'
    """Whether those images are rectified, as with hoi_ros.replay."""
    fov: float | None = None
    """Field of view of images without a calibration, degrees across the longer side; 65 for colour images."""
    depth_scale: float | None = None
    """Metres of one unit of the depth images; by default what the calibration file says as depth_scale, else 0.001."""
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
        replayed = self.replayed
        if self.data is None or replayed is None:
            # Renders no more pictures than are shown.
            loop = min(_LOOP, self.seconds)
            held = {'object': self.object} if self.object else {}
            return simulated_camera(system_of(self.stage), rate=_RATE, loop=loop, side=self.side, **held)
        folders, order, _ = replayed
        camera = self._calibration(self.data)
        arguments = [text for name, folder in folders.items() for text in (f'--{name}', str(folder))]
        if 'depth' in folders:
            arguments += ['--depth-scale', str(self._metres_per_unit(self.data, camera))]
        arguments += ['--camera', str(camera)] if camera else ['--fov', str(self.fov or FIELD_OF_VIEW)]
        return (
            '-m',
            'hoi_ros.replay',
            '--ros',
            '--loop',
            *arguments,
            '--independent' if order.independent else '--sequence',
            '--rectified',
            self.rectified,
            '--rate',
            str(self.rate),
        )

    @functools.cached_property
    def replayed(self) -> tuple[dict[str, Path], Order, int] | None:
        """The folders of 'depth' and 'rgb' images that are published, their order and their number; None with a
        simulated camera.

        Raises:
            DemoError: a folder or its calibration is missing.
        """
        if self.data is None:
            return None
        if not self.data.is_dir():
            raise DemoError(f'{self.data} is no folder: give one of images')
        if self._calibration(self.data) is None and self.fov is None and 'colour' not in system_of(self.stage).images:
            raise DemoError(
                f'{self.camera or self.data / "camera.yaml"} is missing: give the ROS calibration file of the camera '
                'with --camera, or its field of view with --fov'
            )
        folders = self._folders(self.data)
        try:
            frames = list_frames(folders.get('depth'), folders.get('rgb'))
        except ImageFolderError as error:
            raise DemoError(str(error)) from error
        return folders, order_of(frames), len(frames)

    @property
    def independent(self) -> bool:
        """Whether each published picture is on its own."""
        return self.replayed is not None and self.replayed[1].independent

    @property
    def rate(self) -> float:
        """Images a second."""
        if self.independent:
            return PICTURE_RATE
        return _SLOW_RATE if self.replayed is not None and self.replayed[2] < _FEW else _RATE

    @property
    def every(self) -> int:
        """The recorder stores each image of this number of images."""
        return _EVERY if self.rate == _RATE else 1

    def depth_doubt(self) -> str:
        """What is wrong with the unit of the first depth image; '' where nothing is, or there is no depth."""
        if self.data is None or self.replayed is None or 'depth' not in self.replayed[0]:
            return ''
        file = next(frame.depth for frame in list_frames(self.replayed[0]['depth'], None))
        scale = self._metres_per_unit(self.data, self._calibration(self.data))
        try:
            doubt = check_depth(read_metric_depth(file, scale), scale, 'correct --depth-scale') if file else ''
        except DepthUnitError as error:
            doubt = str(error)
        except ImageFormatError:
            doubt = ''  # the camera's log names the frame
        return f'{file}: {doubt}' if doubt else ''

    def _calibration(self, data: Path) -> Path | None:
        """The calibration file; None where a field of view is assumed.

        Raises:
            DemoError: the file that the user names is missing.
        """
        if self.camera is not None and not self.camera.is_file():
            raise DemoError(f'{self.camera} is missing: give the ROS calibration file of the camera with --camera')
        known, _ = _KNOWN_FOLDERS.get(data.resolve().name, (None, None))
        return self.camera or camera_beside(data) or (known if known and known.is_file() else None)

    def _metres_per_unit(self, data: Path, camera: Path | None) -> float:
        _, known = _KNOWN_FOLDERS.get(data.resolve().name, (None, None))
        return self.depth_scale or depth_scale_of(camera) or known or _MILLIMETRE

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
    if config.replayed is not None:
        _say(str(config.replayed[1]))
        if doubt := config.depth_doubt():
            print(f'demo: {doubt}', file=sys.stderr)
    parameters = {'input_timeout': _PATIENCE_FOR_PICTURES} if config.independent else {}
    with Session(
        system, config.camera_arguments(), config.out, _PICTURES, system.images[0], _say, config.every, parameters
    ) as session:
        start = session.start_node()
        session.start_camera()
        _say(
            f'measuring for {config.seconds:.0f} s; look on with ROS_DOMAIN_ID={session.domain} '
            'ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST'
        )
        recording = session.record(config.seconds)
    found = any(answer.hands for answer in recording.answers)
    rows = traffic_rows(recording)
    if found:
        rows += agreement_rows(recording, system, bool(config.data))
    print_table(rows + node_rows(recording, start))
    if recording.pictures:
        print(f'written  {draw(recording, config)}')
    for warning in recording.warnings[:_WARNINGS] if found else ():
        print(f'demo: the node says: {warning}', file=sys.stderr)
    if not found:
        print(
            f'demo: no hand came out. The node says: {recording.diagnostics or "nothing"}; more in '
            f'{config.out}/{config.stage}.log',
            file=sys.stderr,
        )
        return 1
    return 0


def draw(recording: Recording, config: DemoConfig) -> str:
    """Writes a video of the stored images, and a picture: of one of them, or of all photos side by side; returns their
    paths for the user."""
    picture, video = (config.out / f'{config.stage}{suffix}' for suffix in ('.png', '.mp4'))
    if config.independent and config.replayed is not None:
        draw_sheet(recording, picture, config.replayed[2])
    else:
        draw_picture(recording, picture)
    draw_video(recording, video, config.rate / config.every)
    return f'{picture}, {video}'


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
