# SPDX-License-Identifier: Apache-2.0
"""Single operators, used in ways that the exported networks may use them, against ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from onnx import numpy_helper
from onnx import TensorProto

from hoi_ros.engines import UnsupportedOperatorError
from hoi_ros.engines.onnx_to_torch import OnnxNetwork

IMAGE = (1, 4, 6, 8)
DRAW = np.random.default_rng(0)
WEIGHT = DRAW.normal(size=(4, 4, 3, 3)).astype(np.float32)


def one_node(
    operator: str, shape: tuple[int, ...], constants: dict[str, Any], attributes: dict[str, Any], outputs: int = 1
) -> onnx.ModelProto:
    """A model of one node; a constant of None is an input left out."""
    initializers = [
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items() if value is not None
    ]
    names = [f'y{index}' for index in range(outputs)]
    inputs = ['x', *('' if value is None else name for name, value in constants.items())]
    node = helper.make_node(operator, inputs, names, **attributes)
    graph = helper.make_graph(
        [node],
        'one',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, shape)],
        [onnx.ValueInfoProto(name=name) for name in names],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)


@pytest.mark.parametrize(
    ('operator', 'shape', 'constants', 'attributes'),
    [
        ('Conv', IMAGE, {'w': WEIGHT}, {'pads': [0, 1, 2, 1], 'strides': [2, 1]}),
        ('Conv', (1, 4, 9), {'w': WEIGHT[..., 0], 'b': WEIGHT[:, 0, 0, 0]}, {'dilations': [2]}),
        ('ConvTranspose', IMAGE, {'w': WEIGHT}, {'pads': [1] * 4, 'strides': [2, 2], 'output_padding': [1, 1]}),
        ('MaxPool', IMAGE, {}, {'kernel_shape': [3, 3], 'pads': [0, 0, 1, 1], 'strides': [2, 2]}),
        ('MaxPool', IMAGE, {}, {'kernel_shape': [3, 3], 'strides': [2, 2], 'ceil_mode': 1}),
        ('AveragePool', IMAGE, {}, {'kernel_shape': [2, 2], 'pads': [1, 1, 1, 1], 'count_include_pad': 1}),
        (
            'Resize',
            IMAGE,
            {'roi': None, 's': np.float32([1, 1, 2, 2])},
            {'mode': 'nearest', 'coordinate_transformation_mode': 'asymmetric', 'nearest_mode': 'floor'},
        ),
        (
            'Resize',
            IMAGE,
            {'roi': None, 's': None, 'n': np.int64([1, 4, 9, 5])},
            {'mode': 'linear', 'coordinate_transformation_mode': 'align_corners'},
        ),
        (
            'Resize',
            IMAGE,
            {'roi': None, 's': np.float32([1, 1, 2, 2])},
            {'mode': 'cubic', 'coordinate_transformation_mode': 'half_pixel'},
        ),
        ('Pad', IMAGE, {'p': np.int64([0, 0, 1, 2, 0, 0, 3, 0]), 'v': np.float32(5)}, {}),
        ('Pad', IMAGE, {'p': np.int64([0, 0, 1, 2, 0, 0, 3, 0])}, {'mode': 'edge'}),
        ('Slice', IMAGE, {'s': [-1], 'e': [-9999], 'a': [3], 't': [-1]}, {}),
        ('Slice', IMAGE, {'s': [1, -4], 'e': [5, 2**31], 'a': [-2, 3], 't': [2, 1]}, {}),
        ('Gather', IMAGE, {'i': np.int64([[0, -1], [2, 1]])}, {'axis': 1}),
        ('Reshape', IMAGE, {'s': np.int64([0, 2, -1, 8])}, {}),
        ('Expand', (1, 4, 1), {'s': np.int64([3, 1, 5])}, {}),
        ('Flatten', IMAGE, {}, {'axis': 2}),
        ('Gemm', (3, 4), {'w': WEIGHT[0, :, :, 0], 'c': np.float32([1, 2, 3])}, {'alpha': 0.5, 'beta': 2.0}),
        ('Gemm', (4, 3), {'w': WEIGHT[0, :, :, 0]}, {'transA': 1, 'transB': 0}),
        ('Clip', IMAGE, {'low': np.float32(-0.3), 'high': None}, {}),
        ('ReduceMean', IMAGE, {}, {'axes': [1, -1], 'keepdims': 0}),
        ('ReduceSum', IMAGE, {}, {}),
        ('ReduceL2', IMAGE, {}, {'axes': [2]}),
        ('Squeeze', (1, 4, 1), {'a': np.int64([-1])}, {}),
        ('Unsqueeze', (4, 5), {'a': np.int64([-1, 0])}, {}),
        ('Max', IMAGE, {'a': np.float32(0), 'b': np.float32([[0.5]])}, {}),
        ('Cast', IMAGE, {}, {'to': TensorProto.INT32}),
        ('ArgMax', IMAGE, {}, {'axis': 1, 'keepdims': 0}),
        ('LogSoftmax', IMAGE, {}, {'axis': 1}),
    ],
)
def test_an_operator(
    operator: str, shape: tuple[int, ...], constants: dict[str, Any], attributes: dict[str, Any]
) -> None:
    model = one_node(operator, shape, constants, attributes)
    x = DRAW.normal(size=shape).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
    (wanted,) = session.run(None, {'x': x})
    (found,) = OnnxNetwork(model, Path('one.onnx'), torch.device('cpu'))([torch.from_numpy(x)])
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ('operator', 'constants', 'attributes', 'message'),
    [
        ('Det', {}, {}, r'\(Det\): Det is not in the operator table.*choose another backend'),
        (
            'Resize',
            {'roi': None, 's': np.float32([1, 1, 2, 2])},
            {'mode': 'nearest', 'coordinate_transformation_mode': 'tf_crop_and_resize'},
            r'\(Resize\): mode near',
        ),
        ('Conv', {'w': WEIGHT}, {'auto_pad': 'SAME_UPPER'}, r'\(Conv\): auto_pad is SAME_UPPER'),
        ('Softmax', {}, {'novelty': 1}, r'\(Softmax\): .*novelty'),
    ],
)
def test_what_it_cannot_run_is_named(
    operator: str, constants: dict[str, Any], attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnsupportedOperatorError, match=f'one.onnx: PyTorch cannot run the node y0 {message}'):
        OnnxNetwork(one_node(operator, IMAGE, constants, attributes), Path('one.onnx'), torch.device('cpu'))(
            [torch.zeros(IMAGE)]
        )


def test_a_computed_shape_is_refused() -> None:
    model = one_node('Reshape', IMAGE, {}, {})
    model.graph.node[0].input.append('x')
    with pytest.raises(UnsupportedOperatorError, match=r'\(Reshape\): its input x is computed.*static'):
        OnnxNetwork(model, Path('one.onnx'), torch.device('cpu'))
