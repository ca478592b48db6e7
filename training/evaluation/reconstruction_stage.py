# SPDX-License-Identifier: Apache-2.0
"""The whole `reconstruction` stage on held-out images: detection, side, object, and the joints in the camera frame."""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from hoi_ros.camera.view_crop import outline
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.stages.reconstruction import ReconstructionStage
from training.data.hand_object import HandObjectSample
from training.data.real.scans import ScannedObjects
from training.data.synthetic.grasps import GraspGenerator
from training.data.synthetic.rgb_config import Kind
from training.data.synthetic.rgb_config import scenes_of
from training.data.synthetic.rgb_frame_views import COUNTED
from training.data.synthetic.rgb_scenes import RgbFrame
from training.data.synthetic.rgb_scenes import RgbScenes
from training.evaluation.figures import write_figures
from training.evaluation.metrics import evaluate_joints
from training.evaluation.reconstruction import TEST_SEED
from training.networks.reconstruction_config import ROOT

WAYS = {'colour alone': (False, False), 'depth: distance': (True, False), 'depth: surface': (True, True)}
"""Modes of the stage: whether it receives depth, and whether it fits hands to the observed surface."""
_MATCHED_WITHIN = 0.5
"""A report matches a hand whose outline's middle lies nearer than this, in sides of the outline."""


@dataclasses.dataclass(frozen=True)
class ReconstructionStageEvaluation:
    """Runs the stage on images of 640×480, each as if it were the first of a stream, without and with depth."""

    frames: int = 300
    models: Path = Path('models')
    split: str = 'test'
    """'test' or 'held_out' for figures that are quoted, 'validation' for choices that depend on figures."""
    kind: Kind | None = None
    """Scenes of this kind alone; the mixture of all without it."""
    workers: int = 2
    """Rendering processes."""
    out: Path | None = None
    """JSON file for the figures."""


def evaluate(config: ReconstructionStageEvaluation) -> dict[str, dict[str, float]]:
    """Prints and returns the figures of each of `WAYS`. A hand counts if at least 45 % of it is visible."""
    stage = ReconstructionStage(config.models)
    found: dict[str, list[HandEstimate | None]] = {way: [] for way in WAYS}
    false = dict.fromkeys(WAYS, 0)
    truth = []
    for index, frame in enumerate(rendered(config.split, config.frames, config.workers, kind=config.kind)):
        counted = np.array(frame.visible) >= COUNTED
        truth += [hand for hand, counts in zip(frame.hands, counted) if counts]
        for way, (with_depth, stage.fit_surface) in WAYS.items():
            stage.reset()
            hands = stage(frame.image, frame.view.camera, float(index), frame.depth if with_depth else None)
            matched = match(hands, frame)
            false[way] += len(hands) - sum(hand is not None for hand in matched)
            found[way] += [hand for hand, counts in zip(matched, counted) if counts]
    if not any(hand is not None for hand in found['colour alone']):
        raise SystemExit(
            f'the models in {config.models} found none of {len(truth)} hands in {config.frames} images: '
            'there are no joints to measure'
        )
    figures = {
        way: {'false_hands_an_image': false[way] / config.frames, **figures_of(hands, truth)}
        for way, hands in found.items()
    }
    for name in figures['depth: surface']:
        print(
            f'{name:26}'
            + ''.join(f'  {way}: {columns[name]:.4g}' for way, columns in figures.items() if name in columns)
        )
    write_figures(figures, config.out)
    return figures


def figures_of(hands: list[HandEstimate | None], truth: list[HandObjectSample]) -> dict[str, float]:
    """Figures of the estimates of all hands, None for a missed one.

    Returns:
        The share of the hands found, and of these: the share with the right side; the shares of hands with and of hands
        without an object that are classified so, averaged; the share located by depth; the joint error (mm) in the
        camera frame, from the wrist, from the middle knuckle and rigidly aligned; and the share of the joints within
        2 cm in the camera frame, of all hands and of those located by depth.
    """
    pairs = [(hand, sample) for hand, sample in zip(hands, truth) if hand is not None]
    predicted = np.array([hand.joints for hand, _ in pairs], float)
    known = np.array([sample.keypoints for _, sample in pairs], float)
    off = np.linalg.norm(predicted - known, axis=-1)
    placed = np.array([hand.located_by == 'depth' for hand, _ in pairs])
    correct: dict[bool, list[bool]] = {True: [], False: []}
    for hand, sample in pairs:
        correct[sample.held is not None].append((hand.held is None) == (sample.held is None))
    figures = {
        'hands': len(truth),
        'found': len(pairs) / len(truth),
        'side_right_of_found': float(np.mean([hand.side == sample.side for hand, sample in pairs])),
        'object_told': float(np.mean([np.mean(right) for right in correct.values() if right])),
        'placed_by_depth': float(placed.mean()),
        'joints_mm': 1e3 * float(off.mean()),
        'joints_median_mm': 1e3 * float(np.median(off)),
        'from_wrist_mm': evaluate_joints(predicted - predicted[:, :1], known - known[:, :1]).mean_mm,
        'from_knuckle_mm': evaluate_joints(predicted - predicted[:, [ROOT]], known - known[:, [ROOT]]).mean_mm,
        'rigid_mm': evaluate_joints(predicted, known).rigid_mm,
        'joints_within_2_cm': float((off < 0.02).mean()),
    }
    if placed.any():
        figures['placed_joints_within_2_cm'] = float((off[placed] < 0.02).mean())
    return figures


def match(hands: list[HandEstimate], frame: RgbFrame) -> list[HandEstimate | None]:
    """The report of each hand of an image, or None, by the assignment of least total distance in the image."""
    matched: list[HandEstimate | None] = [None] * len(frame.hands)
    if not hands or not frame.hands:
        return matched
    gaps = []
    for sample in frame.hands:
        middle, side = outline(sample.camera.project(sample.keypoints), None)
        gaps.append(
            [
                min(
                    np.linalg.norm(outline(sample.camera.project(hand.joints), None)[0] - middle) / side,
                    _MATCHED_WITHIN,
                )
                for hand in hands
            ]
        )
    for number, report in zip(*linear_sum_assignment(gaps)):
        if gaps[number][report] < _MATCHED_WITHIN:
            matched[number] = hands[report]
    return matched


def rendered(
    split: str, count: int, workers: int, scans: Path | None = None, kind: Kind | None = None
) -> Iterator[RgbFrame]:
    """The images of a split, rendered by `workers` processes; with `scans` all objects are scanned ones of it, with
    `kind` all images of that kind."""
    with multiprocessing.get_context('spawn').Pool(workers) as pool:
        frames = pool.imap(functools.partial(_render, split, scans, kind), range(count))
        yield from tqdm(frames, total=count, unit='image', mininterval=5)


@functools.cache
def _scenes(split: str, scans: Path | None, kind: Kind | None) -> RgbScenes:
    seed, model = 0 if split == 'validation' else TEST_SEED, HandModel.load()
    objects = ScannedObjects(scans, split, 1.0) if scans else None
    return RgbScenes(GraspGenerator(model, seed, split, objects), seed, split, scenes_of(kind), model)


def _render(split: str, scans: Path | None, kind: Kind | None, index: int) -> RgbFrame:
    return _scenes(split, scans, kind).frame(index)
