# SPDX-License-Identifier: Apache-2.0
import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import nn
from torch import Tensor

from hoi_ros.engines import CardError
from hoi_ros.engines import load_engine
from hoi_ros.engines import TensorSpec
from training.export import export_onnx
from training.export import ExportError

FIELDS = {
    'name': 'small',
    'licence': 'Apache-2.0',
    'data': 'none',
    'training': {'command': 'none', 'seed': 1},
}
OUTPUTS = (TensorSpec('joints', (1, 6), unit='m'),)
EXAMPLE = {'crop': torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8)}


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 6))


def test_the_exported_network_agrees_with_the_module(tmp_path: Path) -> None:
    module = small().train()
    export_onnx(module, EXAMPLE, OUTPUTS, tmp_path / 'small', FIELDS)
    assert module.training
    with load_engine(tmp_path / 'small', 'onnxruntime') as engine, torch.inference_mode():
        found = engine(crop=EXAMPLE['crop'].numpy())['joints']
        np.testing.assert_allclose(found, module.eval()(EXAMPLE['crop']), atol=2e-3)


def test_weights_are_half_and_the_rest_is_single(tmp_path: Path) -> None:
    card = export_onnx(small(), EXAMPLE, OUTPUTS, tmp_path, FIELDS)
    model = onnx.load(tmp_path / card.model)
    kinds = {len(item.dims): item.data_type for item in model.graph.initializer if item.data_type != TensorProto.INT64}
    assert kinds == {4: TensorProto.FLOAT16, 2: TensorProto.FLOAT16, 1: TensorProto.FLOAT}
    assert [node.op_type for node in model.graph.node] == ['Cast', 'Cast', 'Conv', 'Relu', 'Flatten', 'Gemm']
    assert {item.key: item.value for item in model.metadata_props} == {
        'name': 'small',
        'licence': 'Apache-2.0',
    }
    assert [(item.domain, item.version) for item in model.opset_import] == [('', 17)]


def test_small_weights_stay_single_on_request(tmp_path: Path) -> None:
    further = [{'crop': torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(seed))} for seed in range(3)]
    card = export_onnx(small(), EXAMPLE, OUTPUTS, tmp_path, FIELDS, further=further, single=36)
    model = onnx.load(tmp_path / card.model)
    kinds = {len(item.dims): item.data_type for item in model.graph.initializer if len(item.dims) > 1}
    assert kinds == {4: TensorProto.FLOAT, 2: TensorProto.FLOAT16}
    errors = [card.figures[name]['joints'] for name in ('graph_error', 'export_error')]
    assert errors[0] < 1e-6 < errors[1]
    alone = export_onnx(small(), EXAMPLE, OUTPUTS, tmp_path, FIELDS, single=36).figures['export_error']['joints']
    assert errors[1] > alone


def test_the_same_weights_give_the_same_file(tmp_path: Path) -> None:
    hashes = {export_onnx(small(), EXAMPLE, OUTPUTS, tmp_path / name, FIELDS).sha256 for name in ('a', 'b')}
    assert len(hashes) == 1


def test_an_export_of_the_same_weights_keeps_what_was_measured(tmp_path: Path) -> None:
    card = export_onnx(small(), EXAMPLE, OUTPUTS, tmp_path, FIELDS)
    measured = {'parameters': {'scale': 2.0}, 'figures': {'found': 0.9}, 'activations': {'conv': [0.0, 1.0]}}
    dataclasses.replace(card, **measured).save(tmp_path)
    again = export_onnx(small(), EXAMPLE, OUTPUTS, tmp_path, FIELDS)
    assert again.parameters == measured['parameters'] and again.activations == measured['activations']
    assert again.figures['found'] == 0.9 and again.figures.keys() > {'found'}
    other = small()
    torch.nn.init.ones_(other[0].weight)
    assert not export_onnx(other, EXAMPLE, OUTPUTS, tmp_path, FIELDS).activations


def test_outputs_of_other_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r'joints float32\[batch, 6\].*says.*joints float32\[batch, 7\]'):
        export_onnx(small(), EXAMPLE, (TensorSpec('joints', (1, 7)),), tmp_path, FIELDS)
    assert not list(tmp_path.iterdir())


def test_a_weight_beyond_half_precision_is_named(tmp_path: Path) -> None:
    module = small()
    module[4].weight.data[0, 0] = 1e5
    with pytest.raises(ExportError, match=r'the weight module.4.weight reaches 1e\+05, float16 ends at 65504'):
        export_onnx(module, EXAMPLE, OUTPUTS, tmp_path, FIELDS)


def test_rounding_that_costs_too_much_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match='float16 weights: the output joints differs from PyTorch'):
        export_onnx(small(), EXAMPLE, OUTPUTS, tmp_path, FIELDS, tolerance=1e-7)


class Branching(nn.Module):
    def forward(self, crop: Tensor) -> Tensor:
        return crop.flatten(1)[:, :6] * (2.0 if torch.onnx.is_in_onnx_export() else 1.0)


def test_a_graph_that_differs_from_the_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match='the float32 graph: the output joints differs from PyTorch by 1 '):
        export_onnx(Branching(), EXAMPLE, OUTPUTS, tmp_path, FIELDS)
