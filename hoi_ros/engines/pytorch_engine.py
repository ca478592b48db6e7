# SPDX-License-Identifier: Apache-2.0
"""PyTorch, on the first CUDA GPU (one captured CUDA graph) or else on the CPU."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hoi_ros.engines.card import Card
from hoi_ros.engines.engine import Engine
from hoi_ros.engines.engine import Precision
from hoi_ros.engines.onnx_graph import half_precision
from hoi_ros.engines.onnx_graph import read_onnx
from hoi_ros.engines.onnx_graph import tensor_specs
from hoi_ros.engines.onnx_to_torch import OnnxNetwork

WARM_UP_RUNS = 3


class PyTorchEngine(Engine):
    """A network run by PyTorch; CUDA_VISIBLE_DEVICES="" keeps it on the CPU.

    "tf32" and `threads` are settings of the whole process in PyTorch, and are set by each call.
    """

    backend = 'pytorch'
    precisions = ('fp32', 'tf32', 'fp16')

    def __init__(self, card: Card, model: Path, precision: Precision | None, threads: int | None) -> None:
        cuda = torch.cuda.is_available()
        device = torch.cuda.get_device_name(0) if cuda else 'cpu'
        super().__init__(card, model, device, precision or ('fp16' if cuda else 'fp32'))
        graph = read_onnx(model)
        card.check_network(model, tensor_specs(graph.graph.input), tensor_specs(graph.graph.output))
        self._threads = threads
        self._names_in = [value.name for value in graph.graph.input]
        self._names_out = [value.name for value in graph.graph.output]
        self._network = OnnxNetwork(
            half_precision(graph) if self.precision == 'fp16' else graph,
            model,
            torch.device('cuda', 0) if cuda else torch.device('cpu'),
        )
        specs = {spec.name: spec for spec in card.inputs}
        self._host = [
            torch.zeros(specs[name].shape, dtype=getattr(torch, specs[name].dtype), pin_memory=cuda)
            for name in self._names_in
        ]
        self._cuda_graph = self._capture() if cuda else None
        if not cuda:
            self._set_process()
            with torch.inference_mode():
                self._network(self._host)

    def _capture(self) -> torch.cuda.CUDAGraph:
        self._static_in = [host.to('cuda:0') for host in self._host]
        self._set_process()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode():
            with torch.cuda.stream(side):
                for _ in range(WARM_UP_RUNS):
                    self._network(self._static_in)
            side.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=side):
                self._static_out = self._network(self._static_in)
        return graph

    def _run(self, arrays: Sequence[NDArray]) -> Sequence[NDArray]:
        given = dict(zip((spec.name for spec in self.inputs), arrays, strict=True))
        for name, host in zip(self._names_in, self._host, strict=True):
            np.copyto(host.numpy(), given[name])
        self._set_process()
        with torch.inference_mode():
            if self._cuda_graph is None:
                results = self._network(self._host)
            else:
                for static, host in zip(self._static_in, self._host, strict=True):
                    static.copy_(host, non_blocking=True)
                self._cuda_graph.replay()
                results = self._static_out
            made = {name: result.cpu().numpy() for name, result in zip(self._names_out, results, strict=True)}
        return [np.array(made[spec.name], order='C') for spec in self.outputs]

    def _set_process(self) -> None:
        if self._threads is not None and torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        if self.device != 'cpu':
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.precision == 'tf32'

    def _release(self) -> None:
        del self._network, self._host
        if self._cuda_graph is not None:
            del self._cuda_graph, self._static_in, self._static_out
