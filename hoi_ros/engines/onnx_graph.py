# SPDX-License-Identifier: Apache-2.0
"""Reads ONNX files and rewrites their arithmetic in float16."""

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from onnx import TensorProto

from hoi_ros.engines.card import TensorSpec
from hoi_ros.engines.errors import ModelFileError

FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16}

HALF_OPERATORS = {'Conv', 'ConvTranspose', 'Gemm', 'MatMul'}
"""Operators that take most of the time and are safe in float16: they sum in float32."""

SINGLE_OPERATORS = {
    *('AveragePool', 'BatchNormalization', 'Div', 'Einsum', 'Erf', 'Exp', 'GlobalAveragePool'),
    *('InstanceNormalization', 'LayerNormalization', 'Log', 'LogSoftmax', 'Pow', 'Reciprocal'),
    *('ReduceL2', 'ReduceMean', 'ReduceSum', 'Softmax', 'Softplus', 'Sqrt'),
}
"""Operators that overflow in float16 or lose small differences; every other operator follows its inputs."""

TYPED_BY_FIRST_INPUT = {'Resize'}
"""Operators whose further floating inputs are always float32."""


def read_onnx(path: Path) -> onnx.ModelProto:
    """Parses an ONNX file and turns float16 weights behind Cast nodes into float32 weights.

    Raises:
        ModelFileError: the file is truncated or not an ONNX model.
    """
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise ModelFileError(
            f'{path} is damaged or not an ONNX model; restore it, or export it again: {error}'
        ) from error
    return fold_weight_casts(model)


def tensor_specs(values: list[onnx.ValueInfoProto]) -> list[TensorSpec]:
    """Name, shape (`BATCH`, -1, where dynamic) and dtype of graph inputs or outputs."""
    specs = []
    for value in values:
        tensor = value.type.tensor_type
        shape = tuple(axis.dim_value if axis.HasField('dim_value') else -1 for axis in tensor.shape.dim)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        specs.append(TensorSpec(value.name, shape, dtype.name))
    return specs


def fold_weight_casts(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replaces each Cast of an initializer by the cast initializer."""
    graph = model.graph
    weights = {item.name: item for item in graph.initializer}
    folded = [node for node in graph.node if node.op_type == 'Cast' and node.input[0] in weights]
    for node in folded:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(node.attribute[0].i)
        array = numpy_helper.to_array(weights[node.input[0]]).astype(dtype)
        graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
        graph.node.remove(node)
    _drop_unused_initializers(graph)
    return model


def half_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose convolutions and matrix products, and what lies between them, compute in float16.

    Inputs and outputs stay float32. TensorRT 11 takes its precision from the graph alone.
    """
    typed = onnx.shape_inference.infer_shapes(model)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    constants = {item.name: item for item in graph.initializer}
    element = {item.name: item.data_type for item in graph.initializer}
    for value in (*typed.graph.input, *typed.graph.value_info, *typed.graph.output):
        element[value.name] = value.type.tensor_type.elem_type
    outputs = {value.name for value in graph.output}
    nodes: list[onnx.NodeProto] = []
    made: dict[tuple[str, int], str] = {}

    def cast(name: str, to: int) -> str:
        if element[name] == to:
            return name
        if (name, to) not in made:
            made[name, to] = renamed = f'{name}_{TensorProto.DataType.Name(to).lower()}'
            if name in constants:
                dtype = onnx.helper.tensor_dtype_to_np_dtype(to)
                array = numpy_helper.to_array(constants[name]).astype(dtype)
                graph.initializer.append(numpy_helper.from_array(array, renamed))
            else:
                nodes.append(onnx.helper.make_node('Cast', [name], [renamed], to=to, name=f'{renamed}_cast'))
        return made[name, to]

    for node in graph.node:
        typed_inputs = node.input[:1] if node.op_type in TYPED_BY_FIRST_INPUT else node.input
        floating = [name for name in typed_inputs if name and element.get(name) in FLOATS]
        if floating and node.op_type != 'Cast':
            computed = {element[name] for name in floating if name not in constants}
            half = node.op_type in HALF_OPERATORS or (
                node.op_type not in SINGLE_OPERATORS and computed == {TensorProto.FLOAT16}
            )
            to = TensorProto.FLOAT16 if half else TensorProto.FLOAT
            renamed = {name: cast(name, to) for name in floating}
            for index, name in enumerate(node.input[: len(typed_inputs)]):
                node.input[index] = renamed.get(name, name)
            if half:
                element |= {name: to for name in node.output if element.get(name) == TensorProto.FLOAT}
        nodes.append(node)
        for index, name in enumerate(node.output):
            if name in outputs and element.get(name) == TensorProto.FLOAT16:
                node.output[index] = f'{name}_inner'
                nodes.append(onnx.helper.make_node('Cast', [f'{name}_inner'], [name], to=TensorProto.FLOAT))
                element |= {name: TensorProto.FLOAT}
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    _drop_unused_initializers(graph)
    return result


def _drop_unused_initializers(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [item for item in graph.initializer if item.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
