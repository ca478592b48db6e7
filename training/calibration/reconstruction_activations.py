# SPDX-License-Identifier: Apache-2.0
"""Measures the activation ranges of `reconstruction` and its detector."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hoi_ros.engines import Card
from hoi_ros.stages.parts.rgb_detector import network_input
from training.calibration.activations import print_errors
from training.calibration.activations import RoundingError
from training.calibration.activations import write_activation_ranges
from training.data.synthetic.rgb_crop_views import RgbAugmentation
from training.data.synthetic.rgb_crops import RgbCrops
from training.data.synthetic.rgb_frame_views import frame_view
from training.data.synthetic.rgb_frame_views import RgbFrameAugmentation
from training.data.synthetic.rgb_frames import RgbFrames
from training.installation import InstallOptions
from training.networks.reconstruction import normalised
from training.recipes.reconstruction_batches import collate


@dataclasses.dataclass(frozen=True)
class ReconstructionActivations(InstallOptions):
    """Measures the activation ranges of reconstruction and rgb_detector on training samples, for 8-bit CPU
    arithmetic."""

    samples: int = 256
    models: Path = Path('models')


def calibrate_activations(config: ReconstructionActivations) -> dict[str, dict[str, RoundingError]]:
    """Writes the ranges into both cards, prints and returns the rounding errors on validation samples."""
    config.require_consent(config.models)
    size = Card.load(config.models / 'reconstruction').inputs[0].shape[-1]
    errors = {}
    for name in ('reconstruction', 'rgb_detector'):
        folder = config.models / name
        measured, compared = (
            _crops(split, count, size) if name == 'reconstruction' else _frames(split, count)
            for split, count in (('train', config.samples), ('validation', config.samples // 4))
        )
        errors[name] = write_activation_ranges(folder, measured, compared, config)
        print_errors(folder, errors[name])
    return errors


def _crops(split: str, count: int, size: int) -> Iterator[dict[str, NDArray]]:
    crops = RgbCrops(0, split, round(1.3 * size))
    for index in range(count):
        image = collate(crops[index][None], RgbAugmentation(size=size), np.random.default_rng(index))[0]
        yield {'image': normalised(image).numpy()}


def _frames(split: str, count: int) -> Iterator[dict[str, NDArray]]:
    frames, augmentation = RgbFrames(0, split), RgbFrameAugmentation()
    for index in range(count):
        view = frame_view(frames[index], augmentation, np.random.default_rng(index))
        yield {'image': network_input(view.image)[None]}
