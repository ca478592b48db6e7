# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for what this machine lacks: the package `tensorrt`, and a GPU for `tensorrt_rtx`."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from hoi_ros.engines.card import Card
from hoi_ros.engines.cuda_driver import Gpu

ORIN = Gpu(0, 'Orin', '8.7', 16)
A6000 = Gpu(0, 'RTX A6000', '8.6', 84)


def device_memory(gpu: Gpu, sizes: dict[str, int]) -> Any:
    """Downloads give the size of the buffer."""
    held: dict[str, NDArray] = {}
    calls: list[str] = []
    return SimpleNamespace(
        calls=calls,
        addresses=dict.fromkeys(sizes, 1),
        stream=1,
        make_current=lambda: calls.append('make_current'),
        synchronize=lambda: calls.append('synchronize'),
        free=lambda: calls.append('free'),
        upload=held.__setitem__,
        download=lambda name, array: array.fill(sizes[name]),
    )


class Faults:
    """What goes wrong, and what the run-time calls were given."""

    def __init__(self) -> None:
        self.address_taken = True
        self.context_made = True
        self.runs = True
        self.refused_plans = 0
        self.shapes: list[tuple[str, tuple[int, ...]]] = []
        self.kernels_seen: list[bytes] = []
        self.config: Any = None


class StandInRuntime:
    """Engines whose inputs and outputs are a card's, run by nobody."""

    def __init__(self, module: Any, logger: Any, card: Card, faults: Faults) -> None:
        self._module, self._logger, self._card, self._faults = module, logger, card, faults

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        """An engine, or None as often as `refused_plans` says."""
        faults, module = self._faults, self._module
        if faults.refused_plans:
            faults.refused_plans -= 1
            self._logger.log(module.ILogger.ERROR, 'magic tag does not match')
            return None
        specs = {spec.name: spec for spec in (*self._card.inputs, *self._card.outputs)}
        modes = dict.fromkeys([spec.name for spec in self._card.inputs], module.TensorIOMode.INPUT)
        context = SimpleNamespace(
            set_tensor_address=lambda name, address: faults.address_taken,
            set_input_shape=lambda name, shape: faults.shapes.append((name, shape)) or True,
            execute_async_v3=lambda stream: faults.runs,
        )
        kernels = SimpleNamespace(
            deserialize=lambda blob: faults.kernels_seen.append(blob) or True, serialize=lambda: b'kernels'
        )
        faults.config = config = SimpleNamespace(
            create_runtime_cache=lambda: kernels, set_runtime_cache=lambda cache: True
        )
        return SimpleNamespace(
            num_io_tensors=len(specs),
            get_tensor_name=list(specs).__getitem__,
            get_tensor_shape=lambda name: specs[name].shape,
            get_tensor_mode=lambda name: modes.get(name, module.TensorIOMode.OUTPUT),
            get_tensor_dtype=lambda name: np.float32,
            create_runtime_config=lambda: config,
            create_execution_context=lambda *config: context if faults.context_made else None,
        )


class TensorRTStandIn:
    """`tensorrt` 10 as far as it is documented: it builds nothing, and says what it was asked to build."""

    def __init__(self, card: Card) -> None:
        self.__version__ = '10.13'
        self.faults = Faults()
        self.card = card
        self.built: list[onnx.ModelProto] = []
        self.flags_cleared: list[str] = []
        self.timings_seen: list[bytes] = []
        self.timings_taken = True
        self.timings_kept = True
        self.plan: bytes | None = b'plan'
        self.profiles: list[tuple[Any, ...]] = []
        self.ILogger = type('ILogger', (), {'ERROR': 1, 'INTERNAL_ERROR': 0, '__init__': lambda self: None})
        self.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
        self.BuilderFlag = SimpleNamespace(TF32='TF32')
        self.TensorIOMode = SimpleNamespace(INPUT='in', OUTPUT='out')

    def nptype(self, dtype: Any) -> Any:
        """The dtype that a tensor has is NumPy's already."""
        return dtype

    def Runtime(self, logger: Any) -> Any:
        """See `StandInRuntime`."""
        return StandInRuntime(self, logger, self.card, self.faults)

    def Builder(self, logger: Any) -> Any:
        """Records what it builds."""
        config = SimpleNamespace(
            clear_flag=self.flags_cleared.append,
            add_optimization_profile=lambda profile: 0,
            create_timing_cache=self._timing_cache,
            set_timing_cache=lambda cache, ignore_mismatch: self.timings_taken,
            get_timing_cache=lambda: SimpleNamespace(serialize=lambda: b't') if self.timings_kept else None,
        )
        return SimpleNamespace(
            create_network=lambda flags: SimpleNamespace(flags=flags),
            create_builder_config=lambda: config,
            create_optimization_profile=lambda: SimpleNamespace(set_shape=lambda *shape: self.profiles.append(shape)),
            build_serialized_network=lambda network, config: self._build(logger, network),
        )

    def _timing_cache(self, known: bytes) -> Any:
        self.timings_seen.append(known)
        return SimpleNamespace() if self.timings_taken else None

    def _build(self, logger: Any, network: Any) -> bytes | None:
        assert network.flags == 2
        if self.plan is None:
            logger.log(self.ILogger.ERROR, 'out of memory')
        self.built.append(network.graph)
        return self.plan

    def OnnxParser(self, network: Any, logger: Any) -> Any:
        """Puts the graph on the network."""

        def parse(model: bytes) -> bool:
            network.graph = graph = onnx.load_from_string(model)
            network.num_inputs, network.num_outputs = len(graph.graph.input), len(graph.graph.output)
            network.get_input = lambda index: self._tensor(graph.graph.input[index])
            network.get_output = lambda index: self._tensor(graph.graph.output[index])
            return True

        return SimpleNamespace(parse=parse, num_errors=0, supports_operator=lambda operator: True)

    def _tensor(self, value: onnx.ValueInfoProto) -> Any:
        shape = [axis.dim_value or -1 for axis in value.type.tensor_type.shape.dim]
        return SimpleNamespace(name=value.name, shape=shape, dtype=np.float32)


class RtxWithoutGpu:
    """The real `tensorrt_rtx`, whose engines are loaded by a stand-in: its own `Runtime` needs a GPU for that."""

    def __init__(self, module: Any, card: Card) -> None:
        self._module, self._card = module, card
        self.faults = Faults()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def nptype(self, dtype: Any) -> Any:
        """The stand-in's dtype is NumPy's already."""
        return self._module.nptype(dtype) if isinstance(dtype, self._module.DataType) else dtype

    def Runtime(self, logger: Any) -> Any:
        """See `StandInRuntime`."""
        return StandInRuntime(self, logger, self._card, self.faults)
