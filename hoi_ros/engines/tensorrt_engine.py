# SPDX-License-Identifier: Apache-2.0
"""TensorRT on the first NVIDIA GPU; docs/engines.md lists what no GPU has shown yet."""

from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hoi_ros.engines.card import Card
from hoi_ros.engines.card import TensorSpec
from hoi_ros.engines.cuda_driver import DeviceMemory
from hoi_ros.engines.cuda_driver import first_gpu
from hoi_ros.engines.cuda_driver import why_no_gpu
from hoi_ros.engines.engine import Engine
from hoi_ros.engines.engine import Precision
from hoi_ros.engines.engine_cache import default_cache_dir
from hoi_ros.engines.engine_cache import read_if_there
from hoi_ros.engines.engine_cache import write_whole
from hoi_ros.engines.errors import EngineBuildError
from hoi_ros.engines.errors import EngineError
from hoi_ros.engines.errors import MissingBackendError
from hoi_ros.engines.tensorrt_builder import build_engine
from hoi_ros.engines.tensorrt_builder import PRECISIONS
from hoi_ros.engines.tensorrt_builder import rebuild_engine
from hoi_ros.engines.tensorrt_builder import Target
from hoi_ros.engines.tensorrt_package import TensorRTLog


class TensorRTEngine(Engine):
    """A network built, cached and run by `tensorrt` or `tensorrt_rtx`.

    "fp32" and "tf32" differ in the GPU's matrix units alone.
    """

    backend = 'tensorrt'
    precisions = PRECISIONS

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
                f'{model}: TensorRT needs an NVIDIA GPU and its driver, found none ({why_no_gpu()}); choose another '
                'backend, or look at nvidia-smi and CUDA_VISIBLE_DEVICES'
            )
        super().__init__(card, model, gpu.name, precision or 'fp16')
        self._target = Target.of_gpu(gpu)
        self._cache = cache_dir or default_cache_dir()
        self._log = TensorRTLog(self._target.package.module)
        self._runtime = self._target.package.start_runtime(self._log)
        self._say = say
        self._engine = self._load_or_build(say)
        card.check_network(model, self._specs('INPUT'), self._specs('OUTPUT'))
        specs = (*card.inputs, *card.outputs)
        # A run-time cache is read in the GPU's context, which the buffers make current.
        self._memory = DeviceMemory(gpu, {spec.name: spec.nbytes(card.largest_batch) for spec in specs})
        self._kernels: Any = None
        self._config: Any = None
        self._context: Any = None
        self._context = self._create_context()
        for name, address in self._memory.addresses.items():
            self._require(self._context.set_tensor_address(name, address), f'take the buffer of {name}')
        self.prepare(1)

    def prepare(self, *batches: int) -> None:
        """Runs the batches once, which loads their kernels; TensorRT for RTX compiles them now."""
        super().prepare(*batches)
        for batch in batches:
            self._run([np.zeros(spec.sized(batch), spec.dtype) for spec in self.inputs])
        self._store_kernels()

    def _load_or_build(self, say: Callable[[str], None]) -> Any:
        arguments = (self.card, self._model, self._target, self.precision, self._cache, say)
        plan, built = build_engine(*arguments)
        engine = self._deserialize(plan)
        if engine is None and not built:
            say(f'{self._engine_file}: {self._target.package} refuses it ({self._log.text()}); building it again')
            engine = self._deserialize(rebuild_engine(*arguments))
        if engine is None:
            raise EngineBuildError(
                f'{self._engine_file}: {self._target.package} refuses the engine that it has just built: '
                f'{self._log.text()}'
            )
        return engine

    def _deserialize(self, plan: bytes) -> Any:
        self._log.clear()
        return self._runtime.deserialize_cuda_engine(plan)

    def _create_context(self) -> Any:
        self._log.clear()
        if not self._target.package.rtx:
            context = self._engine.create_execution_context()
        else:
            trt = self._target.package.module
            self._config = config = self._engine.create_runtime_config()
            # Otherwise a thread compiles the kernels of a batch while slower ones run.
            config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
            self._kernels = config.create_runtime_cache()
            if (known := read_if_there(self._kernels_file)) and not self._kernels.deserialize(known):
                self._say(f'{self._kernels_file}: kernels of another driver or damaged; they are compiled again')
            self._require(config.set_runtime_cache(self._kernels), 'take a run-time cache')
            context = self._engine.create_execution_context(config)
        self._require(context is not None, 'make an execution context')
        return context

    def _run(self, arrays: Sequence[NDArray]) -> Sequence[NDArray]:
        self._memory.make_current()
        self._log.clear()
        for spec, array in zip(self.inputs, arrays, strict=True):
            self._require(self._context.set_input_shape(spec.name, array.shape), f'take {spec.name} {array.shape}')
            self._memory.upload(spec.name, array)
        self._require(self._context.execute_async_v3(self._memory.stream), 'run')
        results = [np.empty(spec.sized(len(arrays[0])), spec.dtype) for spec in self.outputs]
        for spec, result in zip(self.outputs, results, strict=True):
            self._memory.download(spec.name, result)
        self._memory.synchronize()
        return results

    def _release(self) -> None:
        self._memory.make_current()
        try:
            self._memory.synchronize()
            self._store_kernels()
        finally:
            self._context = self._kernels = self._config = self._engine = self._runtime = None
            self._memory.free()

    def _store_kernels(self) -> None:
        if self._kernels is not None and (kernels := self._kernels.serialize()) is not None:
            content = bytes(kernels)
            if read_if_there(self._kernels_file) != content:
                try:
                    write_whole(self._kernels_file, content)
                except EngineError as error:
                    self._say(f'{error}; the kernels of {self.card.name} are not kept')

    @property
    def _engine_file(self) -> Path:
        return self._cache / self._target.key(self.card, self.precision).file_name

    @property
    def _kernels_file(self) -> Path:
        return self._cache / self._target.key(self.card, self.precision).kernels_file_name

    def _specs(self, mode: str) -> list[TensorSpec]:
        trt, engine, specs = self._target.package.module, self._engine, []
        for name in map(engine.get_tensor_name, range(engine.num_io_tensors)):
            if engine.get_tensor_mode(name) == getattr(trt.TensorIOMode, mode):
                dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name))).name
                specs.append(TensorSpec(name, tuple(engine.get_tensor_shape(name)), dtype))
        return specs

    def _require(self, succeeded: bool, what: str) -> None:
        if not succeeded:
            raise EngineError(f'{self._model}: {self._target.package} cannot {what}: {self._log.text()}')
