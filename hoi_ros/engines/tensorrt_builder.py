# SPDX-License-Identifier: Apache-2.0
"""Builds TensorRT engines from ONNX files and keeps them on disk.

Networks are strongly typed: the graph alone says what is computed in float16 (TensorRT 11 and TensorRT for RTX have no
other way). Engines take 1 item to the largest batch of the card.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np
import onnx

from hoi_ros.engines.card import Card
from hoi_ros.engines.card import TensorSpec
from hoi_ros.engines.cuda_driver import Gpu
from hoi_ros.engines.engine import Precision
from hoi_ros.engines.engine_cache import cached_engine
from hoi_ros.engines.engine_cache import EngineKey
from hoi_ros.engines.engine_cache import read_if_there
from hoi_ros.engines.engine_cache import StaleEngineError
from hoi_ros.engines.engine_cache import store_engine
from hoi_ros.engines.engine_cache import write_whole
from hoi_ros.engines.errors import EngineBuildError
from hoi_ros.engines.errors import EngineError
from hoi_ros.engines.errors import UnsupportedOperatorError
from hoi_ros.engines.onnx_graph import half_precision
from hoi_ros.engines.onnx_graph import read_onnx
from hoi_ros.engines.progress import progress_lines
from hoi_ros.engines.tensorrt_package import load_tensorrt
from hoi_ros.engines.tensorrt_package import TensorRT
from hoi_ros.engines.tensorrt_package import TensorRTLog

PRECISIONS: tuple[Precision, ...] = ('fp16', 'tf32', 'fp32')
RECIPE = 2
"""Revision of how this module turns an ONNX file into an engine."""


@dataclass(frozen=True)
class Target:
    """What an engine is built for."""

    package: TensorRT
    capability: str
    """Compute capability, such as "8.6"."""
    gpu: str
    """The GPU's name; "any" for TensorRT for RTX, whose engines run on every GPU of the capability."""

    @classmethod
    def of_gpu(cls, gpu: Gpu) -> 'Target':
        """The GPU that is here.

        Raises:
            MissingBackendError: no package that is installed supports it.
        """
        package = load_tensorrt(gpu.compute_capability)
        return cls(package, gpu.compute_capability, 'any' if package.rtx else _described(gpu))

    @classmethod
    def of_capability(cls, capability: str) -> 'Target':
        """Any GPU of a compute capability, whether it is here or not.

        Raises:
            MissingBackendError: TensorRT for RTX is not installed or does not support it.
        """
        return cls(load_tensorrt(capability, 'tensorrt_rtx'), capability, 'any')

    def key(self, card: Card, precision: str) -> EngineKey:
        """Where the engine of a model lies in the cache."""
        package = self.package
        return EngineKey(
            card.name,
            card.sha256,
            package.name,
            package.edition,
            self.gpu,
            self.capability,
            precision,
            RECIPE,
            card.largest_batch,
        )

    def __str__(self) -> str:
        return f'compute capability {self.capability}' if self.package.rtx else self.gpu


class Built(NamedTuple):
    """A serialized engine and whether it was built now or taken from the cache."""

    plan: bytes
    now: bool


def build_engine(
    card: Card, model: Path, target: Target, precision: Precision, cache: Path, say: Callable[[str], None]
) -> Built:
    """The serialized engine of a model, from the cache or else built and put there.

    Args:
        card: of the model, compared with the network's inputs and outputs before it is built.
        model: the ONNX file.
        target: the package and the GPU.
        precision: one of `PRECISIONS`.
        cache: folder of the engines.
        say: receives why it is built, and a line every few seconds while it is.

    Raises:
        EngineBuildError, UnsupportedOperatorError: TensorRT cannot parse or build the network.
        CardError: the card does not describe the network.
    """
    key = target.key(card, precision)
    try:
        return Built(cached_engine(cache, key), False)
    except StaleEngineError as reason:
        say(f'{target.package.name}: building {model} for {target} in {precision}, once, because {reason}')
    return Built(rebuild_engine(card, model, target, precision, cache, say), True)


def rebuild_engine(
    card: Card, model: Path, target: Target, precision: Precision, cache: Path, say: Callable[[str], None]
) -> bytes:
    """The same, whatever the cache holds."""
    key = target.key(card, precision)
    with progress_lines(f'{target.package.name}: building {card.name} for {target} in {precision}', say):
        plan, timings = build_plan(card, model, target, precision, cache / key.timing_file_name)
    try:
        if timings:
            write_whole(cache / key.timing_file_name, timings)
        store_engine(cache, key, plan)
    except EngineError as error:
        say(f'{error}; the engine of {card.name} is used and not kept')
    return plan


def build_plan(
    card: Card, model: Path, target: Target, precision: Precision, timing_file: Path
) -> tuple[bytes, bytes | None]:
    """Builds an ONNX file.

    Returns:
        The serialized engine, and the kernel timings: those of `timing_file` and new ones; TensorRT for RTX has none.

    Raises:
        as `build_engine`.
    """
    graph = read_onnx(model)
    if precision == 'fp16':
        graph = half_precision(graph)
    trt = target.package.module
    log = TensorRTLog(trt)
    builder = target.package.start_builder(log)
    # The parser does not keep the network alive: the caller does.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(target.package, log, network, graph, model)
    card.check_network(
        model,
        [_spec(trt, network.get_input(index)) for index in range(network.num_inputs)],
        [_spec(trt, network.get_output(index)) for index in range(network.num_outputs)],
    )
    config = builder.create_builder_config()
    if precision == 'fp32':
        config.clear_flag(trt.BuilderFlag.TF32)
    log.clear()
    if target.package.rtx:
        config.num_compute_capabilities = 1
        number = trt.ComputeCapability.__members__[f'SM{target.capability.replace(".", "")}']
        if not config.set_compute_capability(number, 0):
            raise EngineBuildError(f'{target.package} refuses the compute capability {target.capability}: {log.text()}')
    if card.batched and config.add_optimization_profile(_profile(builder, card)) < 0:
        raise EngineBuildError(f'{model}: {target.package} refuses batches of 1 to {card.largest_batch}: {log.text()}')
    if not target.package.rtx:
        _use_timings(config, timing_file)
    log.clear()
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineBuildError(f'{model}: {target.package} cannot build it for {target}: {log.text()}')
    timings = None if target.package.rtx else config.get_timing_cache()
    return bytes(plan), None if timings is None else bytes(timings.serialize())


def _described(gpu: Gpu) -> str:
    """What tells GPUs apart that need engines of their own."""
    return f'{gpu.name}, {gpu.multiprocessors} multiprocessors'


def _parse(package: TensorRT, log: TensorRTLog, network: Any, graph: onnx.ModelProto, model: Path) -> None:
    parser = package.module.OnnxParser(network, log.logger)
    operators = sorted({node.op_type for node in graph.graph.node})
    if unsupported := [operator for operator in operators if not parser.supports_operator(operator)]:
        raise UnsupportedOperatorError(
            f'{model}: {package} does not support the operators {", ".join(unsupported)}; choose another backend'
        )
    log.clear()
    if not parser.parse(graph.SerializeToString()):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        reasons = '; '.join(f'{error.node_name()} ({error.node_operator()}): {error.desc()}' for error in errors)
        raise EngineBuildError(f'{model}: {package} cannot parse it: {reasons or log.text()}; choose another backend')


def _profile(builder: Any, card: Card) -> Any:
    """One item is the common case: the kernels are chosen for it."""
    profile = builder.create_optimization_profile()
    for spec in card.inputs:
        profile.set_shape(spec.name, spec.sized(1), spec.sized(1), spec.sized(card.largest_batch))
    return profile


def _use_timings(config: Any, timing_file: Path) -> None:
    """Kernel timings of earlier builds; those of another TensorRT or GPU are refused, and new ones are begun."""
    known = read_if_there(timing_file)
    for content in (known, b'') if known else (b'',):
        timings = config.create_timing_cache(content)
        if timings is not None and config.set_timing_cache(timings, ignore_mismatch=False):
            return


def _spec(trt: Any, tensor: Any) -> TensorSpec:
    return TensorSpec(tensor.name, tuple(tensor.shape), np.dtype(trt.nptype(tensor.dtype)).name)
