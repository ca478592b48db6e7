# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU: one latency-tuned infer request for each prepared number of items."""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

import openvino
from numpy.typing import NDArray

from hoi_ros.engines.card import BATCH
from hoi_ros.engines.card import Card
from hoi_ros.engines.card import TensorSpec
from hoi_ros.engines.engine import Engine
from hoi_ros.engines.engine import Precision
from hoi_ros.engines.errors import ModelFileError
from hoi_ros.engines.errors import PrecisionError
from hoi_ros.engines.quantisation import quantise
from hoi_ros.engines.quantisation import supported


class _Request(NamedTuple):
    """An infer request of one number of items, and its own memory."""

    request: openvino.InferRequest
    inputs: list[NDArray]
    outputs: list[NDArray]


class OpenVINOEngine(Engine):
    """A network compiled by OpenVINO.

    "bf16" and "fp16" are hints, followed where the processor has them. "int8" rounds the convolutions whose activation
    ranges are in the card; it is the default where there are such ranges and the processor has the kernels.

    It is compiled for the numbers of items that `prepare` names, else for one item at its first run: OpenVINO fuses and
    plans far more where shapes are static. Fewer items than the smallest prepared number are padded.
    """

    backend = 'openvino'
    precisions = ('fp32', 'bf16', 'fp16', 'int8')

    def __init__(
        self,
        card: Card,
        model: Path,
        precision: Precision | None,
        threads: int | None,
        cache_dir: Path | None,
    ) -> None:
        super().__init__(card, model, 'cpu', precision or ('int8' if card.activations and supported() else 'fp32'))
        if self.precision == 'int8' and not card.activations:
            raise PrecisionError(
                f"{model}: its card has no activation ranges, which the precision 'int8' needs: measure them "
                '(`python -m training calibrate --help`), or choose another precision'
            )
        self._options: dict[str, Any] = {
            'PERFORMANCE_HINT': 'LATENCY',
            'NUM_STREAMS': 1,
            'INFERENCE_PRECISION_HINT': {'bf16': 'bf16', 'fp16': 'f16'}.get(self.precision, 'f32'),
        }
        if threads is not None:
            self._options['INFERENCE_NUM_THREADS'] = threads
        if cache_dir is not None:
            self._options['CACHE_DIR'] = str(cache_dir)
        self._core = openvino.Core()
        self._requests: dict[int, _Request] = {}
        self._read()

    def prepare(self, *batches: int) -> None:
        super().prepare(*batches)
        for batch in batches:
            if batch not in self._requests:
                self._requests[batch] = self._compiled(batch)

    def _read(self) -> openvino.Model:
        try:
            network = self._core.read_model(self._model)
        except RuntimeError as error:
            raise self._unreadable(error) from error
        inputs, outputs = ([_spec(port) for port in ports] for ports in (network.inputs, network.outputs))
        self.card.check_network(self._model, inputs, outputs)
        return network

    def _compiled(self, batch: int) -> _Request:
        network = self._read()
        try:
            if self.card.batched:
                network.reshape({spec.name: openvino.PartialShape(spec.sized(batch)) for spec in self.inputs})
            if self.precision == 'int8':
                quantise(network, self.card.activations)
            request = self._core.compile_model(network, 'CPU', self._options).create_infer_request()
        except RuntimeError as error:
            raise self._unreadable(error) from error
        del network
        _return_free_memory()
        inputs, outputs = (
            [request.get_tensor(spec.name).data for spec in specs] for specs in (self.inputs, self.outputs)
        )
        for memory in inputs:
            memory[...] = 0
        return _Request(request, inputs, outputs)

    def _unreadable(self, error: RuntimeError) -> ModelFileError:
        return ModelFileError(f'{self._model}: OpenVINO cannot read it; restore it, or export the model again: {error}')

    def _part(self, items: int) -> int:
        return max((batch for batch in self._requests if batch <= items), default=items if self._requests else 1)

    def _run(self, arrays: Sequence[NDArray]) -> Sequence[NDArray]:
        if not self._requests:
            self.prepare(1)
        items = len(arrays[0]) if self.card.batched else 1
        request, inputs, outputs = self._requests.get(items) or self._requests[min(self._requests)]
        for memory, array in zip(inputs, arrays, strict=True):
            memory[: len(array)] = array
        request.infer()
        return [memory[:items].copy() if self.card.batched else memory.copy() for memory in outputs]

    def _release(self) -> None:
        del self._requests, self._core


def _spec(port: openvino.Output) -> TensorSpec:
    shape = tuple(size.get_length() if size.is_static else BATCH for size in port.get_partial_shape())
    return TensorSpec(port.get_any_name(), shape, port.get_element_type().to_dtype().name)


def _return_free_memory() -> None:
    """Gives the system back what compiling allocated and freed; glibc alone would keep it in its heap."""
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)
