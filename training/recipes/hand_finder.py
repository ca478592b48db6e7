# SPDX-License-Identifier: Apache-2.0
"""Training of the hand finder on synthetic depth frames."""

from __future__ import annotations

import dataclasses
import functools
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor

from hoi_ros.stages.parts.hand_finder import finder_input
from hoi_ros.stages.parts.hand_finder import STRIDE
from training.data.pool import filled
from training.data.pool import generator_key
from training.data.pool import require_capacity
from training.data.pool import SamplePool
from training.data.real.depth_material import DepthMaterialOptions
from training.data.synthetic.depth_frames import augment_frame
from training.data.synthetic.depth_frames import DepthFrames
from training.data.synthetic.depth_frames import FRAME_DTYPE
from training.data.synthetic.depth_frames import FRAME_HEIGHT
from training.data.synthetic.depth_frames import FRAME_WIDTH
from training.data.synthetic.depth_frames import FrameAugmentation
from training.evaluation.hand_finder import counted_hands
from training.evaluation.hand_finder import finder_figures
from training.loop.allotment import allot
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.loop.fitting import save_weights
from training.loop.losses import heat_map_loss
from training.loop.start import say_start
from training.loop.start import warn_if_worse
from training.networks.hand_finder import HandFinderNet
from training.networks.weights import load_weights
from training.networks.weights import require_start
from training.provenance import provenance

_SPREAD = 1.3
"""Standard deviation of the target's peak, cells."""
_IGNORED = 0.12
"""Hands that are visible between this share and that of `counted_hands` are neither positives nor negatives."""
_VALIDATION_FRAMES = 400
"""Frames of the validation."""


@dataclasses.dataclass(frozen=True)
class HandFinderRecipe(DepthMaterialOptions):
    """Trains the hand finder."""

    pool: Path = Path('runs/depth_frames.pool')
    """File of rendered frames; it grows to `capacity` and is reused."""
    capacity: int = 65_536
    """Frames in the pool."""
    workers: int = 0
    """Rendering processes; 0 chooses them: all cores until the training starts, then those that it leaves."""
    refresh: bool = True
    """Keep rendering once the pool is full, replacing the oldest frames."""
    start: Path | None = None
    """Model folder whose network the training starts from."""
    loop: LoopConfig = dataclasses.field(default_factory=lambda: LoopConfig(Path('runs/hand_finder'), batch=32))


class Batches:
    """Draws augmented frames from the pool, seeded by the step."""

    def __init__(self, pool: SamplePool, batch: int, seed: int) -> None:
        self._pool, self._batch, self._seed = pool, batch, seed

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """Frames (B, 2, H, W), target heat and its weight (B, 1, h, w), target place (B, 3, h, w) and the cells where
        it counts (B, 1, h, w)."""
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
    counted = counted_hands(record)
    for number in np.argsort(-depths[: int(record['count'])]):
        cell = (pixels[number] + 0.5) / STRIDE - 0.5
        squared = (columns - cell[0]) ** 2 + (rows - cell[1]) ** 2
        inside = (cell > -0.5).all() and (cell < record['size'] / STRIDE - 0.5).all()
        visible = record['visible'][number]
        if counted[number] and inside:
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
    """Focal loss of the heat and L1 of the place near hands."""
    predicted_heat, predicted_place = network(frames)
    cells = near.sum().clamp(min=1)
    difference = (predicted_place - place).abs() * near
    return {
        'heat': heat_map_loss(predicted_heat, heat, weight),
        'offset': 0.3 * difference[:, :2].sum() / cells,
        'depth': 2.0 * difference[:, 2].sum() / cells,
    }


def train(recipe: HandFinderRecipe) -> None:
    """Trains, validates and saves the weights in `<out>/weights.pt`."""
    started = time.monotonic()
    shares = allot(recipe.loop.accelerator, recipe.loop.devices, recipe.workers, recipe.loop.threads)
    loop = dataclasses.replace(recipe.loop, threads=shares.threads).with_rate(1.5e-3, bool(recipe.start))
    require_capacity(recipe.capacity)
    require_start(recipe.start, 'hand_finder')
    material = recipe.material
    records = filled(
        functools.partial(DepthFrames, split='validation', material=material),
        FRAME_DTYPE,
        recipe.pool.with_stem(f'{recipe.pool.stem}_validation'),
        material.key + generator_key(0, 'validation', modules=[DepthFrames.__module__]),
        _VALIDATION_FRAMES,
        shares.filling,
        loop.after(0.25, started),
    )
    pool = SamplePool(
        functools.partial(DepthFrames, recipe.loop.seed, material=material),
        FRAME_DTYPE,
        recipe.pool,
        material.key + generator_key(recipe.loop.seed, 'train', modules=[DepthFrames.__module__]),
        recipe.capacity,
        shares.filling,
        recipe.refresh,
        shares.beside,
    )
    validate = functools.partial(finder_figures, records=records)
    try:
        pool.wait(min(8 * loop.batch, recipe.capacity), loop.batch, loop.after(0.5, started))
        network = HandFinderNet()
        if recipe.start:
            load_weights(
                network,
                recipe.start,
                torch.from_numpy(
                    np.stack([finder_input(record['depth'] * np.float32(1e-4)) for record in records[:128]])
                ),
            )
            say_start(recipe.start, network, loop, validate)
        progress = fit(network, loop, Batches(pool, loop.batch, loop.seed), finder_loss, validate, started)
        figures = validate(network)
    finally:
        pool.close()
    save_weights(network, loop, progress, figures, **provenance(recipe.start, material.files))
    warn_if_worse(recipe.start, loop, figures)
