# SPDX-License-Identifier: Apache-2.0
"""Runs a stage on given grasps without ROS: joints of hands and meshes of objects, a line of JSON each.

    python -m hoi_ros.replay --grasps grasps.jsonl --out out/grasps

writes `results.jsonl` (one object a line of the file, in its order) and `grasps/` (one picture a grasp).
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from hoi_ros.engines import Backend
from hoi_ros.engines import EngineError
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModelError
from hoi_ros.playback.command import make_folder
from hoi_ros.playback.command import run_command
from hoi_ros.playback.contact_results import contact_record
from hoi_ros.playback.contact_results import grasp_record
from hoi_ros.playback.contact_results import rounded
from hoi_ros.playback.grasp_estimates import GraspPreparation
from hoi_ros.playback.grasp_estimates import motion_of
from hoi_ros.playback.grasp_estimates import POINTS
from hoi_ros.playback.grasp_estimates import PreparedGrasp
from hoi_ros.playback.grasp_estimates import wrist_in_object
from hoi_ros.playback.grasp_lines import grasp_of_line
from hoi_ros.playback.grasp_pictures import grasp_picture
from hoi_ros.playback.overlays import named_before
from hoi_ros.playback.overlays import refuse_other_results
from hoi_ros.playback.overlays import RESULTS
from hoi_ros.playback.picture_files import write_picture
from hoi_ros.playback.results import listed
from hoi_ros.resources import ResourceError
from hoi_ros.stages.parts.contact_points import ContactMeasure
from hoi_ros.systems import system_of
from hoi_ros.systems import SYSTEMS

PICTURES = 'grasps'
_DIGITS = 5
"""Of a picture's name, the number of its line."""
_MILLISECOND = 1e-3
_ABLE = [name for name, system in SYSTEMS.items() if system.takes_grasps]
_NOTHING = (
    'joints',
    'object_pose',
    'hand_contact',
    'object_points',
    'object_contact',
    'fingers',
    'penetration',
    'intersection',
    'grasp',
)


class GraspReplayError(ValueError):
    """An invalid command line."""


@dataclasses.dataclass(frozen=True)
class GraspReplayConfig:
    """Run a stage on given grasps: a file with a line of JSON each, {"object": mesh file in metres (OBJ, PLY, STL, GLB;
    relative to the file), "object_pose": 4x4 or absent, "joints": 21x3 metres, "side": "right" or "left"}."""

    grasps: Path
    """File of the grasps."""
    stage: str = _ABLE[0]
    """The system whose stage runs."""
    out: Path = Path('out/grasps')
    """Folder for results.jsonl and grasps/."""
    refine: bool = True
    """Move the hand until both touch as estimated; otherwise only contact is estimated."""
    hold_object: bool = True
    """Move the hand alone, for objects whose pose is known better than the hand's; otherwise both move."""
    budget: float | None = None
    """Longest time of the refinement of a grasp, ms; by default it ends by itself, so that results do not depend on the
    load of the machine."""
    restarts: int = 1
    """Starts of the refinement, of which the best is taken: more than one where hands are centimetres off."""
    pictures: bool = True
    """Write a picture a grasp."""
    vertices: bool = False
    """Write the vertices of the hand's mesh, too."""
    backend: Backend = 'auto'
    """What runs the network."""
    models: Path | None = None
    """Folder of models; the package's own by default, also for those that the folder lacks."""

    def __post_init__(self) -> None:
        if self.stage not in _ABLE:
            raise GraspReplayError(f'the stage {self.stage} takes no grasps: give --stage {" or ".join(_ABLE)}')
        if self.budget is not None and not 0 < self.budget < math.inf:
            raise GraspReplayError(f'--budget is {self.budget}, expected milliseconds above 0')
        if not 1 <= self.restarts <= 16:
            raise GraspReplayError(f'--restarts is {self.restarts}, expected 1 to 16')
        if not self.grasps.is_file():
            raise GraspReplayError(f'--grasps: {self.grasps} is no file')
        if self.grasps.resolve() == (self.out / RESULTS).resolve():
            raise GraspReplayError(f'{self.grasps} is where the results go: give another folder with --out')

    def load_stage(self) -> Any:
        """Creates the stage.

        Raises:
            EngineError, HandModelError, ResourceError: a model is missing or damaged.
        """
        return system_of(self.stage).load_stage(
            backend=self.backend,
            models=self.models,
            refine=self.refine,
            budget=math.inf if self.budget is None else self.budget * _MILLISECOND,
            hold_object=self.hold_object,
            restarts=self.restarts,
            observed=False,
        )


@dataclasses.dataclass
class GraspSummary:
    """The figures of a replay; lists have a number a grasp."""

    grasps: int = 0
    failed: list[str] = dataclasses.field(default_factory=list)
    """'line <number>: <why>' of those without contact."""
    fit_errors: list[float] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)
    depths: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    """Penetration before and after the refinement, metres."""
    volumes: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    """Intersection before and after, cm³."""

    def __str__(self) -> str:
        lines = [f'grasps        {self.grasps}, {len(self.failed)} without contact']
        lines += [f'              {reason}' for reason in self.failed]
        if self.fit_errors:
            fits = 1e3 * np.array(self.fit_errors)
            lines.append(f'fit error     median {np.median(fits):.1f} mm, largest {fits.max():.1f} mm')
        for name, pairs, unit, scale in (
            ('penetration', self.depths, 'mm', 1e3),
            ('intersection', self.volumes, 'cm³', 1.0),
        ):
            if pairs:
                before, after = scale * np.mean(pairs, 0)
                lines.append(f'{name:13} mean {before:.1f} → {after:.1f} {unit} ({len(pairs)} closed objects)')
        if self.seconds:
            taken = 1e3 * float(np.median(self.seconds))
            lines.append(f'time          median {taken:.0f} ms a grasp, reading and fit included')
        return '\n'.join(lines)


class GraspReplay:
    """Runs a stage on lines.

    Args:
        config: of the run.
        stage: called with hands, faces and stamp, as that of `contact`.
    """

    def __init__(self, config: GraspReplayConfig, stage: Any) -> None:
        self._config, self._stage = config, stage
        self._models = {side: stage.hand_model(side) for side in ('right', 'left')}
        self._prepare = GraspPreparation(self._models)
        self._measures = {side: ContactMeasure(model) for side, model in self._models.items()}
        self.summary = GraspSummary()

    def __call__(self) -> GraspSummary:
        """Writes the results of all lines.

        Raises:
            OSError: a file cannot be read or written.
            OutputError: the folder holds the results of something else.
        """
        config, told = self._config, time.monotonic()
        refuse_other_results(config.out, 'line')
        self._stage.warm_up()
        config.out.mkdir(parents=True, exist_ok=True)
        for number in named_before(config.out, 'line'):
            if isinstance(number, int):
                _picture(config.out, number).unlink(missing_ok=True)
        with (
            config.grasps.open(encoding='utf-8', errors='replace') as lines,
            (config.out / RESULTS).open('w', encoding='utf-8') as results,
        ):
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                results.write(json.dumps(self.record(line, number), allow_nan=False) + '\n')
                results.flush()
                if time.monotonic() - told > 5:
                    told = time.monotonic()
                    print(f'line {number}', file=sys.stderr)
        return self.summary

    def record(self, line: str, number: int) -> dict[str, Any]:
        """The result of a line of the file."""
        begun = time.perf_counter()
        record: dict[str, Any] = {'line': number}
        self.summary.grasps += 1
        try:
            given = grasp_of_line(line, self._config.grasps.parent)
            record |= {'object': str(given.object), 'side': given.side}
            prepared = self._prepare(given, number)
        except (ValueError, OSError, MemoryError, OverflowError, RecursionError) as error:
            reason = 'it nests too deeply' if isinstance(error, RecursionError) else str(error)
            self.summary.failed.append(f'line {number}: {reason}')
            return record | dict.fromkeys(_NOTHING) | {'error': reason}
        self.summary.fit_errors.append(prepared.fit_error)
        (refined,) = self._stage([prepared.hand], prepared.mesh.faces, 0.0)
        taken = time.perf_counter() - begun
        record |= dict.fromkeys(_NOTHING)
        record |= {
            'joints': rounded(given.joints),
            'object_pose': rounded(given.object_pose, 9),
            'fit_error': rounded(prepared.fit_error),
            'notes': list(prepared.notes),
            'seconds': round(taken, 4),
        }
        if refined.contact is None:
            reason = self._stage.reasons.get(number, 'the stage gives no contact')
            self.summary.failed.append(f'line {number}: {reason}')
            return record | {'reason': reason}
        self.summary.seconds.append(taken)
        record |= self._estimated(prepared, refined)
        if self._config.pictures:
            models = self._models[given.side]
            picture = grasp_picture(prepared, refined, models.faces, record, self._config.refine)
            write_picture(_picture(self._config.out, number), picture)
        return record

    def _estimated(self, prepared: PreparedGrasp, refined: HandEstimate) -> dict[str, Any]:
        """The fields of a grasp whose contact is known."""
        contact, held, grasp, before = refined.contact, refined.held, refined.grasp, prepared.hand.held
        assert contact is not None and held is not None and before is not None
        object_pose = motion_of(before, held) @ prepared.given.object_pose
        found = {
            'joints': rounded(self._prepare.joints(prepared, refined)),
            'object_pose': rounded(object_pose, 9),
            'hand_contact': rounded(contact.hand, 4),
            'object_points': rounded(held.vertices[-POINTS:]),
            'object_contact': rounded(contact.object[-POINTS:], 4),
            **contact_record(contact),
            'grasp': None if grasp is None else grasp_record(grasp, wrist_in_object(grasp, object_pose)),
            'hand_pose': rounded(refined.pose),
            'hand_shape': rounded(refined.shape),
            'hand_translation': rounded(refined.translation),
        }
        if self._config.vertices:
            found['hand_vertices'] = rounded(refined.vertices)
        if self._config.refine:
            hand, measure = prepared.hand, self._measures[refined.side]
            was = measure(hand.vertices, contact.hand, before.vertices, prepared.mesh.faces, contact.object)
            found['penetration_before'] = rounded(was.penetration)
            found['intersection_before'] = rounded(1e6 * was.intersection)
            if prepared.mesh.closed:
                self.summary.depths.append((was.penetration, contact.penetration))
                self.summary.volumes.append((1e6 * was.intersection, 1e6 * contact.intersection))
        return found


def _picture(out: Path, number: int) -> Path:
    """The picture of a line of the file."""
    return out / PICTURES / f'{number:0{_DIGITS}d}.png'


def main(arguments: Sequence[str]) -> int:
    """Command line; 0 if every line has contact, 1 if some have none, 2 if nothing could run."""
    return run_command('replay', functools.partial(_run, arguments), (EngineError, HandModelError, ResourceError))


def _run(arguments: Sequence[str]) -> int:
    config = tyro.cli(GraspReplayConfig, args=arguments, prog='python -m hoi_ros.replay')
    make_folder(config.out)
    try:
        summary = GraspReplay(config, config.load_stage())()
    except ModuleNotFoundError as error:
        print(f'replay: --grasps needs {error.name}: pip install -r requirements/demo.txt', file=sys.stderr)
        return 2
    print(summary)
    print(f'written to    {config.out}')
    if summary.failed:
        numbers = [reason.partition(':')[0] for reason in summary.failed]
        print(f'replay: {len(summary.failed)} of {summary.grasps} grasps failed ({listed(numbers)})', file=sys.stderr)
    return 1 if summary.failed or not summary.grasps else 0
