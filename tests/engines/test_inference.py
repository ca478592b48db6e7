# SPDX-License-Identifier: Apache-2.0
"""Every backend agrees with ONNX Runtime and refuses inputs that differ from the card."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hoi_ros.engines import Card
from hoi_ros.engines import Engine
from hoi_ros.engines import EngineError
from hoi_ros.engines import InputError
from hoi_ros.engines import load_engine

from .every_operator import largest_error
from .every_operator import reference
from .every_operator import require
from .every_operator import TOLERANCES

Arrays = dict[str, NDArray]


@pytest.fixture(params=['openvino', 'onnxruntime', 'tensorrt'])
def engine(request: pytest.FixtureRequest, model_dir: Path) -> Iterator[Engine]:
    require(request.param)
    with load_engine(model_dir, request.param, threads=1) as loaded:
        yield loaded


@pytest.mark.parametrize(('backend', 'precision'), TOLERANCES)
def test_backends_agree(model_dir: Path, example: Arrays, backend: str, precision: str) -> None:
    require(backend)
    wanted = reference(model_dir, example)
    with load_engine(model_dir, backend, precision=precision) as engine:
        found = engine(**example)
    assert {name: array.shape for name, array in found.items()} == {spec.name: spec.sized() for spec in engine.outputs}
    assert all(array.dtype == np.float32 for array in found.values())
    for name in wanted:
        assert largest_error(found[name], wanted[name]) <= TOLERANCES[backend, precision], name


def test_a_call_does_not_change_earlier_results(engine: Engine, example: Arrays) -> None:
    first = engine(**example)
    kept = {name: array.copy() for name, array in first.items()}
    second = engine(**{name: -array for name, array in example.items()})
    assert all(np.array_equal(first[name], kept[name]) for name in kept)
    assert not np.array_equal(second['heat'], kept['heat'])


@pytest.mark.parametrize('items', [0, 1, 2, 3, 11])
def test_a_batch_gives_what_its_items_give_alone(engine: Engine, items: int) -> None:
    engine.prepare(2)
    draw = np.random.default_rng(items)
    batch = {spec.name: draw.uniform(-1, 1, spec.sized(items)).astype(spec.dtype) for spec in engine.inputs}
    found = engine(**batch)
    assert {name: array.shape for name, array in found.items()} == {
        spec.name: spec.sized(items) for spec in engine.outputs
    }
    for item in range(items):
        alone = engine(**{name: array[item : item + 1] for name, array in batch.items()})
        for name, array in found.items():
            np.testing.assert_allclose(array[item], alone[name][0], atol=2e-6, err_msg=name)


def test_inputs_of_different_numbers_of_items_are_refused(engine: Engine, example: Arrays) -> None:
    with pytest.raises(InputError, match=r"different numbers of items: \{'crop': 2, 'code': 1\}"):
        engine(crop=np.repeat(example['crop'], 2, 0), code=example['code'])


@pytest.mark.parametrize('batch', [0, 9])
def test_a_batch_that_cannot_be_prepared_is_named(engine: Engine, batch: int) -> None:
    with pytest.raises(EngineError, match=f'a batch of {batch} cannot be prepared, expected 1 to 8'):
        engine.prepare(batch)


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_the_card_says_how_many_items_run_at_once(backend: str, damaged: Path, example: Arrays) -> None:
    require(backend)
    replace(Card.load(damaged), largest_batch=9).save(damaged)
    with load_engine(damaged, backend) as engine:
        engine.prepare(9)
        with pytest.raises(EngineError, match='a batch of 10 cannot be prepared, expected 1 to 9'):
            engine.prepare(10)
        sizes, run = [], engine._run
        engine._run = lambda arrays: sizes.append(len(arrays[0])) or run(arrays)
        engine(**{name: np.repeat(array, 18, 0) for name, array in example.items()})
    assert sizes == [9, 9]


def test_inputs_need_not_be_contiguous_nor_writable(engine: Engine, example: Arrays) -> None:
    wanted = engine(**example)
    strided = np.zeros((1, 1, 32, 64), np.float32)
    strided[..., ::2] = example['crop']
    code = example['code'].copy()
    code.flags.writeable = False
    found = engine(crop=strided[..., ::2], code=code)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


def test_an_engine_runs_in_another_thread(engine: Engine, example: Arrays) -> None:
    wanted = engine(**example)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(lambda: engine(**example)).result()
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'code': None}, r"takes the inputs \['crop', 'code'\], got \['crop'\]"),
        ({'depth': np.zeros(1)}, "got .*'depth'"),
        (
            {'crop': np.zeros((1, 1, 32, 31), np.float32)},
            r'crop has shape \[1, 1, 32, 31\], expected \[batch, 1, 32, 32\]',
        ),
        ({'crop': np.zeros((1, 1, 32, 32))}, r'crop is float64, expected float32: use .astype\(np.float32\)'),
        ({'crop': [[0.0]]}, 'crop is a list, expected a NumPy array'),
    ],
)
def test_a_wrong_input_is_named(engine: Engine, example: Arrays, change: Arrays, message: str) -> None:
    inputs = {name: array for name, array in (example | change).items() if array is not None}
    with pytest.raises(InputError, match=f'model.onnx.*{message}'):
        engine(**inputs)


def test_a_closed_engine_refuses_calls(engine: Engine, example: Arrays) -> None:
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match='engine is closed; load it again'):
        engine(**example)
