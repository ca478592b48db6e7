# SPDX-License-Identifier: Apache-2.0
"""The samples that train `reconstruction`. Rendering processes import this module, which loads no PyTorch."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from hoi_ros.hand.model import HandModel
from training.data.pool import Samples
from training.data.public.choice import DataChoice
from training.data.public.dataset_files import DatasetError
from training.data.real.colour_material import ColourMaterial
from training.data.real.colour_material import GENERATED
from training.data.synthetic.rgb_config import LOOSE
from training.data.synthetic.rgb_config import RELEASED
from training.data.synthetic.rgb_config import RgbConfig
from training.data.synthetic.rgb_crops import RecordedSamples
from training.data.synthetic.rgb_crops import RgbCrops

_VISIBLE = 0.25
"""Least visible share of a hand in training: before a palm, a can hides all but the thumb and the fingertips.
Validation and test keep that of `RgbConfig`."""
_REPEATS = 4
"""Successive training samples of the same grasp."""
_WIDENED = 0.6
"""Share of training windows about empty hands as wide as those about a held thing, see `RgbAugmentation.widened`."""


def data_of(recipe: DataChoice) -> DataChoice:
    """The choice of data alone, without the other options of a recipe."""
    return DataChoice(**{field.name: getattr(recipe, field.name) for field in dataclasses.fields(DataChoice)})


def source(data: DataChoice) -> str:
    """The data in the key of a pool."""
    chosen = {'ho3d': f' {data.version}', 'dexycb': f' {data.setup}'}.get(data.data, '')
    hand = f' of {data.hand}' if data.hand else ''
    objects = f' objects {data.objects}' if data.objects else ''
    return f'{data.data} {data.root}{chosen}{hand}{objects}'


def samples(
    data: DataChoice,
    seed: int,
    window: int,
    split: Literal['train', 'validation'],
    material: ColourMaterial = GENERATED,
) -> Samples:
    """A stream of records.

    Args:
        data: the data set.
        seed: of the training samples.
        window: side of the windows that the records store, pixels.
        split: the last recordings of an official training split, 5 % of the samples or more, validate.
        material: real material of generated samples.
    """
    model = HandModel.load(data.hand)
    if data.data == 'synthetic':
        if split == 'train':
            scenes = RgbConfig(repeats=_REPEATS, visible=_VISIBLE, released=RELEASED, loose=LOOSE, widened=_WIDENED)
            return RgbCrops(seed, split, window, model, material, scenes)
        return RgbCrops(0, split, window, model, material)
    recorded = data.public('train')
    first = np.sort(recorded.recordings)[int(0.95 * len(recorded))]
    if first == recorded.recordings.min():
        raise DatasetError(
            f'{data.root}: one recording is 95 % of {len(recorded)} samples or more, expected several recordings, so '
            'that some train and others validate: give the whole data set'
        )
    training = recorded.recordings < first
    numbers = np.flatnonzero(training if split == 'train' else ~training)
    return RecordedSamples(recorded, numbers, window, len(model.template), seed)
