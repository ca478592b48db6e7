# SPDX-License-Identifier: Apache-2.0
"""The whole `reconstruction` stage on unseen images: find the hand, tell its side, place its mesh before the camera."""

from __future__ import annotations

import dataclasses
import functools
import json
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from hoi_ros.camera.view_crop import outline
from hoi_ros.engines import Card
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.model import HandModel
from hoi_ros.stages.reconstruction import ReconstructionStage
from training.data.hand_object import HandObjectSample
from training.data.synthetic.grasps import GraspGenerator
from training.data.synthetic.rgb_scenes import RgbFrame
from training.data.synthetic.rgb_scenes import RgbScenes
from training.evaluation.metrics import evaluate_joints
from training.evaluation.reconstruction import TEST_SEED
from training.networks.reconstruction import ROOT
from training.recipes.rgb_detector import COUNTED

WAYS = {'colour alone': (False, False), 'depth: distance': (True, False), 'depth: surface': (True, True)}
"""What the stage is given and does: depth, and whether hands move onto its surface."""


@dataclasses.dataclass(frozen=True)
class ReconstructionStageEvaluation:
    """Runs the stage on images of 640×480, each as if it were the first, without depth and with it."""

    frames: int = 300
    models: Path = Path('models')
    split: str = 'test'
    """'test' or 'held_out' for the figures that are quoted; 'validation' for every choice that is made by looking."""
    workers: int = 2
    """Processes that render."""
    out: Path | None = None
    """JSON file for the figures."""
    card: bool = False
    """Whether to write the share of the joints within 2 cm on depth into the model's card; for 'validation'."""


def evaluate(config: ReconstructionStageEvaluation) -> dict[str, dict[str, float]]:
    """Prints and returns the figures of each of `WAYS`. A hand counts where at least 45 % of it can be seen."""
    stage = ReconstructionStage(config.models)
    found: dict[str, list[HandEstimate | None]] = {way: [] for way in WAYS}
    false = dict.fromkeys(WAYS, 0)
    truth = []
    for index, frame in enumerate(rendered(config.split, config.frames, config.workers)):
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
            'there is nothing to measure'
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
    if config.out:
        config.out.write_text(json.dumps(figures, indent=1) + '\n')
    share = figures['depth: surface'].get('placed_joints_within_2_cm')
    if config.card and share is not None:
        folder = config.models / 'reconstruction'
        card = Card.load(folder)
        dataclasses.replace(card, parameters={**card.parameters, 'joints_within_2_cm_on_depth': round(share, 4)}).save(
            folder
        )
    return figures


def figures_of(hands: list[HandEstimate | None], truth: list[HandObjectSample]) -> dict[str, float]:
    """How many hands of the truth were found, and of those the share whose side is right; the shares of the hands with
    and without an object that are told so, averaged; the share whose distance comes from depth; the joints' distance
    from the truth (mm) before the camera, from the wrist, from the middle knuckle and rigidly aligned; and the share
    that is within 2 cm before the camera, of all and of the hands that depth has placed."""
    pairs = [(hand, known) for hand, known in zip(hands, truth) if hand is not None]
    seen = np.array([hand.joints for hand, _ in pairs], float)
    known = np.array([sample.keypoints for _, sample in pairs], float)
    off = np.linalg.norm(seen - known, axis=-1)
    placed = np.array([hand.located_by == 'depth' for hand, _ in pairs])
    told: dict[bool, list[bool]] = {True: [], False: []}
    for hand, sample in pairs:
        told[sample.held is not None].append((hand.held is None) == (sample.held is None))
    figures = {
        'hands': len(truth),
        'found': len(pairs) / len(truth),
        'side_right_of_found': float(np.mean([hand.side == sample.side for hand, sample in pairs])),
        'object_told': float(np.mean([np.mean(right) for right in told.values() if right])),
        'placed_by_depth': float(placed.mean()),
        'joints_mm': 1e3 * float(off.mean()),
        'joints_median_mm': 1e3 * float(np.median(off)),
        'from_wrist_mm': evaluate_joints(seen - seen[:, :1], known - known[:, :1]).mean_mm,
        'from_knuckle_mm': evaluate_joints(seen - seen[:, [ROOT]], known - known[:, [ROOT]]).mean_mm,
        'rigid_mm': evaluate_joints(seen, known).rigid_mm,
        'joints_within_2_cm': float((off < 0.02).mean()),
    }
    if placed.any():
        figures['placed_joints_within_2_cm'] = float((off[placed] < 0.02).mean())
    return figures


def match(hands: list[HandEstimate], frame: RgbFrame) -> list[HandEstimate | None]:
    """For each hand of an image the one that was reported of it: as near as can be for all of them together, and
    within half of the hand's side in the image."""
    matched: list[HandEstimate | None] = [None] * len(frame.hands)
    if not hands or not frame.hands:
        return matched
    gaps = []
    for sample in frame.hands:
        middle, side = outline(sample.camera.project(sample.keypoints), None)
        gaps.append(
            [
                min(np.linalg.norm(outline(sample.camera.project(hand.joints), None)[0] - middle) / side, 0.5)
                for hand in hands
            ]
        )
    for known, seen in zip(*linear_sum_assignment(gaps)):
        if gaps[known][seen] < 0.5:
            matched[known] = hands[seen]
    return matched


def rendered(split: str, count: int, workers: int) -> Iterator[RgbFrame]:
    """The images of a split, which so many processes render."""
    with multiprocessing.get_context('spawn').Pool(workers) as pool:
        yield from tqdm(
            pool.imap(functools.partial(_render, split), range(count)), total=count, unit='image', mininterval=5
        )


@functools.cache
def _scenes(split: str) -> RgbScenes:
    seed, model = 0 if split == 'validation' else TEST_SEED, HandModel.load()
    return RgbScenes(GraspGenerator(model, seed, split), seed, split, model=model)


def _render(split: str, index: int) -> RgbFrame:
    return _scenes(split).frame(index)
