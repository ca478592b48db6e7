# SPDX-License-Identifier: Apache-2.0
"""Frees the batch of an ONNX graph that was traced with one item."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

BATCH = 'batch'
"""Name of the symbolic dimension."""
_BATCH_SIZE = 'batch_size'
"""Name of the tensor (1,) that holds the number of items; a graph has it where a constant is repeated for each."""


def make_batch_symbolic(model: onnx.ModelProto) -> None:
    """Makes the first dimension of every input and output symbolic, in place.

    The graph has to keep the items along the first axis of every tensor, alone (B, ...) or folded into it (B·K, ...).
    Everything else stays static. Four kinds of nodes hold the traced batch of one and are mended: `Reshape` to a
    constant shape, `Resize` to constant sizes, `Concat` with a constant and `GatherElements` at constant indices.
    """
    graph = model.graph
    shapes = _static_shapes(model)
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    repeated: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == 'Reshape' and node.input[1] in constants:
            node.input[1] = _add_constant(graph, f'{node.name}_shape', _free_shape(node, shapes))
        elif node.op_type == 'Resize' and len(node.input) == 4:
            source, target = shapes[node.input[0]], shapes[node.output[0]]
            scales = np.array([1, *(to / of for of, to in zip(source[1:], target[1:], strict=True))], np.float32)
            del node.input[3]
            node.input[2] = _add_constant(graph, f'{node.name}_scales', scales)
        elif node.op_type in ('Concat', 'GatherElements'):
            for index, name in enumerate(node.input):
                if name in constants and any(other not in constants for other in node.input):
                    if name not in repeated:
                        repeated[name] = f'{name}_repeated'
                        nodes += _repeat(graph, name, constants[name].shape, repeated[name])
                    node.input[index] = repeated[name]
        nodes.append(node)
    used = {name for node in nodes for name in node.input}
    if _BATCH_SIZE in used:
        first = graph.input[0].name
        nodes.insert(0, onnx.helper.make_node('Shape', [first], [_BATCH_SIZE], start=0, end=1, name=_BATCH_SIZE))
    kept = [item for item in graph.initializer if item.name in used]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    onnx.checker.check_model(model)


def _static_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors as they were traced."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    return {
        value.name: tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }


def _free_shape(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> NDArray:
    """The target of a Reshape: 0 takes the input's first dimension over, -1 folds the items in or out of it."""
    source, target = shapes[node.input[0]], shapes[node.output[0]]
    return np.array([0 if source[0] == target[0] else -1, *target[1:]], np.int64)


def _repeat(graph: onnx.GraphProto, constant: str, shape: tuple[int, ...], name: str) -> list[onnx.NodeProto]:
    """Nodes that repeat a constant (1, ...) for every item."""
    inner = _add_constant(graph, f'{name}_shape', np.array(shape[1:], np.int64))
    return [
        onnx.helper.make_node('Concat', [_BATCH_SIZE, inner], [f'{name}_size'], axis=0, name=f'{name}_size'),
        onnx.helper.make_node('Expand', [constant, f'{name}_size'], [name], name=name),
    ]


def _add_constant(graph: onnx.GraphProto, name: str, array: NDArray) -> str:
    graph.initializer.append(numpy_helper.from_array(array, name))
    return name
