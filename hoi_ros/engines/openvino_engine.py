# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU: one latency-tuned infer request, kept for the engine's life."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openvino
from numpy.typing import NDArray

from hoi_ros.engines.card import Card
from hoi_ros.engines.card import TensorSpec
from hoi_ros.engines.engine import Engine
from hoi_ros.engines.engine import Precision
from hoi_ros.engines.errors import ModelFileError


class OpenVINOEngine(Engine):
    """A network compiled by OpenVINO; "bf16" and "fp16" are hints, followed where the processor has them."""

    backend = 'openvino'
    precisions = ('fp32', 'bf16', 'fp16')

    def __init__(
        self,
        card: Card,
        model: Path,
        precision: Precision | None,
        threads: int | None,
        cache_dir: Path | None,
    ) -> None:
        super().__init__(card, model, 'cpu', precision or 'fp32')
        options: dict[str, Any] = {
            'PERFORMANCE_HINT': 'LATENCY',
            'NUM_STREAMS': 1,
            'INFERENCE_PRECISION_HINT': {'fp32': 'f32', 'bf16': 'bf16', 'fp16': 'f16'}[self.precision],
        }
        if threads is not None:
            options['INFERENCE_NUM_THREADS'] = threads
        if cache_dir is not None:
            options['CACHE_DIR'] = str(cache_dir)
        core = openvino.Core()
        try:
            network = core.read_model(model)
            compiled = core.compile_model(network, 'CPU', options)
        except RuntimeError as error:
            raise ModelFileError(
                f'{model}: OpenVINO cannot read it; restore it, or export the model again: {error}'
            ) from error
        card.check_network(model, [_spec(port) for port in network.inputs], [_spec(port) for port in network.outputs])
        self._request = compiled.create_infer_request()

    def _run(self, arrays: Sequence[NDArray]) -> Sequence[NDArray]:
        for spec, array in zip(self.inputs, arrays, strict=True):
            self._request.get_tensor(spec.name).data[...] = array
        self._request.infer()
        return [self._request.get_tensor(spec.name).data.copy() for spec in self.outputs]

    def _release(self) -> None:
        del self._request


def _spec(port: openvino.Output) -> TensorSpec:
    shape = tuple(size.get_length() if size.is_static else -1 for size in port.get_partial_shape())
    return TensorSpec(port.get_any_name(), shape, port.get_element_type().to_dtype().name)
