# SPDX-License-Identifier: Apache-2.0
"""Training of the hand finder on synthetic depth frames."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.stages.parts.hand_finder import decode
from hoi_ros.stages.parts.hand_finder import finder_input
from hoi_ros.stages.parts.hand_finder import STRIDE
from training.data.pool import generator_key
from training.data.pool import SamplePool
from training.data.synthetic.depth_frames import augment_frame
from training.data.synthetic.depth_frames import DepthFrames
from training.data.synthetic.depth_frames import FRAME_DTYPE
from training.data.synthetic.depth_frames import FRAME_HEIGHT
from training.data.synthetic.depth_frames import FRAME_WIDTH
from training.data.synthetic.depth_frames import FrameAugmentation
from training.export.onnx_import import load_weights
from training.loop.fitting import fit
from training.loop.fitting import keep
from training.loop.fitting import LoopConfig
from training.networks.hand_finder import HandFinderNet

_SPREAD = 1.3
"""Standard deviation of the target's peak, cells."""
_COUNTED, _IGNORED = 0.45, 0.12
"""Hands seen more than the first share are to be found; those between the two may be."""


@dataclasses.dataclass(frozen=True)
class HandFinderRecipe:
    """Trains the hand finder."""

    pool: Path = Path('runs/depth_frames.pool')
    capacity: int = 65_536
    workers: int = 1
    refresh: bool = True
    start: Path | None = None
    """Model folder whose network the training goes on from."""
    loop: LoopConfig = dataclasses.field(
        default_factory=lambda: LoopConfig(Path('runs/hand_finder'), batch=32, learning_rate=1.5e-3)
    )


class Batches:
    """Draws augmented frames from the pool, seeded by the step."""

    def __init__(self, pool: SamplePool, batch: int, seed: int) -> None:
        self._pool, self._batch, self._seed = pool, batch, seed

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """frames (B, 2, H, W), target heat (B, 1, h, w), its weight (B, 1, h, w), place (B, 3, h, w) and where it
        counts (B, 1, h, w)."""
        rng = np.random.default_rng([self._seed, 17, step])
        chosen = np.sort(rng.integers(self._pool.ready, size=self._batch))
        samples = [_sample(record, rng) for record in self._pool.records[chosen]]
        return tuple(torch.from_numpy(np.stack(column).astype(np.float32)) for column in zip(*samples))


def _sample(record: np.ndarray, rng: np.random.Generator | None) -> tuple[np.ndarray, ...]:
    depth, pixels, depths = augment_frame(record, FrameAugmentation(), rng)
    height, width = FRAME_HEIGHT // STRIDE, FRAME_WIDTH // STRIDE
    heat, weight = np.zeros((1, height, width)), np.ones((1, height, width))
    place, near = np.zeros((3, height, width)), np.zeros((1, height, width))
    rows, columns = np.mgrid[:height, :width]
    for number in np.argsort(-depths[: int(record['count'])]):
        cell = (pixels[number] + 0.5) / STRIDE - 0.5
        squared = (columns - cell[0]) ** 2 + (rows - cell[1]) ** 2
        inside = -0.5 < cell[0] < width - 0.5 and -0.5 < cell[1] < height - 0.5
        visible = record['visible'][number]
        if visible >= _COUNTED and inside:
            peak = np.exp(-squared / (2 * _SPREAD**2))
            nearest = np.round(cell).astype(int)
            peak[nearest[1], nearest[0]] = 1
            heat[0] = np.maximum(heat[0], peak)
            close = squared < 2.6**2
            near[0][close] = 1
            place[:, close] = np.stack(
                [cell[0] - columns, cell[1] - rows, np.full_like(peak, (depths[number] - 0.7) * 2)]
            )[:, close]
        elif visible >= _IGNORED:
            weight[0][squared < 4**2] = 0
    return finder_input(depth), heat, weight, place, near


def finder_loss(
    network: nn.Module, frames: Tensor, heat: Tensor, weight: Tensor, place: Tensor, near: Tensor
) -> dict[str, Tensor]:
    """Penalty-reduced focal loss on the heat (Law & Deng, "CornerNet", 2018) and L1 on the place near hands."""
    said, placed = network(frames)
    said = said.clamp(1e-5, 1 - 1e-5)
    at_peak = (heat >= 1).float()
    peak = -((1 - said) ** 2) * said.log() * at_peak
    rest = -(said**2) * (1 - said).log() * (1 - heat) ** 4 * (1 - at_peak) * weight
    count = at_peak.sum().clamp(min=1)
    cells = near.sum().clamp(min=1)
    difference = (placed - place).abs() * near
    return {
        'heat': (peak + rest).sum() / count,
        'offset': 0.3 * difference[:, :2].sum() / cells,
        'depth': 2.0 * difference[:, 2].sum() / cells,
    }


def finder_figures(network: nn.Module, records: np.ndarray, threshold: float = 0.3) -> dict[str, float]:
    """How often hands are found (centre within 60 mm), how far off, and how many are not there."""
    found, counted, false, errors = 0, 0, 0, []
    device = next(network.parameters(), torch.empty(0)).device
    for record in records:
        frame = torch.from_numpy(finder_input(record['depth'] * np.float32(1e-4)))[None]
        with torch.inference_mode():
            heat, place = (output.cpu() for output in network(frame.to(device)))
        camera = Pinhole(FRAME_WIDTH, FRAME_HEIGHT, *record['camera'])
        hands = decode(heat[0].numpy(), place[0].numpy(), camera, 2, threshold)
        taken: set[int] = set()
        for number in range(int(record['count'])):
            gaps = [np.linalg.norm(hand.centre - record['centre'][number]) for hand in hands]
            match = int(np.argmin(gaps)) if gaps else -1
            hit = match >= 0 and gaps[match] < 0.06
            if hit:
                taken.add(match)
            if record['visible'][number] >= _COUNTED:
                counted += 1
                found += hit
                if hit:
                    errors.append(gaps[match])
        near_ignored = [record['centre'][k] for k in range(int(record['count'])) if record['visible'][k] < _COUNTED]
        false += sum(
            1
            for k, hand in enumerate(hands)
            if k not in taken and all(np.linalg.norm(hand.centre - centre) > 0.15 for centre in near_ignored)
        )
    return {
        'found': float(found / max(counted, 1)),
        'centre_error_mm': 1e3 * float(np.mean(errors)) if errors else float('nan'),
        'false_per_frame': false / len(records),
    }


def train(recipe: HandFinderRecipe) -> None:
    """Trains, validates and leaves the weights in `<out>/weights.pt`."""
    pool = SamplePool(
        functools.partial(DepthFrames, recipe.loop.seed),
        FRAME_DTYPE,
        recipe.pool,
        generator_key(recipe.loop.seed, 'train'),
        recipe.capacity,
        recipe.workers,
        recipe.refresh,
    )
    try:
        pool.wait(8 * recipe.loop.batch)
        held = DepthFrames(split='validation')
        records = np.stack([held[index] for index in range(400)])
        network = HandFinderNet()
        if recipe.start:
            load_weights(
                network,
                recipe.start,
                torch.from_numpy(
                    np.stack([finder_input(record['depth'] * np.float32(1e-4)) for record in records[:128]])
                ),
            )
        progress = fit(
            network,
            recipe.loop,
            Batches(pool, recipe.loop.batch, recipe.loop.seed),
            finder_loss,
            lambda module: finder_figures(module, records),
        )
        figures = finder_figures(network, records)
    finally:
        pool.close()
    keep(network, recipe.loop, progress, figures)
