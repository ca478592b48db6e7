# SPDX-License-Identifier: Apache-2.0
"""Batches that train `reconstruction`: augmented crops of records, and of photos."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from training.data.real.photo_crops import PhotoCrop
from training.data.synthetic.rgb_crop_views import cut
from training.data.synthetic.rgb_crop_views import RgbAugmentation
from training.networks.reconstruction_config import CROP_WIDTH
from training.networks.reconstruction_config import ROOT
from training.recipes.reconstruction_losses import ReconstructionTargets


class Photographs(Protocol):
    """A source of crops of photos."""

    def draw(self, config: RgbAugmentation, rng: np.random.Generator) -> PhotoCrop:
        """A random crop."""


class Batches:
    """Draws augmented batches from records and photos, seeded by the step.

    Args:
        records: returns the records that may be drawn.
        augmentation: of the crops.
        batch: crops of a batch.
        seed: of the draws.
        left: share of the records' crops that are mirrored to show left hands.
        photos: sources of crops of photos, and the share of each of them in a batch; as many of these crops are
            mirrored.
    """

    def __init__(
        self,
        records: Callable[[], np.ndarray],
        augmentation: RgbAugmentation,
        batch: int,
        seed: int,
        left: float = 0.0,
        photos: Sequence[tuple[Photographs, float]] = (),
    ) -> None:
        self._records, self._augmentation, self._batch, self._seed = records, augmentation, batch, seed
        self._left, self._photos = left, [(source, round(share * batch)) for source, share in photos]
        self._photographed = sum(count for _, count in self._photos)

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """Images (B, 3, S, S) uint8 and the fields of `ReconstructionTargets`."""
        rng = np.random.default_rng([self._seed, 19, step])
        records = self._records()
        drawn = records[rng.integers(len(records), size=self._batch - self._photographed)]
        generated = collate(drawn, self._augmentation, rng, round(self._left * len(drawn)))
        if not self._photographed:
            return generated
        crops = [source.draw(self._augmentation, rng) for source, count in self._photos for _ in range(count)]
        real = collate_photos(crops, drawn.dtype, round(self._left * self._photographed))
        return tuple(torch.cat(both) for both in zip(generated, real))


def collate(
    records: np.ndarray,
    augmentation: RgbAugmentation,
    rng: np.random.Generator | None,
    left: int = 0,
    upright_by: Sequence[np.ndarray] | None = None,
) -> tuple[Tensor, ...]:
    """Cuts crops from records and collates them.

    Args:
        records: of `RgbCrops` or `RecordedSamples`.
        augmentation: of the crops.
        rng: for the augmentation; None cuts plain crops.
        left: the first `left` crops are mirrored to show left hands.
        upright_by: keypoints (21, 3) of each record, metres in the optical frame of its window, that roll its crop
            upright.

    Returns:
        Images (B, 3, S, S) uint8 and the fields of `ReconstructionTargets`.
    """
    crops = [
        cut(record, augmentation, ROOT, CROP_WIDTH, rng, known)
        for record, known in zip(records, upright_by if upright_by is not None else [None] * len(records))
    ]
    image = torch.from_numpy(np.stack([crop.image for crop in crops])).permute(0, 3, 1, 2)
    targets = ReconstructionTargets(
        *(
            torch.from_numpy(np.stack(values))
            for values in (
                [crop.keypoints for crop in crops],
                [crop.place for crop in crops],
                [crop.pixels for crop in crops],
                [crop.vertices for crop in crops],
                records['has_vertices'].astype(np.float32),
                [crop.surface for crop in crops],
                (records['family'] >= 0).astype(np.float32),
                (records['family'] >= -1).astype(np.float32),
                (np.arange(len(crops)) >= left).astype(np.float32),
                *[np.ones(len(crops), np.float32)] * 3,
                np.array([crop.focal for crop in crops], np.float32),
            )
        )
    )
    return _mirrored(image, targets, left)


def collate_photos(crops: Sequence[PhotoCrop], dtype: np.dtype, left: int = 0) -> tuple[Tensor, ...]:
    """Collates crops of photos.

    Args:
        crops: of photos.
        dtype: of the records beside them, which determines the shapes of labels that photos do not have.
        left: the first `left` crops are mirrored to show left hands.

    Returns:
        As `collate`.
    """
    count = len(crops)
    image = torch.from_numpy(np.stack([crop.image for crop in crops])).permute(0, 3, 1, 2)
    targets = ReconstructionTargets(
        keypoints=torch.zeros(count, 21, 3),
        place=torch.zeros(count, 3),
        pixels=torch.from_numpy(np.stack([crop.pixels for crop in crops])),
        vertices=torch.zeros(count, *dtype['vertices'].shape),
        has_vertices=torch.zeros(count),
        surface=torch.zeros(count, *dtype['surface'].shape),
        has_object=torch.tensor([float(crop.holds) for crop in crops]),
        told=torch.ones(count),
        right=(torch.arange(count) >= left).float(),
        measured=torch.zeros(count),
        located=torch.tensor([float(crop.located) for crop in crops]),
        shows=torch.tensor([float(crop.shows) for crop in crops]),
        focal=torch.tensor([crop.focal for crop in crops]),
    )
    return _mirrored(image, targets, left)


def _mirrored(image: Tensor, targets: ReconstructionTargets, left: int) -> tuple[Tensor, ...]:
    """Mirrors the first crops, in place."""
    image[:left] = image[:left].flip(-1)
    for places in (targets.keypoints, targets.place, targets.pixels, targets.vertices, targets.surface):
        places[:left, ..., 0] *= -1
    return image, *targets
