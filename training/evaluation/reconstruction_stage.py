# SPDX-License-Identifier: Apache-2.0
"""The whole `reconstruction` stage on unseen images: find the hand, tell its side, place its mesh before the camera."""

from __future__ import annotations

import dataclasses
import functools
import json
import multiprocessing
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hoi_ros.camera.view_crop import outline
from hoi_ros.engines import Card
from hoi_ros.hand.model import HandModel
from hoi_ros.stages.estimates import HandEstimate
from hoi_ros.stages.reconstruction import ReconstructionStage
from training.data.grasps import GraspGenerator
from training.data.rgb_scenes import RgbFrame
from training.data.rgb_scenes import RgbScenes
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
    """Prints and returns the figures of each of `WAYS`. A hand counts where most of it can be seen."""
    stage = ReconstructionStage(config.models)
    found: dict[str, list[HandEstimate | None]] = {way: [] for way in WAYS}
    false = dict.fromkeys(WAYS, 0)
    truth = []
    with multiprocessing.get_context('spawn').Pool(config.workers) as pool:
        frames = pool.imap(functools.partial(_render, config.split), range(config.frames))
        for index, frame in enumerate(tqdm(frames, total=config.frames, unit='image', mininterval=5)):
            counted = np.array(frame.visible) >= COUNTED
            truth += [hand for hand, counts in zip(frame.hands, counted) if counts]
            for way, (with_depth, stage.fit_surface) in WAYS.items():
                stage.reset()
                hands = stage(frame.image, frame.view.camera, float(index), frame.depth if with_depth else None)
                matched = match(hands, frame)
                false[way] += len(hands) - sum(hand is not None for hand in matched)
                found[way] += [hand for hand, counts in zip(matched, counted) if counts]
    figures = {}
    for way, hands in found.items():
        pairs = [(hand, known) for hand, known in zip(hands, truth) if hand is not None]
        if not pairs:
            raise SystemExit(f'{config.models}/rgb_detector found none of {len(truth)} hands in {config.frames} '
                             'images: there is nothing to measure')
        seen = np.array([hand.joints for hand, _ in pairs], float)
        known = np.array([sample.keypoints for _, sample in pairs], float)
        off = np.linalg.norm(seen - known, axis=-1)
        figures[way] = {
            'hands': len(truth), 'found': len(pairs) / len(truth), 'false_hands_an_image': false[way] / config.frames,
            'side_right_of_found': float(np.mean([hand.side == sample.side for hand, sample in pairs])),
            'located_by_depth': float(np.mean([hand.located_by == 'depth' for hand, _ in pairs])),
            'joints_mm': 1e3 * float(off.mean()), 'joints_median_mm': 1e3 * float(np.median(off)),
            'from_wrist_mm': evaluate_joints(seen - seen[:, :1], known - known[:, :1]).mean_mm,
            'from_knuckle_mm': evaluate_joints(seen - seen[:, [ROOT]], known - known[:, [ROOT]]).mean_mm,
            'rigid_mm': evaluate_joints(seen, known).rigid_mm, 'joints_within_2_cm': float((off < 0.02).mean())}
    for name in next(iter(figures.values())):
        print(f'{name:22}' + ''.join(f'  {way}: {columns[name]:.4g}' for way, columns in figures.items()))
    if config.out:
        config.out.write_text(json.dumps(figures, indent=1) + '\n')
    if config.card:
        folder = config.models / 'reconstruction'
        card = Card.load(folder)
        share = round(figures['depth: surface']['joints_within_2_cm'], 4)
        dataclasses.replace(card, parameters={**card.parameters, 'joints_within_2_cm_on_depth': share}).save(folder)
    return figures


def match(hands: list[HandEstimate], frame: RgbFrame) -> list[HandEstimate | None]:
    """For each hand of an image the nearest one that was reported, where that lies within half the hand's side of it
    in the image and is no other hand's."""
    matched: list[HandEstimate | None] = []
    left = list(hands)
    for sample in frame.hands:
        middle, side = outline(sample.camera.project(sample.keypoints), None)
        gaps = [np.linalg.norm(outline(sample.camera.project(hand.joints), None)[0] - middle) for hand in left]
        near = int(np.argmin(gaps)) if gaps else -1
        matched.append(left.pop(near) if near >= 0 and gaps[near] < side / 2 else None)
    return matched


@functools.cache
def _scenes(split: str) -> RgbScenes:
    seed, model = 0 if split == 'validation' else TEST_SEED, HandModel.load()
    return RgbScenes(GraspGenerator(model, seed, split), seed, split, model=model)


def _render(split: str, index: int) -> RgbFrame:
    return _scenes(split).frame(index)
