# SPDX-License-Identifier: Apache-2.0
"""The whole `depth_pose` stage on held-out synthetic frames: detection, side and joints."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.stages.depth_pose import DepthPoseStage
from training.data.pool import generator_key
from training.data.synthetic import depth_test_frames
from training.data.synthetic.depth_test_frames import DepthTestFrame
from training.data.synthetic.depth_test_frames import DepthTestFrames
from training.data.synthetic.depth_test_frames import SPLITS
from training.evaluation.figures import print_figures
from training.evaluation.figures import require_count
from training.evaluation.figures import require_split
from training.evaluation.figures import write_figures
from training.evaluation.metrics import evaluate_joints

_FOUND_WITHIN = 0.1
"""A hand is found if the centre of an estimate lies nearer than this to its own (the reach of a crop), metres."""


@dataclasses.dataclass(frozen=True)
class DepthPoseEvaluation:
    """Runs the stage on the synthetic test set, each frame as if it were the first of a stream."""

    frames: int = 5000
    models: Path = Path('models')
    variant: str = 'depth_pose'
    split: str = 'test'
    """One of `SPLITS`: 'validation' and 'handling_validation' for choices that depend on figures; 'test' (free hands),
    'handling' (hands that hold unseen things) and 'wide' (these before wide cameras) for figures that are quoted."""
    cache: Path = Path('runs/test_frames')
    """Folder that caches rendered frames, one folder a split and state of the code (about 100 kB a frame)."""
    workers: int = 2
    """Processes that render and run the stage."""
    out: Path | None = None
    """JSON file for the figures."""


def evaluate(config: DepthPoseEvaluation) -> dict:
    """Prints and returns the figures of the whole stage."""
    require_count(config.frames)
    require_split(config.split, tuple(SPLITS))
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


def run_stage(config: DepthPoseEvaluation) -> Iterator[tuple[DepthTestFrame, list[HandEstimate]]]:
    """The frames and the stage's estimates, each frame as if it were the first; without pixels and vertices."""
    one = functools.partial(_run_stage, config, prepare(config.split, config.frames, config.cache, config.workers))
    if config.workers < 2:
        yield from map(one, range(config.frames))
        return
    with multiprocessing.get_context('spawn').Pool(config.workers) as pool:
        yield from pool.imap(one, range(config.frames), chunksize=16)


def _run_stage(config: DepthPoseEvaluation, folder: Path, index: int) -> tuple[DepthTestFrame, list[HandEstimate]]:
    frame = _frames(config.split).cached(index, folder)
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


def frames_folder(split: str, cache: Path) -> Path:
    """Where a cache keeps the frames of a split that the present code renders."""
    key = generator_key(0, split, modules=[depth_test_frames.__name__])
    return cache / f'{split}-{hashlib.sha256(key.encode()).hexdigest()[:8]}'


def prepare(split: str, frames: int, cache: Path, workers: int) -> Path:
    """Renders the frames of a split that the cache lacks, and returns their folder."""
    folder = frames_folder(split, cache)
    folder.mkdir(parents=True, exist_ok=True)
    missing = [index for index in range(frames) if not (folder / f'{index:05d}.json').is_file()]
    if not missing:
        return folder
    with multiprocessing.get_context('spawn').Pool(workers) as pool:
        for _ in tqdm(
            pool.imap_unordered(functools.partial(_render, split, folder), missing, chunksize=16),
            total=len(missing),
            unit='frame',
            mininterval=5,
            desc='rendering',
        ):
            pass
    return folder


_frames = functools.cache(DepthTestFrames)


def _render(split: str, folder: Path, index: int) -> None:
    _frames(split).cached(index, folder)
