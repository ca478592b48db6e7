# SPDX-License-Identifier: Apache-2.0
"""Training of the RGB detector on synthetic frames."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.stages.parts.rgb_detector import decode
from hoi_ros.stages.parts.rgb_detector import DetectedHand
from hoi_ros.stages.parts.rgb_detector import network_input
from hoi_ros.stages.parts.rgb_detector import STRIDE
from training.data.pool import generator_key
from training.data.pool import SamplePool
from training.data.synthetic.rgb_frames import RGB_FRAME_DTYPE
from training.data.synthetic.rgb_frames import RgbFrames
from training.export.onnx_import import load_weights
from training.loop.fitting import fit
from training.loop.fitting import keep
from training.loop.fitting import LoopConfig
from training.networks.rgb_detector import RGB_FINDER
from training.networks.rgb_detector import RgbDetectorNet
from training.networks.rgb_detector import RgbMaps

COUNTED, IGNORED = 0.45, 0.1
"""Hands seen more than the first share are to be found; those between the two may be."""
_PEAK = 0.09
"""Standard deviation of a hand's peak, sides of its square."""
_NEAR = 0.15
"""A cell nearer than this to a hand's centre, in sides of its square, speaks of the hand."""
_VALIDATED = 300


@dataclasses.dataclass(frozen=True)
class RgbDetectorRecipe:
    """Trains the RGB detector."""

    pool: Path = Path('runs/rgb_frames.pool')
    capacity: int = 16_384
    workers: int = 1
    refresh: bool = True
    first: int = 1024
    """Frames to wait for before the training begins."""
    start: Path | None = None
    """Model folder whose network the training goes on from."""
    loop: LoopConfig = dataclasses.field(
        default_factory=lambda: LoopConfig(Path('runs/rgb_detector'), batch=32, learning_rate=1.5e-3)
    )


@dataclasses.dataclass(frozen=True)
class RgbFrameAugmentation:
    """How a frame becomes what the network sees."""

    height: int = RGB_FINDER.height
    width: int = RGB_FINDER.width
    zoom: tuple[float, float] = (0.85, 1.9)
    """Of the image that just fits."""
    turn: float = 0.35
    """Largest roll, radians."""
    cropped: float = 0.5
    """Share of the images that fill a part of the width or of the height only, as other cameras' images do."""
    brightness: float = 0.4
    contrast: float = 0.3
    colour: float = 0.15
    """Largest gains, as logarithms: of all, about the mean, and of each channel."""


class Shown(NamedTuple):
    """A frame as the network sees it, with what is to be found."""

    image: np.ndarray
    """(height, width, 3) uint8."""
    square: np.ndarray
    """(N, 3) centre x, y and side, pixels."""
    right: np.ndarray
    visible: np.ndarray
    """(N,) as in the record; less where the image shows less of a hand."""
    holds: np.ndarray
    held: np.ndarray
    """(N, 4) left, top, right, bottom, pixels."""


def show(record: np.ndarray, config: RgbFrameAugmentation, rng: np.random.Generator | None) -> Shown:
    """A record of RGB_FRAME_DTYPE as the network sees it, the whole frame where there is no `rng`."""
    height, width = record['image'].shape[:2]
    count = int(record['count'])
    square = record['square'][:count].astype(float)
    scale = min(config.width / width, config.height / height)
    extent = np.array([config.width, config.height])
    turn, flip = 0.0, False
    target = middle = np.array([(width - 1) / 2, (height - 1) / 2])
    if rng is not None:
        flip = rng.random() < 0.5
        turn = rng.uniform(-config.turn, config.turn)
        scale *= float(np.exp(rng.uniform(*np.log(config.zoom))))
        if rng.random() < config.cropped:
            extent[rng.integers(2)] *= rng.uniform(0.55, 1)
        # Half of the images look towards a hand, the others anywhere.
        if count and rng.random() < 0.6:
            target = square[rng.integers(count), :2] + rng.normal(0, 0.25, 2) * extent / scale
        else:
            target = middle + rng.uniform(-0.3, 0.3, 2) * [width, height]
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    matrix = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([-1 if flip else 1, 1])
    shift = (extent - 1) / 2 - matrix @ target
    warp = np.column_stack([matrix, shift])
    image = cv2.warpAffine(record['image'], warp, (config.width, config.height), flags=cv2.INTER_LINEAR)
    image[extent[1] :], image[:, extent[0] :] = 0, 0
    centres = square[:, :2] @ matrix.T + shift
    sides = square[:, 2] * scale
    # What is left of a hand's square inside the image stands for what is left of the hand.
    low, high = centres - sides[:, None] / 2, centres + sides[:, None] / 2
    inside = np.clip(np.minimum(high, extent) - np.maximum(low, 0), 0, None).prod(1) / np.maximum(sides, 1) ** 2
    corners = record['held'][:count].astype(float)
    corners = np.stack([corners[:, [0, 1]], corners[:, [2, 1]], corners[:, [0, 3]], corners[:, [2, 3]]], 1)
    corners = corners @ matrix.T + shift
    if rng is not None:
        image = recoloured(image, config, rng)
    return Shown(
        image,
        np.column_stack([centres, sides]),
        record['right'][:count] ^ flip,
        record['visible'][:count] * np.minimum(1, inside / 0.9),
        record['holds'][:count],
        np.concatenate([corners.min(1), corners.max(1)], 1),
    )


def recoloured(image: np.ndarray, config: RgbFrameAugmentation, rng: np.random.Generator) -> np.ndarray:
    """An image (H, W, 3) uint8 in other colours, perhaps grey, blurred or noisy."""
    values = image.astype(np.float32) / 255
    values = values ** np.float32(np.exp(rng.uniform(-0.3, 0.3)))
    gain = np.exp(
        rng.uniform(-config.brightness, config.brightness) + rng.uniform(-config.colour, config.colour, 3)
    ).astype(np.float32)
    values *= gain
    mean = values.mean((0, 1))
    values = (values - mean) * np.float32(np.exp(rng.uniform(-config.contrast, config.contrast))) + mean
    if rng.random() < 0.05:
        values[:] = values.mean(-1, keepdims=True)
    if rng.random() < 0.3:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.4, 1.5))
    if rng.random() < 0.3:
        values += rng.normal(0, rng.uniform(0.005, 0.04), values.shape).astype(np.float32)
    return np.clip(values * 255, 0, 255).astype(np.uint8)


def targets(shown: Shown) -> tuple[np.ndarray, ...]:
    """heat, its weight, near (1, h, w), square (3, h, w), kind (2, h, w), held (4, h, w) and holds (1, h, w): where
    the last two are the labels and where those of `held` count."""
    height, width = shown.image.shape[0] // STRIDE, shown.image.shape[1] // STRIDE
    heat, weight, near = np.zeros((1, height, width)), np.ones((1, height, width)), np.zeros((1, height, width))
    square, kind, held = np.zeros((3, height, width)), np.zeros((2, height, width)), np.zeros((4, height, width))
    holding = np.zeros((1, height, width))
    rows, columns = np.mgrid[:height, :width]
    for number in np.argsort(shown.visible):
        x, y, side = shown.square[number]
        cell = (np.array([x, y]) + 0.5) / STRIDE - 0.5
        squared = (columns - cell[0]) ** 2 + (rows - cell[1]) ** 2
        inside = -0.5 < cell[0] < width - 0.5 and -0.5 < cell[1] < height - 0.5
        visible, cells = shown.visible[number], side / STRIDE
        if visible >= COUNTED and inside and cells > 2:
            peak = np.exp(-squared / (2 * max(_PEAK * cells, 0.8) ** 2))
            peak[int(round(cell[1])), int(round(cell[0]))] = 1
            heat[0] = np.maximum(heat[0], peak)
            close = squared < max(_NEAR * cells, 1.5) ** 2
            near[0][close] = 1
            square[:, close] = np.stack(
                [cell[0] - columns, cell[1] - rows, np.full_like(peak, np.log(side / shown.image.shape[0]))]
            )[:, close]
            kind[:, close] = np.array([shown.right[number], shown.holds[number]], float)[:, None]
            holding[0][close] = shown.holds[number]
            held[:, close] = ((shown.held[number] - [x, y, x, y]) / side)[:, None]
        elif visible >= IGNORED:
            weight[0][squared < max(0.5 * cells, 3) ** 2] = 0
    return heat, weight, near, square, kind, held, holding


class Batches:
    """Draws augmented frames from records, seeded by the step."""

    def __init__(self, pool: SamplePool, batch: int, seed: int) -> None:
        self._pool, self._batch, self._seed = pool, batch, seed

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """images (B, 3, H, W) and what `targets` gives."""
        rng = np.random.default_rng([self._seed, 23, step])
        chosen = np.sort(rng.integers(self._pool.ready, size=self._batch))
        samples = []
        for record in self._pool.records[chosen]:
            shown = show(record, RgbFrameAugmentation(), rng)
            samples.append((network_input(shown.image), *targets(shown)))
        return tuple(torch.from_numpy(np.stack(column).astype(np.float32)) for column in zip(*samples))


def detector_loss(
    network: nn.Module,
    image: Tensor,
    heat: Tensor,
    weight: Tensor,
    near: Tensor,
    square: Tensor,
    kind: Tensor,
    held: Tensor,
    holding: Tensor,
) -> dict[str, Tensor]:
    """Penalty-reduced focal loss on the heat (Law & Deng, "CornerNet", 2018); near hands L1 on places and sizes and
    cross-entropy on the kinds (after Zhou et al., "Objects as Points", 2019)."""
    maps: RgbMaps = network(image)
    said = maps.heat.clamp(1e-5, 1 - 1e-5)
    at_peak = (heat >= 1).float()
    peak = -((1 - said) ** 2) * said.log() * at_peak
    rest = -(said**2) * (1 - said).log() * (1 - heat) ** 4 * (1 - at_peak) * weight
    cells = near.sum().clamp(min=1)
    error = (maps.square - square).abs() * near
    doubt = F.binary_cross_entropy(maps.kind.clamp(1e-5, 1 - 1e-5), kind, reduction='none') * near
    box = F.smooth_l1_loss(maps.held, held, beta=0.1, reduction='none') * near * holding
    return {
        'heat': (peak + rest).sum() / at_peak.sum().clamp(min=1),
        'offset': 0.3 * error[:, :2].sum() / cells,
        'size': error[:, 2].sum() / cells,
        'right': 0.7 * doubt[:, 0].sum() / cells,
        'holds': 0.3 * doubt[:, 1].sum() / cells,
        'held': 0.5 * box.sum() / (near * holding).sum().clamp(min=1),
    }


def detect(network: nn.Module, image: np.ndarray, most: int = 3) -> list[DetectedHand]:
    """What the network finds in an image (H, W, 3) of its own size."""
    device = next(network.parameters(), torch.empty(0)).device
    with torch.inference_mode():
        maps = network(torch.from_numpy(network_input(image))[None].to(device))
    return decode(*(values[0].cpu().numpy() for values in maps), most)


def detector_figures(network: nn.Module, shown: list[Shown], threshold: float = 0.3) -> dict[str, float]:
    """How often hands are found (centre within half of the side), on which side, how many are not there, and how well
    size, holding and the held box are read."""
    hits, counted, false, sides, right, holds, sizes, overlaps = 0, 0, 0, [], [], [], [], []
    for frame in shown:
        hands = [hand for hand in detect(network, frame.image) if hand.score >= threshold]
        free = list(range(len(hands)))
        for number, (x, y, side) in enumerate(frame.square):
            gaps = {k: np.linalg.norm(hands[k].centre - [x, y]) for k in free}
            match = min(gaps, key=gaps.__getitem__, default=None)
            found = match is not None and gaps[match] < side / 2
            if found:
                free.remove(match)
            if frame.visible[number] < COUNTED:
                continue
            counted += 1
            hits += found
            if found:
                hand = hands[match]
                sizes.append(abs(np.log(hand.side / side)))
                right.append((hand.right > 0.5) == frame.right[number])
                holds.append((hand.holds > 0.5) == frame.holds[number])
                sides.append(gaps[match] / side)
                if frame.holds[number] and hand.held is not None:
                    overlaps.append(_overlap(hand.held, frame.held[number]))
        unsure = frame.square[frame.visible < COUNTED]
        false += sum(all(np.linalg.norm(hands[k].centre - [x, y]) > side for x, y, side in unsure) for k in free)
    mean = [float(np.mean(values)) if values else float('nan') for values in (right, holds, sizes, sides, overlaps)]
    return {
        'found': float(hits / max(counted, 1)),
        'false_per_frame': false / len(shown),
        'side_right': mean[0],
        'holds_right': mean[1],
        'size_error': mean[2],
        'centre_error': mean[3],
        'held_iou': mean[4],
    }


def _overlap(box: tuple[float, float, float, float], corners: np.ndarray) -> float:
    """Intersection over union of (left, top, width, height) and (left, top, right, bottom)."""
    left, top, width, height = box
    across = min(left + width, corners[2]) - max(left, corners[0])
    down = min(top + height, corners[3]) - max(top, corners[1])
    both = max(across, 0) * max(down, 0)
    return both / (width * height + (corners[2] - corners[0]) * (corners[3] - corners[1]) - both)


def held_frames(split: str, count: int, seed: int = 0) -> list[Shown]:
    """Frames that no training saw, each shown whole and from nearer by turns."""
    stream = RgbFrames(seed, split)
    return [
        show(
            stream[index],
            RgbFrameAugmentation(brightness=0, contrast=0, colour=0),
            np.random.default_rng([seed, 29, index]) if index % 2 else None,
        )
        for index in range(count)
    ]


def train(recipe: RgbDetectorRecipe) -> None:
    """Trains, validates and leaves the weights in `<out>/weights.pt`."""
    pool = SamplePool(
        functools.partial(RgbFrames, recipe.loop.seed),
        RGB_FRAME_DTYPE,
        recipe.pool,
        generator_key(recipe.loop.seed, 'train'),
        recipe.capacity,
        recipe.workers,
        recipe.refresh,
    )
    try:
        held = held_frames('validation', _VALIDATED)
        pool.wait(recipe.first)
        network = RgbDetectorNet()
        if recipe.start:
            load_weights(
                network.finder,
                recipe.start,
                torch.from_numpy(np.stack([network_input(frame.image) for frame in held[:64]])),
            )
        progress = fit(
            network,
            recipe.loop,
            Batches(pool, recipe.loop.batch, recipe.loop.seed),
            detector_loss,
            lambda module: detector_figures(module, held),
        )
        figures = detector_figures(network, held)
    finally:
        pool.close()
    keep(network, recipe.loop, progress, figures)
