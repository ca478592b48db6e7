# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: on the first NVIDIA GPU where `onnxruntime-gpu` is installed, else on the CPU."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as status

from hoi_ros.engines.card import BATCH
from hoi_ros.engines.card import Card
from hoi_ros.engines.card import TensorSpec
from hoi_ros.engines.cuda_driver import first_gpu
from hoi_ros.engines.engine import Engine
from hoi_ros.engines.engine import Precision
from hoi_ros.engines.errors import ModelFileError
from hoi_ros.engines.errors import UnsupportedOperatorError

_CUDA = 'CUDAExecutionProvider'
_CPU = 'CPUExecutionProvider'
_ERRORS_ONLY = 3
"""ONNX Runtime's log level."""
_UNREADABLE = (
    status.Fail,
    status.InvalidArgument,
    status.InvalidGraph,
    status.InvalidProtobuf,
    status.RuntimeException,
)
_DTYPES = {'tensor(float)': 'float32', 'tensor(float16)': 'float16', 'tensor(double)': 'float64'} | {
    f'tensor({name})': name
    for name in ('int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64', 'bool')
}


class OnnxRuntimeEngine(Engine):
    """A network run by ONNX Runtime in float32; "tf32" lets the GPU's matrix units round, and on a CPU changes nothing.

    CUDA_VISIBLE_DEVICES="" keeps it on the CPU. With `quick_start` it is ready in a third of the time: planning the
    memory of a network of a thousand operators takes seconds.
    """

    backend = 'onnxruntime'
    precisions = ('fp32', 'tf32')

    def __init__(
        self, card: Card, model: Path, precision: Precision | None, threads: int | None, quick_start: bool = False
    ) -> None:
        gpu = first_gpu() if _CUDA in onnxruntime.get_available_providers() else None
        super().__init__(card, model, gpu.name if gpu else 'cpu', precision or 'fp32')
        if gpu and hasattr(onnxruntime, 'preload_dlls'):
            # CUDA and cuDNN of pip lie where the linker does not look.
            onnxruntime.preload_dlls()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        if quick_start:
            options.enable_mem_reuse = False
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        if threads is not None:
            options.intra_op_num_threads = threads
        providers: list[str | tuple[str, dict[str, str]]] = [_CPU]
        if gpu:
            providers.insert(0, (_CUDA, {'use_tf32': str(int(self.precision == 'tf32'))}))
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=providers)
        except status.NotImplemented as error:
            raise UnsupportedOperatorError(
                f'{model}: ONNX Runtime {onnxruntime.__version__} lacks an operator: {error}; choose another backend'
            ) from error
        except _UNREADABLE as error:
            raise ModelFileError(
                f'{model}: ONNX Runtime cannot read it; restore it, or export the model again: {error}'
            ) from error
        if gpu and self._session.get_providers()[0] != _CUDA:
            self.device = 'cpu'
        card.check_network(
            model,
            [_spec(value) for value in self._session.get_inputs()],
            [_spec(value) for value in self._session.get_outputs()],
        )
        self._outputs = [spec.name for spec in card.outputs]
        if not quick_start:
            self._run([np.zeros(spec.sized(), spec.dtype) for spec in card.inputs])

    def _run(self, arrays: Sequence[NDArray]) -> Sequence[NDArray]:
        feeds = {spec.name: array for spec, array in zip(self.inputs, arrays, strict=True)}
        return list(self._session.run(self._outputs, feeds))

    def _release(self) -> None:
        del self._session


def _spec(value: onnxruntime.NodeArg) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else BATCH for size in value.shape)
    return TensorSpec(value.name, shape, _DTYPES.get(value.type, value.type))
