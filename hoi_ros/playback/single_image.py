# SPDX-License-Identifier: Apache-2.0
"""Estimates the hands of one picture: files or arrays in, estimates, overlay and JSON out. Knows no ROS.

    python -m hoi_ros.image PHOTO [--depth FILE] [--out DIR]

writes an overlay (PNG) and the estimates (JSON). In Python:

    from hoi_ros.image import ImageEstimator
    estimator = ImageEstimator()
    hands = estimator('photo.jpg').hands
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from typing import Any

import numpy as np
import tyro

from hoi_ros.camera import Pinhole
from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.camera.rectified import is_rectified
from hoi_ros.camera.rectified import Rectified
from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.engines import Backend
from hoi_ros.engines import EngineError
from hoi_ros.engines.loading import quick_start
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
from hoi_ros.playback.contact_results import touching_words
from hoi_ros.playback.depth_range import depth_hint
from hoi_ros.playback.frame_reader import estimated
from hoi_ros.playback.frame_reader import FrameReader
from hoi_ros.playback.image_folder import folder_calibration
from hoi_ros.playback.overlays import overlay
from hoi_ros.playback.overlays import shrunk
from hoi_ros.playback.picture_files import write_picture
from hoi_ros.playback.replay import MIN_SCORE
from hoi_ros.playback.replay import tune
from hoi_ros.playback.results import camera_record
from hoi_ros.playback.results import hand_record
from hoi_ros.playback.stage_chain import load_pipeline
from hoi_ros.resources import ResourceError
from hoi_ros.systems import system_of
from hoi_ros.systems import system_of_photos
from hoi_ros.systems import SYSTEMS

_MILLIMETRE = 0.001
_OVERLAY = 1920
"""Longest side of an overlay, pixels."""

_PALM = 0, 5, 9, 13, 17
"""Keypoints of the palm: the wrist and the knuckles of the fingers."""

Picture = str | Path | np.ndarray


class ImageError(ValueError):
    """A picture or a command line that cannot be used."""


@dataclasses.dataclass(frozen=True)
class ImageResult:
    """The hands of one picture.

    Attributes:
        hands: the estimates, in metres in the optical frame of `camera`.
        image: (H, W, 3) uint8 RGB, or (H, W) metres for a stage of depth images; undistorted and upright.
        camera: of the image.
        notes: what could not be used, and why.
    """

    hands: Sequence[HandEstimate]
    image: np.ndarray
    camera: Pinhole
    notes: Sequence[str]
    faces: dict[str, np.ndarray] = dataclasses.field(repr=False)
    """(F, 3) triangles of the 'right' and the 'left' hand's mesh, and of the 'object' where the stage estimates any."""

    def overlay(self) -> np.ndarray:
        """The picture with the hands drawn over it, or a caption without any: (H, W, 3) uint8 RGB, at most 1920 pixels
        long."""
        return overlay(shrunk(self.image, _OVERLAY), self.hands, self.camera, self.faces)

    def record(self, vertices: bool = False) -> dict[str, Any]:
        """The result as JSON: the camera, and for each hand what `hoi_ros.replay` writes."""
        hands = [hand_record(hand, vertices, 'object' in self.faces) for hand in self.hands]
        record = {'camera': camera_record(self.camera), 'hands': hands}
        return record | ({'error': '; '.join(self.notes)} if self.notes else {})


class ImageEstimator:
    """Estimates the hands of single pictures, each on its own.

    Args:
        stage: the system; by default the one of colour images.
        camera: ROS calibration file of the camera; without it the field of view is assumed.
        fov: degrees across the longer side of a picture without a calibration.
        rectified: whether pictures are rectified, so that the projection_matrix of the calibration describes them.
        depth_scale: metres of one unit of depth images; by default what the calibration file says, else 0.001.
        min_score: lowest score of a hand.
        max_hands: largest number of hands.
        models: folder of models; the package's own by default.
        backend: of the networks; 'auto' is whichever starts fastest on the CPU.
        threads: of the networks.

    Raises:
        CalibrationError: the calibration file is unusable.
        EngineError, HandModelError, ResourceError: a model is missing or damaged.
        ImageError: a number is outside of its bounds.
    """

    def __init__(
        self,
        stage: str | None = None,
        *,
        camera: str | Path | None = None,
        fov: float = FIELD_OF_VIEW,
        rectified: bool = False,
        depth_scale: float | None = None,
        min_score: float = MIN_SCORE,
        max_hands: int = 2,
        models: Path | None = None,
        backend: Backend = 'auto',
        threads: int | None = None,
    ) -> None:
        _check(fov, depth_scale, min_score, max_hands)
        self._system = system_of(stage) if stage else system_of_photos()
        file = Path(camera) if camera else None
        scale = depth_scale or depth_scale_of(file) or _MILLIMETRE
        cameras = cameras_of(file, fov, 'true' if rectified else 'false', (Path(),))
        self._reader = FrameReader(self._system, cameras, scale)
        with quick_start():
            self.stage = load_pipeline(self._system, models=models, backend=backend, threads=threads)
        self._min_score = min_score
        tune(self.stage, min_score, max_hands)
        self._faces = {side: np.asarray(self.stage.hand_model(side).faces) for side in ('right', 'left')}
        if self._system.has_objects:
            self._faces['object'] = np.asarray(self.stage.object_faces)

    def __call__(self, picture: Picture, depth: Picture | None = None) -> ImageResult:
        """The hands of a picture.

        Args:
            picture: file, or array: (H, W, 3) uint8 RGB; for a stage of depth images (H, W) float32 metres, 0 or NaN
                where unknown. A file is turned upright as its EXIF orientation says.
            depth: the aligned depth image of a colour picture, likewise.

        Raises:
            FrameRefused: the picture cannot be read, or is not of the calibration's shape.
        """
        kind = self._system.source.images[0]
        sources: dict[str, Path | np.ndarray] = {kind: _source(picture)}
        if depth is not None:
            if 'depth' not in self._system.source.optional_images:
                raise ImageError(f'the stage {self._system.name} takes no depth image beside its {kind} image')
            sources['depth'] = _source(depth)
        frame = self._reader.images_of('the picture', sources)
        if not frame.complete(self._system):
            raise FrameRefused('; '.join(frame.faults))
        self.stage.reset()
        hands = estimated(self.stage, self._system, frame, 0.0)
        hands = [hand for hand in hands if hand.score >= self._min_score]
        return ImageResult(hands, frame.shown.image, frame.shown.camera, frame.faults, self._faces)


@dataclasses.dataclass(frozen=True)
class ImageConfig:
    """Estimate the hands in one picture."""

    picture: Annotated[Path, tyro.conf.Positional]
    """A photo; for a stage of depth images a depth image."""
    depth: Path | None = None
    """Depth image aligned with the photo: 16-bit PNG or TIFF, or 32-bit TIFF."""
    depth_scale: float | None = None
    """Metres of one unit of a depth image; by default what the calibration file says, else 0.001."""
    camera: Path | None = None
    """ROS calibration file of the camera; by default camera.yaml beside the picture, else --fov is assumed."""
    fov: float | None = None
    """Field of view of a picture without a calibration, degrees across the longer side; 65 by default."""
    rectified: Rectified = 'auto'
    """Whether the picture is rectified, so that projection_matrix describes it; auto: if its folder is named so."""
    stage: str | None = None
    """The system whose stage runs; by default the one of colour images."""
    min_score: float = MIN_SCORE
    """Hands below this score are not reported."""
    max_hands: int = 2
    """Largest number of hands."""
    models: Path | None = None
    """Folder of models; the package's own by default, also for those that the folder lacks."""
    backend: Backend = 'auto'
    """What runs the networks; auto: whichever starts fastest on the CPU."""
    vertices: bool = False
    """Write the vertices of the meshes into the JSON, too."""
    out: Path = Path('out/image')
    """Folder of the overlay and the JSON, which are named after the picture."""

    def __post_init__(self) -> None:
        _check(self.fov, self.depth_scale, self.min_score, self.max_hands)
        if self.fov is not None and self.camera is not None:
            raise ImageError('--fov and --camera exclude each other: the calibration file says the field of view')
        if self.stage is not None and self.stage not in SYSTEMS:
            raise ImageError(f'--stage is {self.stage!r}, expected {" or ".join(SYSTEMS)}')


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 if the picture was read."""
    refusals = ImageError, FrameRefused, CalibrationError, EngineError, HandModelError, ResourceError
    return run_command('image', functools.partial(_run, arguments), refusals)


def _run(arguments: Sequence[str] | None) -> int:
    begun = time.perf_counter()
    config = tyro.cli(ImageConfig, args=arguments, prog='python -m hoi_ros.image')
    camera = config.camera or camera_beside(config.picture.parent)
    drawing, estimates = (config.out / f'{config.picture.stem}{suffix}' for suffix in ('.png', '.json'))
    if not config.picture.is_file():
        raise ImageError(f'{config.picture} is no file: give a picture; a folder is for python -m hoi_ros.replay')
    if drawing.resolve() in {file.resolve() for file in (config.picture, config.depth) if file}:
        raise ImageError(f'{drawing} is an input: give another folder with --out')
    if not _are_ours(drawing, estimates):
        raise ImageError(
            f'{drawing} or {estimates.name} is there and of something else: give another folder with --out'
        )
    make_folder(config.out)
    estimator = ImageEstimator(
        config.stage,
        camera=camera,
        fov=config.fov or FIELD_OF_VIEW,
        rectified=_is_rectified(config, camera),
        depth_scale=config.depth_scale,
        min_score=config.min_score,
        max_hands=config.max_hands,
        models=config.models,
        backend=config.backend,
    )
    result = estimator(config.picture, config.depth)
    if config.depth_scale is None and depth_scale_of(camera) is None and _reads_depth(config):
        print(f'one unit of the depth is taken for {_MILLIMETRE:g} m (--depth-scale)')
    if note := note_on_camera(camera, config.fov):
        print(note)
    for note in result.notes:
        print(f'image: {note}', file=sys.stderr)
    print(*_described(result, config.min_score), sep='\n')
    if not result.hands and result.image.ndim == 2:
        print(depth_hint([result.image], config.depth_scale or depth_scale_of(camera) or _MILLIMETRE))
    drawn = result.overlay()
    write_picture(drawing, drawn)
    record = {'image': str(config.picture)} | result.record(config.vertices)
    estimates.write_text(json.dumps(record, allow_nan=False, indent=1), encoding='utf-8')
    if drawn.shape[:2] != result.image.shape[:2]:
        sizes = [f'{picture.shape[1]}x{picture.shape[0]}' for picture in (drawn, result.image)]
        print(
            f'the overlay is shrunk to {sizes[0]} pixels; the pixels in the JSON are those of the original, {sizes[1]}'
        )
    print(f'written to {drawing} and {estimates.name} in {time.perf_counter() - begun:.1f} s')
    return 0


def _are_ours(drawing: Path, estimates: Path) -> bool:
    """Whether an overlay and its JSON are those of an earlier run, or do not exist."""
    if not drawing.exists() and not estimates.exists():
        return True
    try:
        record = json.loads(estimates.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and {'image', 'camera', 'hands'} <= record.keys()


def _is_rectified(config: ImageConfig, camera: Path | None) -> bool:
    """Whether the picture, and the depth image with it, are rectified.

    Raises:
        CalibrationError: the calibration file is unusable, or the folders of both contradict each other.
    """
    folders = [file.absolute().parent for file in (config.picture, config.depth) if file]
    if camera is not None:
        folder_calibration(camera, config.rectified, folders)
    return is_rectified(config.rectified, folders[0].as_posix())


def _described(result: ImageResult, min_score: float) -> list[str]:
    """A line a hand."""
    if not result.hands:
        return [f'no hand scores at least {min_score:g} (--min-score)']
    lines = []
    for hand in result.hands:
        held = ''
        if hand.held is not None and hand.held.has_box:
            sides = ' x '.join(f'{side * 100:.0f}' for side in sorted(hand.held.size, reverse=True))
            held = f', holds something of {sides} cm ({hand.held.score:.2f})'
        elif hand.held is not None:
            held = f', may hold something ({hand.held.score:.2f})'
        distance = float(hand.joints[list(_PALM), 2].mean())
        source = 'measured by depth' if hand.located_by == 'depth' else 'from its size'
        lines.append(
            f'{hand.side} hand, score {hand.score:.2f} (that it is a hand), palm about {distance:.2f} m away '
            f'({source}){held}{touching_words(hand)}'
        )
    return lines


def _check(fov: float | None, depth_scale: float | None, min_score: float, max_hands: int) -> None:
    """Raises an ImageError if a number is outside of its bounds."""
    if fault := fault_of_camera(fov, depth_scale):
        raise ImageError(fault)
    if not 0 <= min_score <= 1:
        raise ImageError(f'--min-score is {min_score}, expected 0 to 1')
    if not 1 <= max_hands <= 4:
        raise ImageError(f'--max-hands is {max_hands}, expected 1 to 4')


def _reads_depth(config: ImageConfig) -> bool:
    return (
        config.depth is not None
        or (system_of(config.stage) if config.stage else system_of_photos()).source.images[0] == 'depth'
    )


def _source(picture: Picture) -> Path | np.ndarray:
    return picture if isinstance(picture, np.ndarray) else Path(picture)
