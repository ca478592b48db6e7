# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from hoi_ros.engines.onnx_graph import half_precision
from hoi_ros.engines.onnx_graph import read_onnx

from .every_operator import largest_error
from .every_operator import reference


@pytest.fixture(scope='module')
def half(model_dir: Path) -> onnx.ModelProto:
    return half_precision(read_onnx(model_dir / 'model.onnx'))


def test_reading_folds_the_casts_of_the_weights(model_dir: Path) -> None:
    stored, read = onnx.load(model_dir / 'model.onnx'), read_onnx(model_dir / 'model.onnx')
    assert sum(node.op_type == 'Cast' for node in stored.graph.node) > 0
    assert sum(node.op_type == 'Cast' for node in read.graph.node) == 0
    assert all(item.data_type != TensorProto.FLOAT16 for item in read.graph.initializer)


def test_the_half_graph_is_valid_and_gives_the_same(
    half: onnx.ModelProto, model_dir: Path, example: dict[str, NDArray]
) -> None:
    onnx.checker.check_model(half, full_check=True)
    session = onnxruntime.InferenceSession(half.SerializeToString(), providers=['CPUExecutionProvider'])
    for output, (name, wanted) in zip(session.run(None, example), reference(model_dir, example).items(), strict=True):
        assert output.dtype == np.float32
        assert largest_error(output, wanted) <= 1e-2, name


def test_products_are_half_and_sums_are_not(half: onnx.ModelProto) -> None:
    typed = onnx.shape_inference.infer_shapes(half, strict_mode=True)
    kind = {value.name: value.type.tensor_type.elem_type for value in (*typed.graph.value_info, *typed.graph.output)}
    kinds = {
        operator: {kind[node.output[0]] for node in typed.graph.node if node.op_type == operator}
        for operator in (
            'Conv',
            'ConvTranspose',
            'MatMul',
            'MaxPool',
            'Softmax',
            'ReduceSum',
            'LayerNormalization',
        )
    }
    assert {kinds.pop(operator).pop() for operator in ('Conv', 'ConvTranspose', 'MatMul', 'MaxPool')} == {
        TensorProto.FLOAT16
    }
    assert all(found == {TensorProto.FLOAT} for found in kinds.values())
