# SPDX-License-Identifier: Apache-2.0
"""Engines that are loaded and run through stand-ins for a GPU: of `tensorrt` 10, and of the real TensorRT for RTX.

RTX's builder is its own; what loads and runs engines is not. `test_inference` runs on a GPU that is here.
"""

import gc
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hoi_ros.engines import Card
from hoi_ros.engines import CardError
from hoi_ros.engines import Engine
from hoi_ros.engines import engine_cache
from hoi_ros.engines import EngineBuildError
from hoi_ros.engines import EngineError
from hoi_ros.engines import load_engine
from hoi_ros.engines import loading
from hoi_ros.engines import MissingBackendError
from hoi_ros.engines import tensorrt_builder
from hoi_ros.engines import tensorrt_engine
from hoi_ros.engines import tensorrt_package

from .tensorrt_stand_in import A6000
from .tensorrt_stand_in import device_memory
from .tensorrt_stand_in import ORIN
from .tensorrt_stand_in import RtxWithoutGpu
from .tensorrt_stand_in import TensorRTStandIn

Load = Callable[..., Engine]


@pytest.fixture(params=['tensorrt', 'tensorrt_rtx'])
def package(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, model_dir: Path) -> Any:
    """One of the two packages, alone on this machine, and its GPU."""
    card = Card.load(model_dir)
    if request.param == 'tensorrt':
        package, gpu = TensorRTStandIn(card), ORIN
    else:
        package, gpu = RtxWithoutGpu(pytest.importorskip('tensorrt_rtx'), card), A6000
    monkeypatch.setitem(sys.modules, request.param, package)
    for module in (loading, tensorrt_package):
        monkeypatch.setattr(module, 'find_spec', lambda name: name if name in ('onnx', request.param) else None)
    monkeypatch.setattr(tensorrt_engine, 'first_gpu', lambda: gpu)
    monkeypatch.setattr(tensorrt_engine, 'DeviceMemory', device_memory)
    monkeypatch.setattr(tensorrt_package, 'driver_version', lambda: (13, 0))
    return package


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def load(package: Any, model_dir: Path, tmp_path: Path, said: list[str], request: pytest.FixtureRequest) -> Load:
    """Loads the engine; that of RTX, which takes seconds, has been built already."""
    if isinstance(package, RtxWithoutGpu):
        shutil.copytree(request.getfixturevalue('rtx_cache'), tmp_path / 'cache')
    return lambda folder=model_dir: load_engine(folder, 'tensorrt', cache_dir=tmp_path / 'cache', progress=said.append)


def test_it_is_built_once_and_run(load: Load, said: list[str], tmp_path: Path, example: dict[str, NDArray]) -> None:
    shutil.rmtree(tmp_path / 'cache', ignore_errors=True)
    for _ in range(2):
        with load() as engine:
            found = engine(**example)
    assert len(said) == 2 and 'is not there' in said[0] and 'took' in said[1]
    assert {name: array.shape for name, array in found.items()} == {spec.name: spec.sized() for spec in engine.outputs}
    assert np.all(found['points'] == 8 * found['points'].nbytes)


def test_batches_run_at_their_size(load: Load, package: Any, example: dict[str, NDArray]) -> None:
    with load() as engine:
        engine.prepare(2)
        package.faults.shapes.clear()
        found = engine(**{name: np.repeat(array, 11, 0) for name, array in example.items()})
    assert [shape for name, shape in package.faults.shapes if name == 'code'] == [(8, 8), (3, 8)]
    assert len(found['heat']) == 11


def test_the_card_says_how_many_items_run_at_once(
    load: Load, package: Any, example: dict[str, NDArray], damaged: Path
) -> None:
    replace(Card.load(damaged), largest_batch=10).save(damaged)
    with load(damaged) as engine:
        engine.prepare(10)
        package.faults.shapes.clear()
        engine(**{name: np.repeat(array, 11, 0) for name, array in example.items()})
    assert [shape for name, shape in package.faults.shapes if name == 'code'] == [(10, 8), (1, 8)]


def test_an_engine_that_is_refused_is_built_again(load: Load, package: Any, said: list[str]) -> None:
    load().close()
    package.faults.refused_plans = 1
    load().close()
    assert any('refuses it (magic tag does not match); building it again' in line for line in said)


def test_an_engine_that_is_refused_twice_is_an_error(load: Load, package: Any) -> None:
    package.faults.refused_plans = 2
    with pytest.raises(EngineBuildError, match=r'\.engine: .* refuses the engine that it has just built: magic tag'):
        load()


@pytest.mark.parametrize(
    ('fault', 'message'),
    [
        ({'address_taken': False}, 'cannot take the buffer of crop: it gave no reason'),
        ({'context_made': False}, 'cannot make an execution context'),
        ({'runs': False}, 'cannot run'),
    ],
)
def test_a_call_that_fails_is_named(load: Load, package: Any, fault: dict[str, bool], message: str) -> None:
    vars(package.faults).update(fault)
    with pytest.raises(EngineError, match=rf'model.onnx: tensorrt\S* [\d.]+ {message}'):
        load()


def test_errors_of_earlier_operations_are_not_blamed(load: Load, package: Any, example: dict[str, NDArray]) -> None:
    engine = load()
    engine._log.errors.append('of an earlier operation')
    package.faults.runs = False
    with pytest.raises(EngineError, match='cannot run: it gave no reason'):
        engine(**example)


def test_an_engine_that_nobody_closes_frees_its_buffers(load: Load) -> None:
    engine = load()
    calls = engine._memory.calls
    calls.clear()
    del engine
    gc.collect()
    assert calls == ['make_current', 'synchronize', 'free']


def test_an_engine_that_cannot_start_frees_its_buffers(
    load: Load, package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    memories = []

    def made(*sizes: Any) -> Any:
        memories.append(device_memory(*sizes))
        return memories[-1]

    monkeypatch.setattr(tensorrt_engine, 'DeviceMemory', made)
    package.faults.context_made = False
    with pytest.raises(EngineError, match='cannot make an execution context'):
        load()
    gc.collect()
    assert memories[0].calls[-1] == 'free'


def test_a_cache_that_cannot_be_written_is_said(
    load: Load, said: list[str], monkeypatch: pytest.MonkeyPatch, example: dict[str, NDArray]
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise EngineError(f'{path} cannot be written (No space left on device)')

    for module in (tensorrt_engine, engine_cache, tensorrt_builder):
        monkeypatch.setattr(module, 'write_whole', full)
    monkeypatch.setattr(tensorrt_builder, 'cached_engine', missing)
    with load() as engine:
        assert engine(**example)
    assert any('No space left on device); the engine of' in line and 'is used and not kept' in line for line in said)


def missing(*_: object) -> bytes:
    raise engine_cache.StaleEngineError('it is not there')


def test_closing_waits_in_the_context_of_the_gpu(load: Load) -> None:
    engine = load()
    calls = engine._memory.calls
    calls.clear()
    engine.close()
    assert calls == ['make_current', 'synchronize', 'free']


def test_kernels_of_rtx_are_kept_beside_the_engine(load: Load, package: Any, tmp_path: Path) -> None:
    load().close()
    kept = list((tmp_path / 'cache').glob('*.kernels'))
    if isinstance(package, TensorRTStandIn):
        assert not kept
        return
    (path,) = kept
    assert path.read_bytes() == b'kernels'
    assert path.with_suffix('.engine').is_file()
    load().close()
    assert package.faults.kernels_seen == [b'kernels']
    strategy = package.faults.config.dynamic_shapes_kernel_specialization_strategy
    assert strategy == package.DynamicShapesKernelSpecializationStrategy.EAGER


def test_a_card_of_other_outputs_is_refused(load: Load, damaged: Path) -> None:
    card = Card.load(damaged)
    replace(card, outputs=card.outputs[:1]).save(damaged)
    with pytest.raises(CardError, match='the network has the outputs'):
        load(damaged)


def test_without_a_gpu_it_says_so(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_engine, 'first_gpu', lambda: None)
    with pytest.raises(MissingBackendError, match=r'needs an NVIDIA GPU and its driver, found none.*nvidia-smi'):
        load()


def test_the_real_rtx_says_what_its_driver_lacks(
    model_dir: Path, rtx_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading an engine without a driver is an error and no crash."""
    pytest.importorskip('tensorrt_rtx')
    if tensorrt_package.driver_version() is not None:
        pytest.skip('this machine has a driver')
    monkeypatch.setattr(loading, 'find_spec', lambda name: SimpleNamespace())
    monkeypatch.setattr(tensorrt_package, 'installed', lambda: ['tensorrt_rtx'])
    monkeypatch.setattr(tensorrt_engine, 'first_gpu', lambda: A6000)
    with pytest.raises(EngineBuildError, match='CUDA driver version is insufficient'):
        load_engine(model_dir, 'tensorrt', cache_dir=tmp_path, progress=lambda line: None)
