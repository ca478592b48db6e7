# SPDX-License-Identifier: Apache-2.0
"""Measures the activation ranges of `reconstruction`.

Its detector stays in float32: in 8 bits it misses one bare hand in fifty more on photos, and it costs little.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hoi_ros.engines import Card
from training.calibration.activations import print_errors
from training.calibration.activations import RoundingError
from training.calibration.activations import write_activation_ranges
from training.data.synthetic.rgb_crop_views import RgbAugmentation
from training.data.synthetic.rgb_crops import RgbCrops
from training.installation import InstallOptions
from training.networks.reconstruction import normalised
from training.recipes.reconstruction_batches import collate


@dataclasses.dataclass(frozen=True)
class ReconstructionActivations(InstallOptions):
    """Measures the activation ranges of reconstruction on training samples, for 8-bit CPU arithmetic."""

    samples: int = 192
    models: Path = Path('models')


def calibrate_activations(config: ReconstructionActivations) -> dict[str, RoundingError]:
    """Writes the ranges into the card, prints and returns the rounding errors on validation samples."""
    config.require_consent(config.models)
    folder = config.models / 'reconstruction'
    size = Card.load(folder).inputs[0].shape[-1]
    measured = _crops('train', config.samples, size)
    compared = _crops('validation', config.samples // 4, size)
    errors = write_activation_ranges(folder, measured, compared, config)
    print_errors(folder, errors)
    return errors


def _crops(split: str, count: int, size: int) -> Iterator[dict[str, NDArray]]:
    crops = RgbCrops(0, split, round(1.3 * size))
    for index in range(count):
        image = collate(crops[index][None], RgbAugmentation(size=size), np.random.default_rng(index))[0]
        yield {'image': normalised(image).numpy()}
