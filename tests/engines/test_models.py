# SPDX-License-Identifier: Apache-2.0
"""Every shipped model agrees with its card, and every backend with ONNX Runtime."""

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from hoi_ros.engines import Card
from hoi_ros.engines import load_engine
from hoi_ros.engines.card import CARD_FILE

from .every_operator import largest_error
from .every_operator import reference
from .every_operator import require

MODELS = Path(__file__).parents[2] / 'models'
FOLDERS = sorted(card.parent for card in MODELS.glob(f'*/{CARD_FILE}'))
LARGEST_FILE_MIB = 25
TOLERANCES = {('openvino', 'fp32'): 1e-3, ('onnxruntime', 'fp32'): 1e-3, ('tensorrt', 'fp16'): 2e-2}

ALL = pytest.mark.parametrize(
    'folder',
    FOLDERS or [pytest.param(None, marks=pytest.mark.skip(f'no folder of {MODELS} holds a {CARD_FILE}'))],
    ids=lambda folder: folder.name if folder else 'none',
)


@ALL
def test_a_model_is_small_and_described(folder: Path) -> None:
    card = Card.load(folder)
    path = card.verified_model(folder)
    assert path.stat().st_size <= LARGEST_FILE_MIB * 2**20
    assert card.name == folder.name
    assert card.licence and card.data and card.training.get('command')
    assert all(spec.unit and spec.meaning for spec in (*card.inputs, *card.outputs))
    (opset,) = (item.version for item in onnx.load(path).opset_import if item.domain in ('', 'ai.onnx'))
    assert opset >= 17


@cache
def three_items(folder: Path) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Inputs of a batch, and the outputs of each item alone."""
    draw = np.random.default_rng(0)
    inputs = {spec.name: draw.uniform(-1, 1, spec.sized(3)).astype(spec.dtype) for spec in Card.load(folder).inputs}
    return inputs, reference(folder, inputs)


@pytest.mark.slow
@ALL
@pytest.mark.parametrize(('backend', 'precision'), TOLERANCES)
def test_backends_agree_on_a_model(folder: Path, backend: str, precision: str) -> None:
    require(backend)
    inputs, wanted = three_items(folder)
    with load_engine(folder, backend, precision=precision) as engine:
        engine.prepare(2)
        found = engine(**inputs)
    for name in wanted:
        assert found[name].shape == wanted[name].shape
        assert largest_error(found[name], wanted[name]) <= TOLERANCES[backend, precision], name
