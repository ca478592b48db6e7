# SPDX-License-Identifier: Apache-2.0
"""What the demo runs: its options, and the images and the camera that they mean."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from hoi_ros.camera.rectified import Rectified
from hoi_ros.playback.cameras import camera_beside
from hoi_ros.playback.cameras import cameras_of
from hoi_ros.playback.cameras import COLOUR_FOLDERS
from hoi_ros.playback.cameras import depth_scale_of
from hoi_ros.playback.cameras import fault_of_camera
from hoi_ros.playback.cameras import FIELD_OF_VIEW
from hoi_ros.playback.cameras import note_on_camera
from hoi_ros.playback.depth_range import depth_hint
from hoi_ros.playback.depth_range import doubt_of
from hoi_ros.playback.depth_range import REMEDY
from hoi_ros.playback.frame_reader import FrameReader
from hoi_ros.playback.image_folder import ImageFolderError
from hoi_ros.playback.image_folder import list_frames
from hoi_ros.playback.image_folder import USUAL_RATE
from hoi_ros.playback.photo_session import PhotoResults
from hoi_ros.playback.photo_session import send_photos
from hoi_ros.playback.recording import Recording
from hoi_ros.playback.sequence import chosen_order
from hoi_ros.playback.sequence import Replayed
from hoi_ros.playback.session import Session
from hoi_ros.playback.session import simulated_camera
from hoi_ros.playback.sources import kinds_in
from hoi_ros.playback.sources import opened
from hoi_ros.playback.sources import systems_for
from hoi_ros.playback.sources import wrong_kind
from hoi_ros.systems import DEFAULT
from hoi_ros.systems import system_of

_PICTURES, _MORE_PICTURES = 100, 200  # that are stored; more of a system that stands on another, which answers few
_EVERY = 3  # the recorder stores every third image of a camera's rate
_FEW, _SLOW_RATE = 30, 3.0  # a recording of few frames, which skips many, is played slowly
_MARGIN = 10.0  # seconds of a video that may be played before the measurement begins
_MILLIMETRE = 0.001
DEPTH_REMEDY = f'{REMEDY} (make demo passes ARGS="--depth-scale 0.000125")'
"""What to do where the unit of depth images is doubted."""
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
    colour images, with a video, or with the subfolders rgb (or color) and depth. Or one image, or a video."""
    camera: Path | None = None
    """ROS calibration file of their camera; camera.yaml in the folder by default, else --fov for colour images."""
    rectified: Rectified = 'auto'
    """Whether those images are rectified, as with hoi_ros.replay."""
    fov: float | None = None
    """Field of view of images without a calibration, degrees across the longer side; 65 for colour images."""
    depth_scale: float | None = None
    """Metres of one unit of the depth images; by default what the calibration file says as depth_scale, else 0.001."""
    independent: bool = False
    """Every picture of the folder is on its own, as with hoi_ros.replay."""
    sequence: bool = False
    """The pictures follow each other in time, as with hoi_ros.replay."""
    out: Path = Path('out/demo')
    """Folder for the picture, the video and the logs."""

    def __post_init__(self) -> None:
        try:
            system_of(self.stage)
        except ValueError as error:
            raise DemoError(f'--stage: {error}') from error
        if not 1 <= self.seconds <= 600:
            raise DemoError(f'--seconds is {self.seconds}, expected 1 to 600')
        if self.independent and self.sequence:
            raise DemoError('--independent and --sequence exclude each other: give one of them, or none')
        scene = self.scene if self.data is None else {}
        if scene.get('motion') == 'together' and (scene.get('side') != 'both' or scene.get('object', 'none') != 'none'):
            raise DemoError(f'--stage {self.stage} shows both hands, empty: leave --side and --object out')
        if fault := fault_of_camera(self.fov, self.depth_scale):
            raise DemoError(fault)

    @property
    def scene(self) -> dict[str, str]:
        """What the simulated camera shows: parameters of its node."""
        chosen = {'side': self.side, 'object': self.object}
        return {**system_of(self.stage).scene, **{name: value for name, value in chosen.items() if value}}

    def camera_arguments(self) -> tuple[str, ...]:
        """The arguments of Python that start the camera; independent pictures have none.

        Raises:
            DemoError: the folder or its calibration is missing.
        """
        replayed = self.replayed
        if self.data is None or replayed is None:
            return simulated_camera(system_of(self.stage), rate=USUAL_RATE, **self.scene)
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
        order = chosen_order(frames, bool(video_rate), self.independent, self.sequence)
        return Replayed(folders, order, len(frames), video_rate or USUAL_RATE)

    @property
    def shows_photos(self) -> bool:
        """Whether each published picture is on its own."""
        return self.replayed is not None and self.replayed.order.independent

    @property
    def rate(self) -> float:
        """Images a second."""
        if self.replayed is None:
            return USUAL_RATE
        few = self.replayed.count < _FEW and self.replayed.order.frames != 'video'
        return _SLOW_RATE if few else self.replayed.rate

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
        return doubt_of(file, scale, DEPTH_REMEDY) if file else ''

    def _calibration(self, data: Path) -> Path | None:
        """The calibration file; None where a field of view is assumed.

        Raises:
            DemoError: the file that the user names is missing.
        """
        if self.camera is not None and not self.camera.is_file():
            raise DemoError(f'{self.camera} is missing: give the ROS calibration file of the camera with --camera')
        known, _ = _KNOWN_FOLDERS.get(_folder_of(data).resolve().name, (None, None))
        found = camera_beside(data, *(data / name for name in (*COLOUR_FOLDERS, 'depth')))
        return self.camera or found or (known if known and known.is_file() else None)

    @property
    def camera_note(self) -> str:
        """Which field of view is assumed, or that --fov has no effect; '' where neither holds."""
        return note_on_camera(self._calibration(self.data), self.fov) if self.data else ''

    def send_photos(self, session: Session, say: Callable[[str], None]) -> PhotoResults:
        """Publishes each picture once and waits for its answer; `say` is told of progress.

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
        return send_photos(session, system, list_frames(*sources), reader, scale, cameras, say)

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
        names = COLOUR_FOLDERS if kind == 'colour' else ('depth',)
        source = next((data / name for name in names if (data / name).is_dir()), data)
        found = wrong_kind(source, kind)
        if found is not None:
            able = ' or '.join(f'STAGE={stage} (--stage {stage})' for stage in systems_for(found))
            what = 'photos or a video' if found == 'colour' else 'depth images'
            raise DemoError(
                f'{source}: these are {what}, and {self.stage} takes {kind} images' + (f': add {able}' if able else '')
            )
        if len(kinds_in(source)) > 1:
            raise DemoError(f'{source} holds colour and depth images: put them into folders rgb and depth below it')
        if kind == 'depth':
            return {'depth': source}, None
        try:
            images, video_rate = opened(source, self.out / 'frames', self.seconds + _MARGIN)
        except ImageFolderError as error:
            raise DemoError(str(error)) from error
        folders = {'rgb': images}
        if source != data and (data / 'depth').is_dir():
            folders = {'depth': data / 'depth', **folders}
        return folders, video_rate


def _folder_of(data: Path) -> Path:
    return data.parent if data.is_file() else data
