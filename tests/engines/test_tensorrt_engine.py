# SPDX-License-Identifier: Apache-2.0
"""When the engine is built and when the cached one is taken, with a stand-in for TensorRT and the GPU.

The stand-in has the calls of the documented API and no others; `test_inference` runs on a GPU that is here.
"""

import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from hoi_ros.engines import Card
from hoi_ros.engines import CardError
from hoi_ros.engines import EngineBuildError
from hoi_ros.engines import load_engine
from hoi_ros.engines import loading
from hoi_ros.engines import MissingBackendError
from hoi_ros.engines import tensorrt_engine
from hoi_ros.engines.cuda_driver import Gpu
from hoi_ros.engines.tensorrt_engine import progress_lines


class StandIn:
    """TensorRT and device memory: the last graph built is the engine, results are filled with their size."""

    def __init__(self) -> None:
        self.__version__ = '10.13'
        self.built: list[onnx.ModelProto] = []
        self.flags_cleared: list[str] = []
        self.timings_seen: list[bytes] = []
        self.fails: str | None = None
        self.ILogger = type('ILogger', (), {'ERROR': 1, 'INTERNAL_ERROR': 0, '__init__': lambda self: None})
        self.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
        self.BuilderFlag = SimpleNamespace(TF32='TF32')
        self.TensorIOMode = SimpleNamespace(INPUT='in', OUTPUT='out')

    def nptype(self, dtype: type) -> type:
        return dtype

    def Builder(self, logger: Any) -> Any:
        config = SimpleNamespace(
            clear_flag=self.flags_cleared.append,
            add_optimization_profile=lambda profile: None,
            create_timing_cache=lambda known: (
                self.timings_seen.append(known) or SimpleNamespace(serialize=lambda: b't')
            ),
            set_timing_cache=lambda cache, ignore_mismatch: setattr(config, 'timing', cache),
            get_timing_cache=lambda: config.timing,
        )
        return SimpleNamespace(
            create_network=lambda flags: SimpleNamespace(flags=flags),
            create_builder_config=lambda: config,
            create_optimization_profile=lambda: SimpleNamespace(set_shape=lambda *shapes: None),
            build_serialized_network=lambda network, config: self._plan(logger, network),
        )

    def _plan(self, logger: Any, network: Any) -> bytes | None:
        if self.fails == 'build':
            logger.log(self.ILogger.ERROR, 'out of memory')
            return None
        assert network.flags == 2
        self.built.append(network.graph)
        return b'plan'

    def OnnxParser(self, network: Any, logger: Any) -> Any:
        def parse(model: bytes) -> bool:
            network.graph = onnx.load_from_string(model)
            return self.fails != 'parse'

        error = SimpleNamespace(node_name=lambda: 'n7', node_operator=lambda: 'Det', desc=lambda: 'unknown')
        return SimpleNamespace(parse=parse, num_errors=1, get_error=lambda index: error)

    def Runtime(self, logger: Any) -> Any:
        def deserialize(plan: bytes) -> Any:
            values = (*self.built[-1].graph.input, *self.built[-1].graph.output)
            names = [value.name for value in values]
            shapes = {
                value.name: [axis.dim_value or -1 for axis in value.type.tensor_type.shape.dim] for value in values
            }
            return SimpleNamespace(
                num_io_tensors=len(names),
                get_tensor_name=names.__getitem__,
                get_tensor_shape=shapes.__getitem__,
                get_tensor_mode=lambda name: 'in' if name in names[:2] else 'out',
                get_tensor_dtype=lambda name: np.float32,
                create_execution_context=lambda: SimpleNamespace(
                    set_tensor_address=lambda name, address: True,
                    set_input_shape=lambda name, shape: True,
                    execute_async_v3=lambda stream: True,
                ),
            )

        return SimpleNamespace(deserialize_cuda_engine=deserialize)

    def DeviceMemory(self, gpu: Gpu, sizes: dict[str, int]) -> Any:
        held: dict[str, NDArray] = {}
        return SimpleNamespace(
            addresses=dict.fromkeys(sizes, 1),
            stream=1,
            make_current=lambda: None,
            synchronize=lambda: None,
            free=lambda: None,
            upload=held.__setitem__,
            download=lambda name, array: array.fill(sizes[name]),
        )


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, 'tensorrt', stand_in)
    monkeypatch.setattr(loading, 'find_spec', lambda name: name)
    monkeypatch.setattr(tensorrt_engine, 'first_gpu', lambda: Gpu(0, 'Orin', '8.7'))
    monkeypatch.setattr(tensorrt_engine, 'DeviceMemory', stand_in.DeviceMemory)
    return stand_in


def test_an_engine_is_built_once(trt: StandIn, model_dir: Path, tmp_path: Path, example: dict[str, NDArray]) -> None:
    said: list[str] = []
    for _ in range(2):
        with load_engine(model_dir, 'tensorrt', cache_dir=tmp_path, progress=said.append) as engine:
            found = engine(**example)
    assert len(trt.built) == 1
    assert [re.search(r'once, because .* is not there$|took \d+ s$', line) is not None for line in said] == [
        True,
        True,
    ]
    assert {name: array.shape for name, array in found.items()} == {spec.name: spec.sized() for spec in engine.outputs}
    assert np.all(found['points'] == 8 * found['points'].nbytes)


def test_a_damaged_engine_is_built_again(trt: StandIn, model_dir: Path, tmp_path: Path) -> None:
    said: list[str] = []
    load_engine(model_dir, 'tensorrt', cache_dir=tmp_path, build_only=True, progress=said.append)
    (engine,) = tmp_path.glob('*.engine')
    engine.write_bytes(b'pl')
    load_engine(model_dir, 'tensorrt', cache_dir=tmp_path, build_only=True, progress=said.append)
    assert len(trt.built) == 2
    assert any('is damaged (2 bytes' in line for line in said)
    assert trt.timings_seen == [b'', b't']


@pytest.mark.parametrize('precision', ['fp16', 'fp32'])
def test_the_precision_is_in_the_graph(trt: StandIn, model_dir: Path, tmp_path: Path, precision: str) -> None:
    load_engine(
        model_dir,
        'tensorrt',
        precision=precision,
        cache_dir=tmp_path,
        build_only=True,
        progress=lambda line: None,
    )
    halves = [item for item in trt.built[0].graph.initializer if item.data_type == onnx.TensorProto.FLOAT16]
    assert bool(halves) == (precision == 'fp16')
    assert trt.flags_cleared == ([] if precision == 'fp16' else ['TF32'])


@pytest.mark.parametrize(
    ('fails', 'message'),
    [
        ('parse', r'model.onnx: TensorRT 10.13 cannot parse it: n7 \(Det\): unknown'),
        ('build', r'model.onnx: TensorRT 10.13 cannot build it for Orin: out of memory'),
    ],
)
def test_a_failed_build_says_why(trt: StandIn, model_dir: Path, tmp_path: Path, fails: str, message: str) -> None:
    trt.fails = fails
    with pytest.raises(EngineBuildError, match=message):
        load_engine(model_dir, 'tensorrt', cache_dir=tmp_path, progress=lambda line: None)
    assert not list(tmp_path.glob('*.engine'))


def test_a_card_of_other_outputs_is_refused(trt: StandIn, damaged: Path, tmp_path: Path) -> None:
    card = Card.load(damaged)
    Card(**{**vars(card), 'outputs': card.outputs[:1]}).save(damaged)
    with pytest.raises(CardError, match='the network has the outputs'):
        load_engine(damaged, 'tensorrt', cache_dir=tmp_path, progress=lambda line: None)


def test_without_a_gpu_it_says_so(trt: StandIn, monkeypatch: pytest.MonkeyPatch, model_dir: Path) -> None:
    monkeypatch.setattr(tensorrt_engine, 'first_gpu', lambda: None)
    with pytest.raises(MissingBackendError, match=r'needs an NVIDIA GPU and its driver, found none.*nvidia-smi'):
        load_engine(model_dir, 'tensorrt')


def test_a_tensorrt_that_does_not_start_says_so(trt: StandIn, monkeypatch: pytest.MonkeyPatch, model_dir: Path) -> None:
    def refuse(logger: Any) -> None:
        logger.log(trt.ILogger.ERROR, 'the driver is too old')
        raise TypeError('factory function returned nullptr')

    monkeypatch.setattr(trt, 'Runtime', refuse)
    with pytest.raises(MissingBackendError, match='does not start on Orin: the driver is too old'):
        load_engine(model_dir, 'tensorrt')


def test_a_tensorrt_that_does_not_load_says_so(trt: StandIn, monkeypatch: pytest.MonkeyPatch, model_dir: Path) -> None:
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    with pytest.raises(MissingBackendError, match='tensorrt is installed but does not load'):
        load_engine(model_dir, 'tensorrt')


def test_a_long_build_keeps_talking() -> None:
    said: list[str] = []
    with progress_lines('building', said.append, period_s=0.01):
        while len(said) < 2:
            time.sleep(0.01)
    assert re.fullmatch(r'building: \d+ s so far', said[0])
    assert re.fullmatch(r'building: took \d+ s', said[-1])
