# SPDX-License-Identifier: Apache-2.0
"""The whole `depth_pose` stage on held-out synthetic frames: detection, side and joints."""

from __future__ import annotations

import dataclasses
import functools
import json
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.simulation.sensor import SensorModel
from hoi_ros.stages.depth_pose import DepthPoseStage
from training.data.synthetic.scene_config import SceneConfig
from training.data.synthetic.scenes import SceneGenerator
from training.evaluation.figures import print_figures
from training.evaluation.figures import require_count
from training.evaluation.figures import require_split
from training.evaluation.figures import write_figures
from training.evaluation.metrics import evaluate_joints

TEST_SCENES = SceneConfig(hands=(0.08, 0.67, 0.25), person=0.55)
"""Frames with no, one and two hands; their seeds give other shapes, poses, viewpoints and scenes than training."""
HANDLING_SCENES = SceneConfig(hands=(0.08, 0.72, 0.2), handling=1.0)
"""Frames of hands that hold things, three in four, before cameras of every kind."""
SPLITS = {
    'validation': (TEST_SCENES, 'validation'),
    'test': (TEST_SCENES, 'test'),
    'handling_validation': (HANDLING_SCENES, 'validation'),
    'handling': (HANDLING_SCENES, 'held_out'),
}
"""Scenes of each set of frames, and their split; 'held_out' has object families that training never shows."""

COUNTED = 0.6
"""A hand counts if at least this share of it is inside the image and not occluded, and the sensor returned at least
half of its pixels."""
_FOUND_WITHIN = 0.1
"""A hand is found if the centre of an estimate lies nearer than this to its own (the reach of a crop), metres."""


@dataclasses.dataclass(frozen=True)
class TestFrame:
    """One frame at the size of the sensor, and the hands in it."""

    depth: np.ndarray
    """(480, 640) float32 metres, 0 invalid."""
    camera: Pinhole
    sides: tuple[str, ...]
    """N of 'left' or 'right'."""
    keypoints: np.ndarray
    """(N, 21, 3) metres."""
    counted: np.ndarray
    """(N,) bool, hands that must be found."""


class TestFrames:
    """Streams the test frames; an index gives the same frame on every machine."""

    def __init__(self, split: str = 'test', seed: int = 1000) -> None:
        scenes, part = SPLITS[split]
        self._scenes = SceneGenerator(HandModel.load(), scenes, seed, part)
        self._any_camera = bool(scenes.handling)

    def __getitem__(self, index: int) -> TestFrame:
        scene = self._scenes[index]
        rng = self._scenes.rng(index, purpose=3)
        view = scene.look(scene.camera)
        if self._any_camera:
            observed = view.observed(rng)
        else:
            observed = SensorModel.sample(rng).observe(view.without_dark_places(rng), scene.camera.fx, rng)
        counted = [
            scene.visible_share(number, view) >= COUNTED and (observed[view.owners == number] > 0).mean() >= 0.5
            if (view.owners == number).any()
            else False
            for number in range(len(scene.hands))
        ]
        return TestFrame(
            np.round(observed, 4),
            scene.camera,
            tuple(hand.side for hand in scene.hands),
            np.array([hand.keypoints for hand in scene.hands]).reshape(-1, 21, 3),
            np.array(counted, bool),
        )

    def cached(self, index: int, folder: Path) -> TestFrame:
        """The frame from a cache folder; it is rendered and stored there first if it is missing."""
        image, notes = folder / f'{index:05d}.png', folder / f'{index:05d}.json'
        if not notes.is_file():
            frame = self[index]
            cv2.imwrite(str(image), (np.minimum(frame.depth, 6.5) * 1e4 + 0.5).astype(np.uint16))
            fresh = notes.with_suffix('.new')
            fresh.write_text(
                json.dumps(
                    {
                        'camera': dataclasses.asdict(frame.camera),
                        'sides': frame.sides,
                        'keypoints': frame.keypoints.tolist(),
                        'counted': frame.counted.tolist(),
                    }
                )
            )
            os.replace(fresh, notes)
        kept = json.loads(notes.read_text())
        depth = cv2.imread(str(image), cv2.IMREAD_UNCHANGED).astype(np.float32) * np.float32(1e-4)
        return TestFrame(
            depth,
            Pinhole(**kept['camera']),
            tuple(kept['sides']),
            np.array(kept['keypoints'], float).reshape(-1, 21, 3),
            np.array(kept['counted'], bool),
        )


@dataclasses.dataclass(frozen=True)
class DepthPoseEvaluation:
    """Runs the stage on the synthetic test set, each frame as if it were the first of a stream."""

    frames: int = 5000
    models: Path = Path('models')
    variant: str = 'depth_pose'
    split: str = 'test'
    """One of `SPLITS`: 'validation' and 'handling_validation' for choices that depend on figures, 'test' (free hands)
    and 'handling' (hands that hold unseen things) for figures that are quoted."""
    cache: Path = Path('runs/test_frames')
    """Folder that caches rendered frames, one folder a split (about 100 kB a frame)."""
    workers: int = 2
    """Processes that render and run the stage."""
    out: Path | None = None
    """JSON file for the figures."""


def evaluate(config: DepthPoseEvaluation) -> dict:
    """Prints and returns the figures of the whole stage."""
    require_count(config.frames)
    require_split(config.split, tuple(SPLITS))
    prepare(config.split, config.frames, config.cache, config.workers)
    predicted, truth, sided = [], [], []
    counted = found = false = empty = silent = 0
    for frame, hands in tqdm(run_stage(config), total=config.frames, unit='frame', mininterval=5):
        gaps = np.array(
            [[np.linalg.norm(hand.joints.mean(0) - joints.mean(0)) for hand in hands] for joints in frame.keypoints]
        ).reshape(len(frame.keypoints), len(hands))
        matched: set[int] = set()
        for number in range(len(frame.keypoints)):
            best = int(gaps[number].argmin()) if hands else -1
            hit = best >= 0 and gaps[number, best] < _FOUND_WITHIN and best not in matched
            if hit:
                matched.add(best)
            if frame.counted[number]:
                counted += 1
                found += hit
                if hit:
                    predicted.append(hands[best].joints)
                    truth.append(frame.keypoints[number])
                    sided.append(hands[best].side == frame.sides[number])
        false += len(hands) - len(matched)
        if not frame.sides:
            empty += 1
            silent += not hands
    if not predicted:
        raise SystemExit(
            f'{config.models}/{config.variant} found none of {counted} hands in {config.frames} frames: '
            'there are no joints to measure'
        )
    sided_array = np.array(sided)
    metrics = evaluate_joints(np.array(predicted), np.array(truth))
    figures = {
        'variant': config.variant,
        'split': config.split,
        'frames': config.frames,
        'hands': counted,
        'found': found / counted,
        'found_and_side_right': float(sided_array.sum() / counted),
        'side_right_of_found': float(sided_array.mean()),
        'false_hands_per_frame': false / config.frames,
        'empty_frames_silent': silent / max(empty, 1),
        'joints': {name: value for name, value in dataclasses.asdict(metrics).items() if name != 'frames'},
    }
    joints = figures['joints']
    print(f'{counted} hands in {config.frames} frames of split {config.split}; shares from 0 to 1, mm where named')
    print_figures({name: value for name, value in {**figures, **joints}.items() if isinstance(value, float)})
    print('mean_per_joint_mm       ', ' '.join(f'{value:.1f}' for value in joints['per_joint_mm']))
    write_figures(figures, config.out)
    return figures


def run_stage(config: DepthPoseEvaluation) -> Iterator[tuple[TestFrame, list[HandEstimate]]]:
    """The frames and the stage's estimates, each frame as if it were the first; without pixels and vertices."""
    one = functools.partial(_run_stage, config)
    if config.workers < 2:
        yield from map(one, range(config.frames))
        return
    with multiprocessing.get_context('spawn').Pool(config.workers) as pool:
        yield from pool.imap(one, range(config.frames), chunksize=16)


def _run_stage(config: DepthPoseEvaluation, index: int) -> tuple[TestFrame, list[HandEstimate]]:
    frame = _frames(config.split).cached(index, config.cache / config.split)
    stage = _stage(config.models, config.variant)
    stage.reset()
    hands = stage(frame.depth, frame.camera, float(index))
    # Pixels and vertices are not evaluated, so they are not sent between processes.
    return (
        dataclasses.replace(frame, depth=np.zeros((0, 0), np.float32)),
        [dataclasses.replace(hand, vertices=np.zeros((0, 3), np.float32)) for hand in hands],
    )


@functools.cache
def _stage(models: Path, variant: str) -> DepthPoseStage:
    return DepthPoseStage(models, threads=1, variant=variant)


def prepare(split: str, frames: int, cache: Path, workers: int) -> None:
    """Renders the frames that the cache lacks."""
    folder = cache / split
    folder.mkdir(parents=True, exist_ok=True)
    missing = [index for index in range(frames) if not (folder / f'{index:05d}.json').is_file()]
    if not missing:
        return
    with multiprocessing.get_context('spawn').Pool(workers) as pool:
        for _ in tqdm(
            pool.imap_unordered(functools.partial(_render, split, folder), missing, chunksize=16),
            total=len(missing),
            unit='frame',
            mininterval=5,
            desc='rendering',
        ):
            pass


_frames = functools.cache(TestFrames)


def _render(split: str, folder: Path, index: int) -> None:
    _frames(split).cached(index, folder)
