# SPDX-License-Identifier: Apache-2.0
"""Figures of a hand finder: of a network in training on records of depth frames, and of the exported model."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.engines import Engine
from hoi_ros.engines import load_engine
from hoi_ros.stages.parts.hand_finder import decode
from hoi_ros.stages.parts.hand_finder import finder_input
from training.cores import available_cores
from training.data.pool import filled
from training.data.pool import generator_key
from training.data.synthetic.depth_frames import DepthFrames
from training.data.synthetic.depth_frames import FRAME_DTYPE
from training.data.synthetic.depth_frames import FRAME_HEIGHT
from training.data.synthetic.depth_frames import FRAME_WIDTH
from training.evaluation.figures import print_figures
from training.evaluation.figures import require_count
from training.evaluation.figures import require_split
from training.evaluation.figures import write_figures

_COUNTED, _HOLDING_COUNTED = 0.45, 0.3
"""Least visible share of a hand that must be found, and of one that holds something; hands below it count neither as
found nor as missed."""
_FOUND_WITHIN = 0.06
"""A hand is found if a detected centre lies nearer than this to its own, metres."""
_EXCUSED_WITHIN = 0.15
"""A detection nearer than this to a hand that does not count is not a false one, metres."""


@dataclasses.dataclass(frozen=True)
class HandFinderEvaluation:
    """Prints the share of hands that the hand finder finds in generated depth frames, and its false detections."""

    frames: int = 400
    split: str = 'test'
    """'validation' are the first frames of the training's own validation; 'test' for figures that are quoted."""
    models: Path = Path('models')
    pool: Path = Path('runs/depth_frames_evaluated.pool')
    """File that keeps the rendered frames."""
    workers: int = 0
    """Rendering processes; 0 takes all cores."""
    out: Path | None = None
    """JSON file for the figures."""


class ExportedFinder(nn.Module):
    """The network of a model folder with the interface of `HandFinderNet`."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 2, H, W) → heat and place."""
        maps = self._engine(frame=frame.numpy())
        return torch.from_numpy(np.array(maps['heat'])), torch.from_numpy(np.array(maps['place']))


def evaluate(config: HandFinderEvaluation) -> dict[str, float]:
    """Prints and returns the figures of an exported model."""
    require_split(config.split, ('validation', 'test'))
    require_count(config.frames)
    network = ExportedFinder(load_engine(config.models / 'hand_finder'))
    records = filled(
        functools.partial(DepthFrames, split=config.split),
        FRAME_DTYPE,
        config.pool.with_stem(f'{config.pool.stem}_{config.split}'),
        generator_key(0, config.split, modules=[DepthFrames.__module__]),
        config.frames,
        config.workers or available_cores(),
    )
    hands = sum(int(counted_hands(record).sum()) for record in records)
    print(f'{hands} hands in {len(records)} frames of split {config.split}; found: share of the hands, 0 to 1')
    figures = finder_figures(network, records)
    print_figures(figures)
    write_figures({'frames': len(records), 'hands': hands, **figures}, config.out)
    return figures


def counted_hands(record: np.ndarray) -> np.ndarray:
    """(N,) bool, which of the N hands of a record of `FRAME_DTYPE` must be found."""
    count = int(record['count'])
    return record['visible'][:count] >= np.where(record['holds'][:count], _HOLDING_COUNTED, _COUNTED)


def _matched(detected: Sequence[np.ndarray], centres: np.ndarray, must: np.ndarray) -> dict[int, tuple[int, float]]:
    """For each hand that is found, the detection that finds it, which finds no other one, and its distance.

    Args:
        detected: centres (3,).
        centres: (N, 3) of the hands.
        must: (N,) which of them have to be found; they come first.
    """
    gaps = [
        (not must[number], float(np.linalg.norm(centre - given)), number, place)
        for number, given in enumerate(centres)
        for place, centre in enumerate(detected)
    ]
    found: dict[int, tuple[int, float]] = {}
    for _, gap, number, place in sorted(gaps):
        if gap < _FOUND_WITHIN and number not in found and all(place != other for other, _ in found.values()):
            found[number] = place, gap
    return found


def finder_figures(network: nn.Module, records: np.ndarray, threshold: float = 0.3) -> dict[str, float]:
    """Share of the hands found, mean error of their centres (mm), and false detections a frame.

    Args:
        network: gives heat and place, as `HandFinderNet` does.
        records: of `FRAME_DTYPE`.
        threshold: lowest heat of a detection.
    """
    found, counted, false, errors = 0, 0, 0, []
    device = next(network.parameters(), torch.empty(0)).device
    for record in records:
        frame = torch.from_numpy(finder_input(record['depth'] * np.float32(1e-4)))[None]
        with torch.inference_mode():
            heat, place = (output.cpu() for output in network(frame.to(device)))
        camera = Pinhole(FRAME_WIDTH, FRAME_HEIGHT, *record['camera'])
        hands = decode(heat[0].numpy(), place[0].numpy(), camera, 2, threshold)
        must = counted_hands(record)
        matches = _matched([hand.centre for hand in hands], record['centre'][: len(must)], must)
        taken = {match for match, _ in matches.values()}
        counted += int(must.sum())
        found += sum(must[number] for number in matches)
        errors += [gap for number, (_, gap) in matches.items() if must[number]]
        excused = [record['centre'][k] for k in range(int(record['count'])) if not must[k]]
        false += sum(
            1
            for k, hand in enumerate(hands)
            if k not in taken and all(np.linalg.norm(hand.centre - centre) > _EXCUSED_WITHIN for centre in excused)
        )
    return {
        'found': float(found / max(counted, 1)),
        'centre_error_mm': 1e3 * float(np.mean(errors)) if errors else float('nan'),
        'false_per_frame': false / len(records),
    }
