# SPDX-License-Identifier: Apache-2.0
"""A card with activation ranges runs in 8 bits on a CPU, close to float32; a card without them does not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from hoi_ros.engines import Card
from hoi_ros.engines import load_engine
from hoi_ros.engines import TensorSpec
from hoi_ros.engines.errors import PrecisionError
from hoi_ros.engines.quantisation import supported
from training.calibration.activations import activation_ranges
from training.calibration.activations import write_activation_ranges
from training.export import export_onnx
from training.installation import InstallOptions

from .every_operator import require

pytestmark = pytest.mark.skipif(not supported(), reason='OpenVINO has no 8-bit kernels for this processor')


def images(seed: int, count: int) -> Iterator[dict[str, NDArray]]:
    draw = np.random.default_rng(seed)
    return ({'image': draw.normal(size=(1, 3, 16, 16)).astype(np.float32)} for _ in range(count))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine convolutions, so that two in the middle are computed in 8 bits."""
    require('openvino')
    torch.manual_seed(1)
    layers = [nn.Sequential(nn.Conv2d(width, 24, 3, padding=1), nn.ReLU()) for width in (3, *[24] * 7)]
    export_onnx(
        nn.Sequential(*layers, nn.Conv2d(24, 2, 3)),
        {'image': torch.from_numpy(next(images(0, 1))['image'])},
        [TensorSpec('maps', (1, 2, 14, 14), unit='1', meaning='maps')],
        tmp_path / 'small',
        {'name': 'small', 'licence': 'Apache-2.0', 'data': 'none'},
    )
    return tmp_path / 'small'


def test_ranges_in_the_card_are_used_and_move_the_outputs_little(folder: Path) -> None:
    with load_engine(folder, 'openvino') as engine:
        assert engine.precision == 'fp32'
    errors = write_activation_ranges(folder, images(1, 20), images(2, 5), InstallOptions())
    assert len(Card.load(folder).activations) == 2
    assert 0 < errors['maps'].mean < 0.03
    assert Card.load(folder).figures['rounding_to_8_bits']['maps'] == pytest.approx(errors['maps'].mean, abs=1e-4)
    with load_engine(folder, 'openvino') as engine:
        assert engine.precision == 'int8'
        engine.prepare(2)
        pair = np.concatenate([item['image'] for item in images(3, 2)])
        together = engine(image=pair)['maps']
    with load_engine(folder, 'onnxruntime') as exact:
        wanted = exact(image=pair)['maps']
    assert 0 < np.abs(together - wanted).mean() < 0.03 * wanted.std()


def test_ranges_hold_zero_and_every_value(folder: Path) -> None:
    card = Card.load(folder)
    few = activation_ranges(card.verified_model(folder), images(1, 2))
    more = activation_ranges(card.verified_model(folder), images(1, 20))
    assert few.keys() == more.keys()
    assert all(more[name][0] <= few[name][0] <= 0 < few[name][1] <= more[name][1] for name in few)


def test_8_bits_without_ranges_are_refused(folder: Path) -> None:
    with pytest.raises(PrecisionError, match='no activation ranges'):
        load_engine(folder, 'openvino', precision='int8')
