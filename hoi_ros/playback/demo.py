# SPDX-License-Identifier: Apache-2.0
"""Runs the node of a system behind a camera, both as processes over DDS, and shows how well it does.

    python -m hoi_ros.demo                                          # a simulated camera, whose truth is known
    python -m hoi_ros.demo --data DIR --camera camera.yaml          # recorded depth images
    python -m hoi_ros.demo --stage reconstruction                   # a hand that holds a can, in colour and depth
    python -m hoi_ros.demo --stage contact                          # where it touches the can, beside the truth
    python -m hoi_ros.demo --stage two_hand_prior                   # two hands that touch, before and after
    python -m hoi_ros.demo --stage reconstruction --data DIR        # recorded colours or photos; or rgb/ and depth/

prints a table and writes a picture and a video of the hands. Photos are published one by one, each once, and shown side
by side. The demo uses a ROS domain of its own, whatever ROS_DOMAIN_ID says, so other nodes do not interfere.
"""

from __future__ import annotations

import dataclasses
import functools
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.camera.depth_unit import MEND
from hoi_ros.camera.rectified import Rectified
from hoi_ros.nodes.runtime.image_transport import make_room_for_images
from hoi_ros.playback.cameras import camera_beside
from hoi_ros.playback.cameras import cameras_of
from hoi_ros.playback.cameras import depth_scale_of
from hoi_ros.playback.cameras import fault_of_camera
from hoi_ros.playback.cameras import FIELD_OF_VIEW
from hoi_ros.playback.cameras import note_on_camera
from hoi_ros.playback.command import make_folder
from hoi_ros.playback.command import OutputError
from hoi_ros.playback.depth_range import depth_hint
from hoi_ros.playback.depth_range import doubt_of
from hoi_ros.playback.depth_range import REMEDY
from hoi_ros.playback.frame_reader import FrameReader
from hoi_ros.playback.image_folder import ImageFolderError
from hoi_ros.playback.image_folder import list_frames
from hoi_ros.playback.image_folder import USUAL_RATE
from hoi_ros.playback.photo_session import PARAMETERS
from hoi_ros.playback.photo_session import PhotoResults
from hoi_ros.playback.photo_session import send_photos
from hoi_ros.playback.pictures import draw_picture
from hoi_ros.playback.pictures import draw_sheet
from hoi_ros.playback.pictures import draw_video
from hoi_ros.playback.recording import Recording
from hoi_ros.playback.replay import PICTURE_RATE
from hoi_ros.playback.sequence import Order
from hoi_ros.playback.sequence import order_of
from hoi_ros.playback.sequence import Replayed
from hoi_ros.playback.session import Session
from hoi_ros.playback.session import SessionError
from hoi_ros.playback.session import simulated_camera
from hoi_ros.playback.sources import counted
from hoi_ros.playback.sources import left_out
from hoi_ros.playback.sources import opened
from hoi_ros.playback.sources import systems_for
from hoi_ros.playback.sources import wrong_kind
from hoi_ros.playback.tables import agreement_rows
from hoi_ros.playback.tables import input_rows
from hoi_ros.playback.tables import node_rows
from hoi_ros.playback.tables import print_table
from hoi_ros.playback.tables import start_row
from hoi_ros.playback.tables import traffic_rows
from hoi_ros.systems import DEFAULT
from hoi_ros.systems import System
from hoi_ros.systems import system_of

_PICTURES, _MORE_PICTURES = 100, 200  # that are stored; more of a system that stands on another, which answers few
_EVERY = 3  # the recorder stores every third image of a camera's rate
_FEW, _SLOW_RATE = 30, 3.0  # a recording of few frames, which skips many, is played slowly
_WARNINGS = 3  # faults of the node that are printed
_LOOP = 8.0  # seconds of simulated motion
_MILLIMETRE = 0.001
_DEPTH_REMEDY = f'{REMEDY} (make demo passes ARGS="--depth-scale 0.000125")'
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
    """Duration of the measurement; each photo is published once, however long all of them take."""
    side: Literal['right', 'left', 'both'] | None = None
    """The hands in view of the simulated camera; the system's scene by default."""
    object: Literal['none', 'can', 'box', 'ball'] | None = None
    """What they hold; the system's scene by default."""
    data: Path | None = None
    """What to publish instead of simulated images: a folder of depth images for a system of depth images; else one of
    colour images, with a video, or with the subfolders rgb and depth. Or one image, or a video."""
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
        if fault := fault_of_camera(self.fov, self.depth_scale):
            raise DemoError(fault)

    def camera_arguments(self) -> tuple[str, ...]:
        """The arguments of Python that start the camera; independent pictures have none.

        Raises:
            DemoError: the folder or its calibration is missing.
        """
        replayed = self.replayed
        if self.data is None or replayed is None:
            # Renders no more pictures than are shown.
            loop = min(_LOOP, self.seconds)
            given = {'side': self.side, 'object': self.object}
            chosen = {name: value for name, value in given.items() if value}
            return simulated_camera(system_of(self.stage), rate=USUAL_RATE, loop=loop, **chosen)
        folders = replayed.folders
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
            '--sequence',
            '--rectified',
            self.rectified,
            '--rate',
            str(self.rate),
        )

    @functools.cached_property
    def replayed(self) -> Replayed | None:
        """What is published; None with a simulated camera.

        Raises:
            DemoError: a folder or its calibration is missing.
        """
        if self.data is None:
            return None
        if not self.data.exists():
            raise DemoError(f'{self.data} is no folder and no file: give a folder of images')
        folders, video_rate = self._folders(self.data)
        try:
            frames = list_frames(folders.get('depth'), folders.get('rgb'))
        except ImageFolderError as error:
            raise DemoError(str(error)) from error
        if self._calibration(self.data) is None and self.fov is None and 'rgb' not in folders:
            raise DemoError(
                f'{_folder_of(self.data) / "camera.yaml"} is missing: give the ROS calibration file of the camera with '
                '--camera, or its field of view with --fov (make demo passes ARGS="--camera FILE" or ARGS="--fov 65")'
            )
        order = Order(False, '', 'video') if video_rate else order_of(frames)
        return Replayed(folders, order, len(frames), video_rate or USUAL_RATE)

    @property
    def independent(self) -> bool:
        """Whether each published picture is on its own."""
        return self.replayed is not None and self.replayed.order.independent

    @property
    def rate(self) -> float:
        """Images a second."""
        if self.replayed is None:
            return USUAL_RATE
        return _SLOW_RATE if self.replayed.count < _FEW else self.replayed.rate

    @property
    def every(self) -> int:
        """The recorder stores each image of this number of images."""
        return 1 if system_of(self.stage).below else max(1, round(_EVERY * self.rate / USUAL_RATE))

    @property
    def pictures(self) -> int:
        """The recorder stores this number of images."""
        return _MORE_PICTURES if system_of(self.stage).below else _PICTURES

    def depth_doubt(self) -> str:
        """What is wrong with the unit of the first depth image; '' where nothing is, or there is no depth."""
        if self.data is None or self.replayed is None or 'depth' not in self.replayed.folders:
            return ''
        file = next(frame.depth for frame in list_frames(self.replayed.folders['depth'], None))
        scale = self._metres_per_unit(self.data, self._calibration(self.data))
        return doubt_of(file, scale, _DEPTH_REMEDY) if file else ''

    def _calibration(self, data: Path) -> Path | None:
        """The calibration file; None where a field of view is assumed.

        Raises:
            DemoError: the file that the user names is missing.
        """
        if self.camera is not None and not self.camera.is_file():
            raise DemoError(f'{self.camera} is missing: give the ROS calibration file of the camera with --camera')
        known, _ = _KNOWN_FOLDERS.get(_folder_of(data).resolve().name, (None, None))
        found = camera_beside(data, data / 'rgb', data / 'depth')
        return self.camera or found or (known if known and known.is_file() else None)

    @property
    def camera_note(self) -> str:
        """Which field of view is assumed, or that --fov has no effect; '' where neither holds."""
        return note_on_camera(self._calibration(self.data), self.fov) if self.data else ''

    def send_photos(self, session: Session) -> PhotoResults:
        """Publishes each picture once and waits for its answer.

        Raises:
            CalibrationError: the calibration file is unusable.
            SessionError: a process ended.
        """
        assert self.data is not None and self.replayed is not None
        folders, system = self.replayed.folders, system_of(self.stage)
        camera = self._calibration(self.data)
        scale = self._metres_per_unit(self.data, camera)
        sources = [folders.get('depth'), folders.get('rgb')]
        cameras = cameras_of(camera, self.fov or FIELD_OF_VIEW, self.rectified, sources)
        reader = FrameReader(system, cameras, scale)
        return send_photos(session, system, list_frames(*sources), reader, scale, cameras, _say)

    def hint(self, recording: Recording) -> str:
        """What to check where no hand was found in depth images; '' for colour images."""
        if self.data is None or system_of(self.stage).source.images[0] != 'depth':
            return ''
        scale = self._metres_per_unit(self.data, self._calibration(self.data))
        return depth_hint((kept.image for kept in recording.pictures), scale)

    def _metres_per_unit(self, data: Path, camera: Path | None) -> float:
        _, known = _KNOWN_FOLDERS.get(_folder_of(data).resolve().name, (None, None))
        return self.depth_scale or depth_scale_of(camera) or known or _MILLIMETRE

    def _folders(self, data: Path) -> tuple[dict[str, Path], float | None]:
        """The folders of 'depth' and 'rgb' images that the stage uses, and the frames a second of a video.

        Raises:
            DemoError: there is no image, or they are of a kind that the stage does not take.
        """
        kind = system_of(self.stage).source.images[0]
        name = 'rgb' if kind == 'colour' else 'depth'
        source = data / name if (data / name).is_dir() else data
        found = wrong_kind(source, kind)
        if found is not None:
            able = ' or '.join(f'STAGE={stage} (--stage {stage})' for stage in systems_for(found))
            what = 'photos or a video' if found == 'colour' else 'depth images'
            raise DemoError(
                f'{source}: these are {what}, and {self.stage} takes {kind} images' + (f': add {able}' if able else '')
            )
        if kind == 'depth':
            return {'depth': source}, None
        try:
            images, video_rate = opened(source, self.out / 'frames')
        except ImageFolderError as error:
            raise DemoError(str(error)) from error
        folders = {'rgb': images}
        if source != data and (data / 'depth').is_dir():
            folders = {'depth': data / 'depth', **folders}
        return folders, video_rate


def demo(config: DemoConfig) -> int:
    """Measures, prints and draws; 0 if at least one hand was published.

    Raises:
        CalibrationError: the calibration file is unusable.
        DemoError: a folder or a file is missing.
        OutputError: `config.out` can be no folder.
        SessionError: a process fails.
    """
    make_folder(config.out)
    print(f'{config.stage} on {config.data or "a simulated camera"}', flush=True)
    system = system_of(config.stage)
    if config.replayed is not None:
        _say(str(config.replayed.order))
        for line in (*left_out(*config.replayed.folders.values()), config.camera_note):
            if line:
                _say(line)
        if doubt := config.depth_doubt():
            print(f'demo: {doubt}', file=sys.stderr)
        if config.independent:
            return _demo_of_photos(config, system)
    with Session(
        system, config.camera_arguments(), config.out, config.pictures, system.source.images[0], _say, config.every
    ) as session:
        start = session.start_node()
        session.start_camera()
        _say(
            f'measuring for {config.seconds:.0f} s; look on with ROS_DOMAIN_ID={session.domain} '
            'ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST'
        )
        recording = session.record(config.seconds)
    found = any(answer.hands for answer in recording.answers)
    rows = traffic_rows(recording) + input_rows(recording, system)
    if found:
        rows += agreement_rows(recording, system, bool(config.data))
    print_table(rows + node_rows(recording, start))
    if recording.pictures:
        picture, video = _drawings(config)
        shown = recording.answered() if found and system.below else recording
        draw_picture(shown, picture)
        draw_video(shown, video, shown.picture_hz)
        print(f'written  {picture}, {video}')
    for warning in recording.warnings[:_WARNINGS] if found else ():
        print(f'demo: the node says: {_for_files(warning, config)}', file=sys.stderr)
    return 0 if found else _without_hands(recording, config)


def _demo_of_photos(config: DemoConfig, system: System) -> int:
    """As `demo`, for pictures that are each on their own."""
    make_room_for_images()
    with Session(system, (), config.out, say=_say, parameters=PARAMETERS) as session:
        start = session.start_node()
        assert config.replayed is not None
        count = config.replayed.count
        _say(f'sending {counted(count, "picture")}' + (', each once' if count > 1 else ''))
        results = config.send_photos(session)
    recording = results.recording
    print_table([*results.rows(system), ('node memory', f'{recording.memory_mb:.0f} MB'), start_row(start)])
    for reason in results.reasons:
        print(f'demo: {reason}', file=sys.stderr)
    if recording.pictures:
        picture, video = _drawings(config)
        draw_sheet(recording, picture, results.names)
        draw_video(recording, video, PICTURE_RATE)
        more = len(recording.answers) + len(results.unanswered) - len(results.names)
        print(f'written  {picture}, {video}' + (f'; {more} more pictures are not drawn' if more else ''))
    return 0 if any(answer.hands for answer in recording.answers) else _without_hands(recording, config)


def _without_hands(recording: Recording, config: DemoConfig) -> int:
    """Says what is known where no hand was found; the exit code."""
    said = _for_files('; '.join(recording.warnings[:_WARNINGS]) or recording.diagnostics, config) or 'nothing'
    print(f'demo: no hand came out. The node says: {said}; more in {config.out}/{config.stage}.log', file=sys.stderr)
    if REMEDY not in said and (hint := config.hint(recording)):
        print(f'demo: {hint}', file=sys.stderr)
    return 1


def _for_files(text: str, config: DemoConfig) -> str:
    """A text of the node with the remedy for files in place of that for topics."""
    return text.replace(MEND, _DEPTH_REMEDY) if config.data else text


def _drawings(config: DemoConfig) -> tuple[Path, Path]:
    """The files of the picture and the video."""
    return config.out / f'{config.stage}.png', config.out / f'{config.stage}.mp4'


def _folder_of(data: Path) -> Path:
    return data.parent if data.is_file() else data


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 if a hand was published, 130 after Ctrl-C or SIGTERM."""
    import tyro

    # A shell starts a background job with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return demo(tyro.cli(DemoConfig, args=arguments, prog='python -m hoi_ros.demo'))
    except (DemoError, SessionError, CalibrationError, OutputError) as error:
        print(f'demo: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('demo: interrupted', file=sys.stderr)
        return 130


def _say(text: str) -> None:
    print(f'  ... {text}', flush=True)


if __name__ == '__main__':
    sys.exit(main())
