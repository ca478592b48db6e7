# SPDX-License-Identifier: Apache-2.0
"""Samples pairs of hands into a file. Knows no ROS.

    python -m hoi_ros.sample --count 100 --seed 0 [--anchor FILE.json] [--object MESH] --out samples.npz [--sheet FILE]

The file holds `right_vertices` and `left_vertices` (N, V, 3), `right_joints` and `left_joints` (N, 21, 3), `…_pose`
(N, 48), `…_shape` (N, 10) and `…_translation` (N, 3) of the hand models, `right_faces` and `left_faces` (F, 3), `score`
(N,), 0 to 1 and NaN where the model says none, and `penetration` (N,), the volume that both hands share, mm³. Lengths
are metres. The frame is that of the left wrist, of the anchor, or of the object's file.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from scipy.spatial.transform import Rotation

from hoi_ros.camera.refusal import FrameRefused
from hoi_ros.engines import Backend
from hoi_ros.engines import EngineError
from hoi_ros.engines.loading import quick_start
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModelError
from hoi_ros.mesh.object_files import ObjectFileError
from hoi_ros.mesh.object_files import read_object
from hoi_ros.playback.command import make_folder
from hoi_ros.playback.command import run_command
from hoi_ros.playback.hand_files import HandFileError
from hoi_ros.playback.hand_files import read_hand
from hoi_ros.playback.picture_files import write_picture
from hoi_ros.playback.sample_sheet import MOST
from hoi_ros.playback.sample_sheet import sample_sheet
from hoi_ros.resources import ResourceError
from hoi_ros.stages.parts.sample_request import HandSamples
from hoi_ros.stages.parts.sample_request import SampleRequest
from hoi_ros.stages.two_hand_prior import TwoHandPriorStage

_CUBIC_MILLIMETRE = 1e-9
_PORTION = 64
"""Samples of a request."""
_BAR = 30
"""Characters of the progress bar."""


class SampleError(ValueError):
    """A command line that cannot be carried out."""


@dataclasses.dataclass(frozen=True)
class SampleConfig:
    """Sample pairs of hands."""

    count: int
    """Number of pairs."""
    out: Path
    """File of the samples, .npz."""
    seed: int = 0
    """The same seed gives the same samples."""
    anchor: Path | None = None
    """A hand that stays, as python -m hoi_ros.image or hoi_ros.replay writes it; the surest hand of the file."""
    object: Path | None = None
    """Mesh of an object that the hands hold, metres: OBJ, PLY, STL or GLB."""
    object_pose: tuple[float, float, float, float, float, float, float] | None = None
    """Pose of that mesh in the frame of the anchor: x y z, metres, and its quaternion x y z w; without it, the anchor
    is in the frame of the file."""
    sheet: Path | None = None
    """Picture of the first sixteen samples."""
    steps: int | None = None
    """Denoising steps; by default those of the model."""
    guidance: float = 0.1
    """Strength of the classifier-free guidance."""
    anti_penetration: float = 4.0
    """Strength of the guidance against penetration."""
    models: Path | None = None
    """Folder of models; the package's own by default, also for those that the folder lacks."""
    backend: Backend = 'auto'
    """What runs the networks; auto: whichever starts fastest on the CPU."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise SampleError(f'--count is {self.count}, expected 1 or more')
        if self.seed < 0:
            raise SampleError(f'--seed is {self.seed}, expected 0 or more')
        if self.steps is not None and not 1 <= self.steps <= 256:
            raise SampleError(f'--steps is {self.steps}, expected 1 to 256')
        if self.object_pose is not None:
            if self.object is None:
                raise SampleError('--object-pose is that of an object: give its mesh with --object')
            if not abs(float(np.linalg.norm(self.object_pose[3:])) - 1) < 0.01:
                raise SampleError(f'the quaternion of --object-pose is {self.object_pose[3:]}, expected length 1')
        if self.sheet is not None and self.sheet.suffix.lower() not in ('.png', '.jpg', '.jpeg'):
            raise SampleError(f'--sheet is {self.sheet}, expected a file ending in .png or .jpg')


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 if the samples were written."""
    return run_command(
        'sample',
        functools.partial(_run, arguments),
        (SampleError, FrameRefused, EngineError, HandModelError, HandFileError, ObjectFileError, ResourceError),
    )


def _run(arguments: Sequence[str] | None) -> int:
    begun = time.perf_counter()
    config = tyro.cli(SampleConfig, args=arguments, prog='python -m hoi_ros.sample')
    path = config.out if config.out.suffix == '.npz' else config.out.with_name(f'{config.out.name}.npz')
    make_folder(path.parent)
    with quick_start():
        stage = TwoHandPriorStage(config.models, config.backend, steps=config.steps)
    arrays, pairs = _sampled(stage, _request(stage, config), config.count)
    faces = {side: np.asarray(stage.hand_model(side).faces) for side in ('left', 'right')}
    arrays |= {f'{side}_faces': faces[side] for side in faces}
    np.savez_compressed(path, **arrays)
    volumes = arrays['penetration']
    if config.sheet is not None:
        write_picture(config.sheet, sample_sheet(pairs, faces, volumes))
    written = ' and '.join(str(file) for file in (path, config.sheet) if file is not None)
    print(
        f'{config.count} pairs of hands, {float(np.mean(volumes)):.0f} mm³ of each shared on average, written to '
        f'{written} in {time.perf_counter() - begun:.1f} s'
    )
    return 0


def _request(stage: TwoHandPriorStage, config: SampleConfig) -> SampleRequest:
    """The request for all samples."""
    anchor = None if config.anchor is None else read_hand(config.anchor, stage.hand_model)
    vertices = faces = None
    if config.object is not None:
        mesh = read_object(config.object)
        vertices, faces = mesh.vertices, mesh.faces
        if config.object_pose is not None:
            vertices = Rotation.from_quat(config.object_pose[3:]).apply(vertices) + config.object_pose[:3]
    return SampleRequest(
        config.count, config.seed, 'both', anchor, vertices, faces, config.guidance, config.anti_penetration
    )


def _sampled(
    stage: TwoHandPriorStage, request: SampleRequest, count: int
) -> tuple[dict[str, Any], list[list[HandEstimate]]]:
    """The arrays of the file by name, and the pairs of the sheet."""
    arrays: dict[str, Any] = {}
    drawn: list[list[HandEstimate]] = []
    bar = _Bar(count)
    for first in range(0, count, _PORTION):
        wanted = dataclasses.replace(request, count=min(_PORTION, count - first), first=first)
        samples = stage.sample(wanted, progress=functools.partial(bar.show, first))
        assert samples is not None, 'nothing aborts it'
        drawn += samples.hands[: MOST - len(drawn)]
        for name, rows in _rows(samples).items():
            if first == 0:
                arrays[name] = np.empty((count, *rows.shape[1:]), rows.dtype)
            arrays[name][first : first + len(rows)] = rows
    return arrays, drawn


def _rows(samples: HandSamples) -> dict[str, np.ndarray]:
    """The arrays of some samples by name."""
    rows = {'score': samples.scores, 'penetration': samples.intersections / _CUBIC_MILLIMETRE}
    for number, side in enumerate(('left', 'right')):
        for name in ('vertices', 'joints', 'pose', 'shape', 'translation'):
            values = [getattr(pair[number], name) for pair in samples.hands]
            rows[f'{side}_{name}'] = np.stack(values).astype(np.float32)
    return rows


class _Bar:
    """A progress bar on a terminal, and a line every few seconds elsewhere.

    Args:
        total: of the samples.
    """

    def __init__(self, total: int) -> None:
        self._total, self._begun = total, time.monotonic()
        self._every = 0.0 if sys.stderr.isatty() else 5.0
        self._shown = self._begun

    def show(self, before: int, further: int) -> None:
        """So many samples are done."""
        now, done = time.monotonic(), before + further
        if now - self._shown < self._every and done < self._total:
            return
        self._shown = now
        filled = _BAR * done // self._total
        text = f'sampling |{"#" * filled:<{_BAR}}| {done}/{self._total} {now - self._begun:.0f} s'
        end = '\n' if self._every or done == self._total else '\r'
        print(text, end=end, file=sys.stderr, flush=True)
