# SPDX-License-Identifier: Apache-2.0
"""Runs a stage over a folder of images without ROS, or publishes the folder as camera topics.

    python -m hoi_ros.replay --depth DIR --camera camera.yaml --depth-scale 0.001 --out out/replay
    python -m hoi_ros.replay --stage reconstruction --rgb DIR [--depth DIR --depth-scale 0.001] --camera camera.yaml

writes `results.jsonl` (one object a frame) and `overlays/` (one picture a frame).
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hoi_ros.camera import Pinhole
from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.camera.calibration import load_camera_yaml
from hoi_ros.camera.image_buffer import ImageFormatError
from hoi_ros.camera.undistortion import Rectifier
from hoi_ros.engines import Backend
from hoi_ros.engines import EngineError
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.hand.model import HandModelError
from hoi_ros.playback.image_folder import FrameFiles
from hoi_ros.playback.image_folder import ImageFolderError
from hoi_ros.playback.image_folder import list_frames
from hoi_ros.playback.image_folder import read_colour
from hoi_ros.playback.image_folder import read_metric_depth
from hoi_ros.playback.image_folder import unpack_video
from hoi_ros.playback.overlay import draw_hands
from hoi_ros.resources import ResourceError
from hoi_ros.systems import DEFAULT
from hoi_ros.systems import Stage
from hoi_ros.systems import System
from hoi_ros.systems import system_of


class ReplayError(ValueError):
    """An invalid command line."""


@dataclasses.dataclass(frozen=True)
class ReplayConfig:
    """Run a stage over a folder of images, or publish the folder as camera topics (--ros)."""

    camera: Path
    """ROS calibration file of the camera (image_width, camera_matrix, distortion_coefficients, ...)."""
    depth: Path | None = None
    """Folder of depth images: 16-bit PNG or TIFF, or 32-bit TIFF; folders below it count."""
    rgb: Path | None = None
    """Folder of colour images, aligned with the depth images and named as they are; or a video."""
    depth_scale: float | None = None
    """Metres of one unit of the depth images: 0.001 for millimetres."""
    stage: str = DEFAULT
    """The system whose stage runs."""
    out: Path = Path('out/replay')
    """Folder for results.jsonl and overlays/."""
    backend: Backend = 'auto'
    """What runs the network."""
    vertices: bool = False
    """Write the mesh's vertices, too."""
    rate: float = 30.0
    """Frames a second, of the stamps and of the topics."""
    ros: bool = False
    """Publish the folder as camera topics instead of running a stage."""
    loop: bool = False
    """With --ros: repeat until interrupted."""

    def __post_init__(self) -> None:
        if self.depth is None and self.rgb is None:
            raise ReplayError('neither --depth nor --rgb is given: name the folder of images')
        if self.depth is not None and self.depth_scale is None:
            raise ReplayError(
                '--depth comes without --depth-scale: say how many metres one unit is, 0.001 for millimetres'
            )
        if self.depth_scale is not None and not 0 < self.depth_scale < math.inf:
            raise ReplayError(f'--depth-scale is {self.depth_scale}, expected metres above 0')
        if not 0 < self.rate < math.inf:
            raise ReplayError(f'--rate is {self.rate}, expected frames a second above 0')
        folders = {'depth': self.depth, 'colour': self.rgb}
        missing = [name for name in self.system.images if folders[name] is None]
        if missing and not self.ros:
            raise ReplayError(f'the stage {self.stage} needs {" and ".join(missing)} images: give their folder')

    @property
    def system(self) -> System:
        """The entry of the system."""
        try:
            return system_of(self.stage)
        except ValueError as error:
            raise ReplayError(f'--stage: {error}') from error


@dataclasses.dataclass(frozen=True)
class ReplaySummary:
    """The figures of a replay."""

    frames: int
    unreadable: int
    with_hands: int
    hands: dict[str, int]
    """Hands by side."""
    mean_score: float
    """NaN where no hand was found."""
    stage_p50_ms: float
    """Median time of the stage; NaN if it never ran."""
    stage_p99_ms: float

    def __str__(self) -> str:
        sides = ', '.join(f'{count} {side}' for side, count in sorted(self.hands.items())) or 'none'
        lines = [
            f'frames      {self.frames} ({self.unreadable} unreadable)',
            f'with hands  {self.with_hands}',
            f'hands       {sides}' + (f', mean score {self.mean_score:.2f}' if self.hands else ''),
        ]
        if self.unreadable < self.frames:
            lines.append(f'stage       p50 {self.stage_p50_ms:.1f} ms, p99 {self.stage_p99_ms:.1f} ms')
        return '\n'.join(lines)


def replay(config: ReplayConfig, stage: Stage) -> ReplaySummary:
    """Runs a stage over every frame and writes `results.jsonl` and `overlays/` into `config.out`.

    A frame with a missing or unreadable image, or one of another shape than the camera's, becomes a line with an
    `error`; any other error ends the replay.

    Raises:
        ImageFolderError: a folder is missing, empty, or does not pair with the other.
        CalibrationError: the calibration file is unusable.
    """
    reader = _Reader(config)
    frames = list_frames(config.depth, config.rgb)
    system = config.system
    inputs = system.images
    object_faces = np.asarray(stage.object_faces) if system.has_objects else None
    faces = {side: np.asarray(stage.hand_model(side).faces) for side in ('right', 'left')}
    times: list[float] = []
    found: list[tuple[str, float]] = []  # side and score
    unreadable = with_hands = 0
    stage.warm_up()
    config.out.mkdir(parents=True, exist_ok=True)
    told = time.monotonic()
    with (config.out / 'results.jsonl').open('w', encoding='utf-8') as results:
        for index, files in enumerate(frames):
            record: dict[str, Any] = {'image': files.name, 'stamp': round(index / config.rate, 6), 'hands': []}
            images, errors = reader.read(files)
            if errors:
                record['error'] = '; '.join(errors)
            if all(name in images for name in inputs):
                start = time.perf_counter()
                hands = stage(
                    *(images[name][0] for name in inputs),
                    images[inputs[0]][1],
                    record['stamp'],
                    **{name: images[name][0] for name in system.optional_images if name in images},
                )
                times.append((time.perf_counter() - start) * 1e3)
                record['hands'] = [_written(hand, config.vertices, system.has_objects) for hand in hands]
                with_hands += bool(hands)
                found += [(hand.side, float(hand.score)) for hand in hands]
                image, camera = images.get('colour') or images['depth']
                _write_picture(
                    config.out / 'overlays' / Path(files.name).with_suffix('.png'),
                    draw_hands(image, hands, camera, faces, object_faces),
                )
            else:
                unreadable += 1
            results.write(json.dumps(record, allow_nan=False) + '\n')
            if time.monotonic() - told > 5:
                told = time.monotonic()
                print(f'{index + 1} of {len(frames)} frames', file=sys.stderr)
    p50, p99 = np.percentile(times, [50, 99]).tolist() if times else (math.nan, math.nan)
    score = float(np.mean([score for _, score in found])) if found else math.nan
    sides = dict(collections.Counter(side for side, _ in found))
    return ReplaySummary(len(frames), unreadable, with_hands, sides, score, p50, p99)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 if at least one frame was read. With --ros, the arguments after --ros-args go to ROS."""
    import tyro

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    end = arguments.index('--ros-args') if {'--ros', '--ros-args'} <= set(arguments) else len(arguments)
    try:
        config = tyro.cli(ReplayConfig, args=arguments[:end], prog='python -m hoi_ros.replay')
        if config.rgb is not None and config.rgb.is_file():
            config = dataclasses.replace(config, rgb=unpack_video(config.rgb, config.out / 'frames'))
        if config.ros:
            from hoi_ros.playback.folder_publisher import publish_folder

            return publish_folder(config, arguments[end:])
        summary = replay(config, config.system.load_stage(backend=config.backend))
    except (ImageFolderError, CalibrationError, EngineError, HandModelError, ResourceError) as error:
        print(f'replay: {error}', file=sys.stderr)
        return 2
    print(summary)
    print(f'written to  {config.out}')
    return 0 if summary.unreadable < summary.frames else 1


class _Reader:
    """Reads undistorted images and their cameras."""

    def __init__(self, config: ReplayConfig) -> None:
        self._metres_per_unit = config.depth_scale or 1.0
        self._inputs, self._optional = config.system.images, config.system.optional_images
        self._calibration = load_camera_yaml(config.camera)
        self._rectifier = functools.lru_cache(maxsize=4)(Rectifier)

    def read(self, files: FrameFiles) -> tuple[dict[str, tuple[np.ndarray, Pinhole]], list[str]]:
        """The images of the stage and the colour image to draw on, with their cameras, by 'depth' (metres) and 'colour'
        (RGB); and the reasons for missing images."""
        paths = {'depth': files.depth, 'colour': files.colour}
        images: dict[str, tuple[np.ndarray, Pinhole]] = {}
        errors: list[str] = []
        for name in dict.fromkeys((*self._inputs, 'colour', *self._optional)):
            path = paths[name]
            if path is not None:
                try:
                    images[name] = self._undistorted(name, path)
                except (ImageFormatError, CalibrationError) as error:
                    errors.append(str(error))
            elif name in self._inputs:
                errors.append(f'{files.name}: the frame has no {name} image')
        for name in self._optional:
            if name in images and self._inputs[0] in images and images[name][1] != images[self._inputs[0]][1]:
                (other, _), (image, _) = images.pop(name), images[self._inputs[0]]
                errors.append(
                    f'{files.name}: the {name} image is {other.shape[1]}x{other.shape[0]} pixels, the '
                    f'{self._inputs[0]} image {image.shape[1]}x{image.shape[0]}: align them'
                )
        return images, errors

    def _undistorted(self, name: str, path: Path) -> tuple[np.ndarray, Pinhole]:
        image = read_metric_depth(path, self._metres_per_unit) if name == 'depth' else read_colour(path)
        rectifier = self._rectifier(self._calibration.for_image(image.shape[1], image.shape[0]))
        return (rectifier.depth if name == 'depth' else rectifier.colour)(image), rectifier.camera


def _written(hand: HandEstimate, vertices: bool, sees_objects: bool) -> dict[str, Any]:
    """A hand as JSON; lengths in metres, to a micrometre."""
    record: dict[str, Any] = {
        'side': hand.side,
        'side_score': round(float(hand.side_score), 4),
        'score': round(float(hand.score), 4),
        'id': int(hand.track_id),
        'joints': _rounded(hand.joints),
    }
    if vertices:
        record['vertices'] = _rounded(hand.vertices)
    if sees_objects:
        record['located_by'] = hand.located_by
        if hand.held is not None:
            held = hand.held
            record['held'] = {
                'score': round(float(held.score), 4),
                **_written_claims(held),
            }
            if vertices:
                record['held']['vertices'] = _rounded(held.vertices)
    return record


def _written_claims(held: ObjectEstimate) -> dict[str, Any]:
    """Box, contact and gap of an object as JSON, each with its confidence; null where a claim is withheld."""
    boxed, confidence = held.has_box, held.confidence
    return {
        'position': _rounded(held.position) if boxed else None,
        'orientation': _rounded(held.orientation) if boxed else None,
        'size': _rounded(held.size) if boxed else None,
        'box_confidence': round(float(confidence.box), 4),
        'touching': bool(held.touching) if confidence.touching else None,
        'touching_confidence': round(float(confidence.touching), 4),
        'gap': None if math.isnan(held.gap) else round(float(held.gap), 6),
        'gap_confidence': round(float(confidence.gap), 4),
    }


def _rounded(numbers: np.ndarray) -> list[Any]:
    return np.round(np.asarray(numbers, np.float64), 6).tolist()


def _write_picture(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise OSError(f'{path}: the picture cannot be written')


if __name__ == '__main__':
    sys.exit(main())
