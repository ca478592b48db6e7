# SPDX-License-Identifier: Apache-2.0
"""How well an RGB detector finds hands: the figures of a network in training and of the exported model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor

from hoi_ros.engines import Card
from hoi_ros.engines import Engine
from hoi_ros.engines import load_engine
from hoi_ros.stages.parts.rgb_detector import decode
from hoi_ros.stages.parts.rgb_detector import DetectedHand
from hoi_ros.stages.parts.rgb_detector import network_input
from hoi_ros.stages.parts.scores import probability
from hoi_ros.stages.parts.scores import ScoreCalibration
from training.data.synthetic.rgb_frame_views import COUNTED
from training.data.synthetic.rgb_frame_views import FrameView
from training.data.synthetic.rgb_frame_views import held_out_views
from training.evaluation.figures import print_figures
from training.evaluation.figures import print_score_curve
from training.evaluation.figures import require_count
from training.evaluation.figures import write_figures
from training.networks.rgb_detector import RgbMaps

TEST_SEED = 1000
"""Seed of the test frames."""
_CANDIDATES = 4
"""Proposals of a frame that the score curve counts."""


@dataclasses.dataclass(frozen=True)
class RgbDetectorEvaluation:
    """Prints the detector's figures on frames outside the training split, and the score curve."""

    frames: int = 500
    split: str = 'test'
    models: Path = Path('models')
    out: Path | None = None
    """JSON file for the figures."""


@dataclasses.dataclass(frozen=True)
class DetectorCandidates:
    """The proposals of the exported detector on a set of frames."""

    scores: np.ndarray
    """(N,) scores of the network, not calibrated."""
    hands: np.ndarray
    """(N,) bool, proposals that are hands."""
    total: int
    """Hands in the frames."""


class ExportedDetector(nn.Module):
    """The network of a model folder with the interface of `RgbDetectorNet`."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    def forward(self, image: Tensor) -> RgbMaps:
        maps = self._engine(image=image.numpy())
        return RgbMaps(*(torch.from_numpy(np.array(maps[name])) for name in RgbMaps._fields))


def evaluate(config: RgbDetectorEvaluation) -> dict[str, float]:
    """Prints and returns the figures at a calibrated score of 0.5."""
    require_count(config.frames)
    folder = config.models / 'rgb_detector'
    network = ExportedDetector(load_engine(folder))
    views = evaluation_views(config.split, config.frames)
    calibration = ScoreCalibration(**Card.load(folder).parameters.get('score_calibration', {}))
    print_candidates(collect_candidates(network, views), calibration, len(views))
    # The network's own score that is calibrated to 0.5.
    figures = detector_figures(network, views, probability(-calibration.offset / calibration.scale))
    print('at a calibrated score of 0.5; shares from 0 to 1, size and centre as shares of the side of the hand:')
    print_figures(figures)
    write_figures(figures, config.out)
    return figures


def evaluation_views(split: str, frames: int) -> list[FrameView]:
    """Frames of a split under the seed that belongs to it."""
    return held_out_views(split, frames, TEST_SEED if split == 'test' else 0)


def detect(network: nn.Module, image: np.ndarray, most: int = 3) -> list[DetectedHand]:
    """The hands that a network detects in an image (H, W, 3) of its own size."""
    device = next(network.parameters(), torch.empty(0)).device
    with torch.inference_mode():
        maps = network(torch.from_numpy(network_input(image))[None].to(device))
    return decode(*(values[0].cpu().numpy() for values in maps), most)


def detector_figures(network: nn.Module, views: list[FrameView], threshold: float = 0.3) -> dict[str, float]:
    """Figures of a network on views.

    Returns:
        Share of the hands found (centre within half of the side); false detections a frame; of the found hands the
        shares with the right side and the right answer to whether they hold something, the mean |log| error of the
        side, the mean error of the centre in sides, and the IoU of the held box.
    """
    hits, counted, false, sides, right, holds, sizes, overlaps = 0, 0, 0, [], [], [], [], []
    for view in views:
        hands = [hand for hand in detect(network, view.image) if hand.score >= threshold]
        free = list(range(len(hands)))
        for number, (x, y, side) in enumerate(view.square):
            gaps = {k: np.linalg.norm(hands[k].centre - [x, y]) for k in free}
            match = min(gaps, key=gaps.__getitem__, default=None)
            found = match is not None and gaps[match] < side / 2
            if found:
                free.remove(match)
            if view.visible[number] < COUNTED:
                continue
            counted += 1
            hits += found
            if found:
                hand = hands[match]
                sizes.append(abs(np.log(hand.side / side)))
                right.append((hand.right > 0.5) == view.right[number])
                holds.append((hand.holds > 0.5) == view.holds[number])
                sides.append(gaps[match] / side)
                if view.holds[number] and hand.held is not None:
                    overlaps.append(_overlap(hand.held, view.held[number]))
        unsure = view.square[view.visible < COUNTED]
        false += sum(all(np.linalg.norm(hands[k].centre - [x, y]) > side for x, y, side in unsure) for k in free)
    mean = [float(np.mean(values)) if values else float('nan') for values in (right, holds, sizes, sides, overlaps)]
    return {
        'found': float(hits / max(counted, 1)),
        'false_per_frame': false / len(views),
        'side_right': mean[0],
        'holds_right': mean[1],
        'size_error': mean[2],
        'centre_error': mean[3],
        'held_iou': mean[4],
    }


def collect_candidates(network: nn.Module, views: list[FrameView]) -> DetectorCandidates:
    """The network's proposals, each labelled hand or non-hand; proposals near a hand that could be it are left out."""
    scores, hands = [], []
    for view in views:
        taken: set[int] = set()
        for hand in detect(network, view.image, _CANDIDATES):
            gaps = np.array([np.linalg.norm(hand.centre - square[:2]) / square[2] for square in view.square])
            near = int(gaps.argmin()) if len(gaps) else -1
            if near < 0 or gaps[near] >= 0.5:
                if not len(gaps) or gaps[near] > 1:
                    scores.append(hand.score)
                    hands.append(False)
            elif view.visible[near] >= COUNTED and near not in taken:
                taken.add(near)
                scores.append(hand.score)
                hands.append(True)
    total = sum(int((view.visible >= COUNTED).sum()) for view in views)
    return DetectorCandidates(np.array(scores), np.array(hands, bool), total)


def print_candidates(candidates: DetectorCandidates, calibration: ScoreCalibration, frames: int) -> None:
    """Prints the score curve under a calibration."""
    hands = candidates.hands
    print(f'{hands.sum()} of {candidates.total} hands and {(~hands).sum()} non-hands are candidates in {frames} frames')
    print_score_curve(np.array([calibration(score) for score in candidates.scores]), hands, candidates.total, frames)
    print(f'scale {calibration.scale:.4f}, offset {calibration.offset:.4f}')


def _overlap(box: tuple[float, float, float, float], corners: np.ndarray) -> float:
    """Intersection over union of (left, top, width, height) and (left, top, right, bottom)."""
    left, top, width, height = box
    across = min(left + width, corners[2]) - max(left, corners[0])
    down = min(top + height, corners[3]) - max(top, corners[1])
    both = max(across, 0) * max(down, 0)
    return both / (width * height + (corners[2] - corners[0]) * (corners[3] - corners[1]) - both)
