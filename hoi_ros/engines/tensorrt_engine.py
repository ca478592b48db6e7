# SPDX-License-Identifier: Apache-2.0
"""TensorRT 10 and 11: an engine built from the ONNX file on first use, kept on disk, run on the first GPU.

Networks are strongly typed: the graph alone says what is computed in float16 (TensorRT 11 has no other way).
Written against the documented API; the README says on which GPUs it has been run.
"""

import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hoi_ros.engines.card import Card
from hoi_ros.engines.card import TensorSpec
from hoi_ros.engines.cuda_driver import DeviceMemory
from hoi_ros.engines.cuda_driver import first_gpu
from hoi_ros.engines.engine import Engine
from hoi_ros.engines.engine import MAX_BATCH
from hoi_ros.engines.engine import Precision
from hoi_ros.engines.engine_cache import cached_engine
from hoi_ros.engines.engine_cache import default_cache_dir
from hoi_ros.engines.engine_cache import EngineKey
from hoi_ros.engines.engine_cache import StaleEngineError
from hoi_ros.engines.engine_cache import store_engine
from hoi_ros.engines.engine_cache import write_whole
from hoi_ros.engines.errors import EngineBuildError
from hoi_ros.engines.errors import EngineError
from hoi_ros.engines.errors import MissingBackendError
from hoi_ros.engines.onnx_graph import half_precision
from hoi_ros.engines.onnx_graph import read_onnx

RECIPE = 2
PROGRESS_PERIOD_S = 4.0


class TensorRTEngine(Engine):
    """A network built, cached and run by TensorRT; "fp32" and "tf32" differ in its matrix units alone."""

    backend = 'tensorrt'
    precisions = ('fp16', 'tf32', 'fp32')

    def __init__(
        self,
        card: Card,
        model: Path,
        precision: Precision | None,
        cache_dir: Path | None,
        say: Callable[[str], None],
    ) -> None:
        gpu = first_gpu()
        if gpu is None:
            raise MissingBackendError(
                f'{model}: TensorRT needs an NVIDIA GPU and its driver, found none; choose another '
                'backend, or look at nvidia-smi and CUDA_VISIBLE_DEVICES'
            )
        super().__init__(card, model, gpu.name, precision or 'fp16')
        trt = _tensorrt(model)
        cache = cache_dir or default_cache_dir()
        key = EngineKey(
            card.name, card.sha256, trt.__version__, gpu.name, gpu.compute_capability, self.precision, RECIPE
        )
        self._logger = _logger(trt)
        try:
            self._runtime = trt.Runtime(self._logger)
        except TypeError as error:
            raise MissingBackendError(
                f'{model}: TensorRT {trt.__version__} does not start on {gpu.name}: '
                f'{self._logger.text()}; install the tensorrt that fits the driver'
            ) from error
        self._engine = self._load_or_build(trt, cache, key, say)
        card.check_network(
            model,
            _specs(trt, self._engine, trt.TensorIOMode.INPUT),
            _specs(trt, self._engine, trt.TensorIOMode.OUTPUT),
        )
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise EngineError(f'{model}: TensorRT cannot make an execution context: {self._logger.text()}')
        specs = (*card.inputs, *card.outputs)
        self._memory = DeviceMemory(gpu, {spec.name: spec.nbytes(MAX_BATCH) for spec in specs})
        for name, address in self._memory.addresses.items():
            self._context.set_tensor_address(name, address)

    def _load_or_build(self, trt: Any, cache: Path, key: EngineKey, say: Callable[[str], None]) -> Any:
        try:
            engine = self._runtime.deserialize_cuda_engine(cached_engine(cache, key))
            if engine is None:
                raise StaleEngineError(f'TensorRT refuses {cache / key.file_name}: {self._logger.text()}')
        except StaleEngineError as reason:
            say(f'TensorRT: building {self._model} for {key.gpu} in {key.precision}, once, because {reason}')
            plan = build_plan(trt, self._logger, self._model, key, cache, say)
            path = store_engine(cache, key, plan)
            engine = self._runtime.deserialize_cuda_engine(plan)
            if engine is None:
                raise EngineBuildError(
                    f'{path}: TensorRT refuses the engine it has just built: {self._logger.text()}'
                ) from None
        return engine

    def _run(self, arrays: Sequence[NDArray]) -> Sequence[NDArray]:
        self._memory.make_current()
        for spec, array in zip(self.inputs, arrays, strict=True):
            self._context.set_input_shape(spec.name, array.shape)
            self._memory.upload(spec.name, array)
        if not self._context.execute_async_v3(self._memory.stream):
            raise EngineError(f'{self._model}: TensorRT could not run it: {self._logger.text()}')
        results = [np.empty(spec.sized(len(arrays[0])), spec.dtype) for spec in self.outputs]
        for spec, result in zip(self.outputs, results, strict=True):
            self._memory.download(spec.name, result)
        self._memory.synchronize()
        return results

    def _release(self) -> None:
        self._memory.synchronize()
        del self._context, self._engine, self._runtime
        self._memory.free()


def build_plan(trt: Any, logger: Any, model: Path, key: EngineKey, cache: Path, say: Callable[[str], None]) -> bytes:
    """Builds the serialized engine of an ONNX file, reusing and adding to the kernel timings in `cache`.

    Raises:
        EngineBuildError: TensorRT cannot parse or build the network; what it said is in the message.
    """
    graph = read_onnx(model)
    if key.precision == 'fp16':
        graph = half_precision(graph)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph.SerializeToString()):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        said = '; '.join(f'{error.node_name()} ({error.node_operator()}): {error.desc()}' for error in errors)
        raise EngineBuildError(f'{model}: TensorRT {trt.__version__} cannot parse it: {said}; choose another backend')
    config = builder.create_builder_config()
    if key.precision == 'fp32':
        config.clear_flag(trt.BuilderFlag.TF32)
    profile = builder.create_optimization_profile()
    for value in graph.graph.input:
        rest = [axis.dim_value for axis in value.type.tensor_type.shape.dim][1:]
        profile.set_shape(value.name, (1, *rest), (1, *rest), (MAX_BATCH, *rest))
    config.add_optimization_profile(profile)
    timing_path = cache / key.timing_file_name
    known = timing_path.read_bytes() if timing_path.is_file() else b''
    timing = config.create_timing_cache(known) or config.create_timing_cache(b'')
    config.set_timing_cache(timing, ignore_mismatch=False)
    with progress_lines(f'TensorRT: building {model}', say):
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineBuildError(f'{model}: TensorRT {trt.__version__} cannot build it for {key.gpu}: {logger.text()}')
    write_whole(timing_path, bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


@contextmanager
def progress_lines(what: str, say: Callable[[str], None], period_s: float = PROGRESS_PERIOD_S) -> Iterator[None]:
    """Says every `period_s` for how long the block has been running, and at its end how long it took."""
    start = time.monotonic()
    done = threading.Event()

    def speak() -> None:
        while not done.wait(period_s):
            say(f'{what}: {time.monotonic() - start:.0f} s so far')

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield
    finally:
        done.set()
        speaker.join()
        say(f'{what}: took {time.monotonic() - start:.0f} s')


def _specs(trt: Any, engine: Any, mode: Any) -> list[TensorSpec]:
    specs = []
    for name in map(engine.get_tensor_name, range(engine.num_io_tensors)):
        if engine.get_tensor_mode(name) == mode:
            dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name))).name
            specs.append(TensorSpec(name, tuple(engine.get_tensor_shape(name)), dtype))
    return specs


def _tensorrt(model: Path) -> Any:
    try:
        import tensorrt
    except (ImportError, OSError) as error:
        raise MissingBackendError(
            f'{model}: tensorrt is installed but does not load ({error}): install the tensorrt '
            'that fits the CUDA driver'
        ) from error
    return tensorrt


def _logger(trt: Any) -> Any:
    class Logger(trt.ILogger):
        """Keeps what TensorRT complained of, for the error message."""

        def __init__(self) -> None:
            super().__init__()
            self._lines: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self._lines.append(message)

        def text(self) -> str:
            return '; '.join(self._lines) or 'it gave no reason'

    return Logger()
