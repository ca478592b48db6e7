# SPDX-License-Identifier: Apache-2.0
"""Training of the RGB detector on synthetic frames."""

from __future__ import annotations

import dataclasses
import functools
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.stages.parts.rgb_detector import network_input
from hoi_ros.stages.parts.rgb_detector import STRIDE
from training.data.pool import filled
from training.data.pool import generator_key
from training.data.pool import require_capacity
from training.data.pool import SamplePool
from training.data.real.colour_material import ColourMaterialOptions
from training.data.real.photo_views import PhotoViews
from training.data.real.scans import scanned_objects
from training.data.synthetic import rgb_frames
from training.data.synthetic.rgb_frame_views import frame_view
from training.data.synthetic.rgb_frame_views import FrameView
from training.data.synthetic.rgb_frame_views import plain_views
from training.data.synthetic.rgb_frame_views import RgbFrameAugmentation
from training.data.synthetic.rgb_frames import RGB_FRAME_DTYPE
from training.data.synthetic.rgb_frames import RgbFrames
from training.evaluation.rgb_detector import detector_figures
from training.loop.allotment import allot
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.loop.fitting import save_weights
from training.loop.losses import heat_map_loss
from training.loop.start import say_start
from training.loop.start import warn_if_worse
from training.networks.rgb_detector import RgbDetectorNet
from training.networks.rgb_detector import RgbMaps
from training.networks.weights import load_weights
from training.networks.weights import require_start
from training.provenance import provenance

_IGNORED = 0.1
"""Hands that are visible between this share and `_LEARNED` are neither positives nor negatives."""
_LEARNED = 0.35
"""Least visible share of a hand that is learned; fewer must be found (`COUNTED`)."""
_PEAK = 0.09
"""Standard deviation of a hand's peak, sides of its square."""
_NEAR = 0.15
"""Cells nearer than this to a hand's centre, in sides of its square, learn its square, kind and held box."""
_VALIDATION_FRAMES = 300
"""Frames of the validation."""


@dataclasses.dataclass(frozen=True)
class RgbDetectorRecipe(ColourMaterialOptions):
    """Trains the RGB detector."""

    pool: Path = Path('runs/rgb_frames.pool')
    """File of rendered frames; it grows to `capacity` and is reused."""
    capacity: int = 16_384
    """Frames in the pool."""
    workers: int = 0
    """Rendering processes; 0 chooses them: all cores until the training starts, then those that it leaves."""
    refresh: bool = True
    """Keep rendering once the pool is full, replacing the oldest frames."""
    first: int = 1024
    """Frames that must be ready before the training starts."""
    start: Path | None = None
    """Model folder whose network the training starts from."""
    photos: Path | None = None
    """Folder of the real material, whose labelled photos join the generated frames (`training/data/real/photos.py`)."""
    photo_share: float = 0.5
    """Share of real photos in the samples."""
    pasted: float = 0.4
    """Share of these that show hands cut out of other photos, before photos without hands; half of the bare ones hold
    an object of `scans`."""
    loop: LoopConfig = dataclasses.field(default_factory=lambda: LoopConfig(Path('runs/rgb_detector'), batch=32))


def targets(view: FrameView) -> tuple[np.ndarray, ...]:
    """Label maps of a view: heat, its weight and near (1, h, w), square (3, h, w), kind and told (2, h, w), held
    (4, h, w) and holding (1, h, w). `near` marks the cells whose square counts, `told` those whose kinds count and
    `holding` those whose held box counts too."""
    height, width = view.image.shape[0] // STRIDE, view.image.shape[1] // STRIDE
    heat, weight, near = np.zeros((1, height, width)), np.ones((1, height, width)), np.zeros((1, height, width))
    square, kind, held = np.zeros((3, height, width)), np.zeros((2, height, width)), np.zeros((4, height, width))
    holding, told = np.zeros((1, height, width)), np.zeros((2, height, width))
    rows, columns = np.mgrid[:height, :width]
    for number in np.argsort(view.visible):
        x, y, side = view.square[number]
        cell = (np.array([x, y]) + 0.5) / STRIDE - 0.5
        squared = (columns - cell[0]) ** 2 + (rows - cell[1]) ** 2
        inside = -0.5 < cell[0] < width - 0.5 and -0.5 < cell[1] < height - 0.5
        visible, cells = view.visible[number], side / STRIDE
        if visible >= _LEARNED and inside and cells > 2:
            peak = np.exp(-squared / (2 * max(_PEAK * cells, 0.8) ** 2))
            nearest = np.round(cell).astype(int)
            peak[nearest[1], nearest[0]] = 1
            heat[0] = np.maximum(heat[0], peak)
            close = squared < max(_NEAR * cells, 1.5) ** 2
            near[0][close] = 1
            square[:, close] = np.stack(
                [cell[0] - columns, cell[1] - rows, np.full_like(peak, np.log(side / view.image.shape[0]))]
            )[:, close]
            kind[:, close] = np.array([view.right[number], view.holds[number]], float)[:, None]
            told[:, close] = view.known[number, :2, None]
            holding[0][close] = view.holds[number] and view.known[number, 2]
            held[:, close] = ((view.held[number] - [x, y, x, y]) / side)[:, None]
        elif visible >= _IGNORED:
            weight[0][squared < max(0.5 * cells, 3) ** 2] = 0
    return heat, weight, near, square, kind, told, held, holding


class Batches:
    """Draws augmented frames from records, and a share from real photos, seeded by the step."""

    def __init__(
        self,
        pool: SamplePool,
        batch: int,
        seed: int,
        augmentation: RgbFrameAugmentation | None = None,
        photos: PhotoViews | None = None,
        photo_share: float = 0.0,
    ) -> None:
        self._pool, self._batch, self._seed = pool, batch, seed
        self._photos, self._photographed = photos, round(batch * photo_share) if photos else 0
        self._augmentation = augmentation or RgbFrameAugmentation()

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) and the maps of `targets`."""
        rng = np.random.default_rng([self._seed, 23, step])
        chosen = np.sort(rng.integers(self._pool.ready, size=self._batch - self._photographed))
        views = [frame_view(record, self._augmentation, rng) for record in self._pool.records[chosen]]
        if self._photos:
            views += [self._photos.draw(self._augmentation, rng) for _ in range(self._photographed)]
        samples = [(network_input(view.image), *targets(view)) for view in views]
        return tuple(torch.from_numpy(np.stack(column).astype(np.float32)) for column in zip(*samples))


def detector_loss(
    network: nn.Module,
    image: Tensor,
    heat: Tensor,
    weight: Tensor,
    near: Tensor,
    square: Tensor,
    kind: Tensor,
    told: Tensor,
    held: Tensor,
    holding: Tensor,
) -> dict[str, Tensor]:
    """Focal loss of the heat; near hands L1 of places and sizes, cross-entropy of the kinds and smooth L1 of the held
    boxes (after Zhou et al., "Objects as Points", 2019)."""
    maps: RgbMaps = network(image)
    cells = near.sum().clamp(min=1)
    error = (maps.square - square).abs() * near
    kind_loss = F.binary_cross_entropy(maps.kind.clamp(1e-5, 1 - 1e-5), kind, reduction='none') * told
    sided, known = (part.clamp(min=1) for part in told.sum((0, 2, 3)))
    box = F.smooth_l1_loss(maps.held, held, beta=0.1, reduction='none') * near * holding
    return {
        'heat': heat_map_loss(maps.heat, heat, weight),
        'offset': 0.3 * error[:, :2].sum() / cells,
        'size': error[:, 2].sum() / cells,
        'right': 0.7 * kind_loss[:, 0].sum() / sided,
        'holds': 0.3 * kind_loss[:, 1].sum() / known,
        'held': 0.5 * box.sum() / (near * holding).sum().clamp(min=1),
    }


def train(recipe: RgbDetectorRecipe) -> None:
    """Trains, validates and saves the weights in `<out>/weights.pt`."""
    started = time.monotonic()
    shares = allot(recipe.loop.accelerator, recipe.loop.devices, recipe.workers, recipe.loop.threads)
    loop = dataclasses.replace(recipe.loop, threads=shares.threads).with_rate(1.5e-3, bool(recipe.start))
    require_capacity(recipe.capacity)
    require_start(recipe.start, 'rgb_detector')
    material = recipe.material
    things = scanned_objects(recipe.scans, 'train')
    photos = PhotoViews(recipe.photos, pasted=recipe.pasted, objects=things) if recipe.photos else None
    validation = plain_views(
        filled(
            functools.partial(RgbFrames, 0, 'validation', material=material),
            RGB_FRAME_DTYPE,
            recipe.pool.with_stem(f'{recipe.pool.stem}_validation'),
            material.key + generator_key(0, 'validation', modules=[rgb_frames.__name__]),
            _VALIDATION_FRAMES,
            shares.filling,
            loop.after(0.25, started),
        )
    )
    pool = SamplePool(
        functools.partial(RgbFrames, recipe.loop.seed, material=material),
        RGB_FRAME_DTYPE,
        recipe.pool,
        material.key + generator_key(recipe.loop.seed, 'train', modules=[rgb_frames.__name__]),
        recipe.capacity,
        shares.filling,
        recipe.refresh,
        shares.beside,
    )
    validate = functools.partial(detector_figures, views=validation)
    try:
        pool.wait(min(recipe.first, recipe.capacity), loop.batch, loop.after(0.5, started))
        network = RgbDetectorNet()
        if recipe.start:
            load_weights(
                network.finder,
                recipe.start,
                torch.from_numpy(np.stack([network_input(view.image) for view in validation[:64]])),
            )
            say_start(recipe.start, network, loop, validate)
        progress = fit(
            network,
            loop,
            Batches(
                pool,
                loop.batch,
                loop.seed,
                photos=photos,
                photo_share=recipe.photo_share,
            ),
            detector_loss,
            validate,
            started,
        )
        figures = validate(network)
    finally:
        pool.close()
    real = material.files + (photos.files if photos else [])
    seen = provenance(recipe.start, real)
    seen['real_images'] |= photos.labels if photos else {}
    save_weights(network, loop, progress, figures, **seen)
    warn_if_worse(recipe.start, loop, figures)
