# SPDX-License-Identifier: Apache-2.0
"""What was traced with one item runs with any number of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch import Tensor

from hoi_ros.engines import load_engine
from hoi_ros.engines import TensorSpec
from training.export import export_onnx
from training.export import ExportError

FIELDS = {'name': 'small', 'licence': 'Apache-2.0', 'data': 'none'}


class Network(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, points: Tensor) -> Tensor:
        return self.function(points)


def with_constants(points: Tensor) -> Tensor:
    """Concatenates and gathers constants, which a trace holds for one item."""
    padded = torch.cat([torch.ones(len(points), 4, 1), points], -1)
    order = torch.tensor([2, 0, 1])[None, :, None].expand(len(points), -1, 4)
    return padded.gather(1, order) + torch.cat([torch.ones(len(points), 4, 1), points], -1)[:, 1:]


def folded(points: Tensor) -> Tensor:
    """Moves the items into the first axis beside the points, and out of it."""
    return (points.reshape(-1, 3) * torch.arange(3.0)).reshape(len(points), 4, 3)


def resized(points: Tensor) -> Tensor:
    return nn.functional.interpolate(points[:, None], size=(8, 9), mode='nearest')


def moved(points: Tensor) -> Tensor:
    """Moves the items off the first axis, which a traced reshape does not follow."""
    return points.transpose(0, 1).reshape(2, 2, 3).transpose(0, 1).reshape(1, 4, 3)


@pytest.mark.parametrize('function', [with_constants, folded, resized])
@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_items_of_a_batch_give_what_they_give_alone(
    tmp_path: Path, function: Callable[[Tensor], Tensor], backend: str
) -> None:
    points = torch.rand(5, 4, 3, generator=torch.Generator().manual_seed(0))
    wanted = function(points).numpy()
    card = export_onnx(
        Network(function), {'points': points[:1]}, [TensorSpec('result', (1, *wanted.shape[1:]))], tmp_path, FIELDS
    )
    assert card.batched
    with load_engine(tmp_path, backend) as engine:
        engine.prepare(4)
        np.testing.assert_allclose(engine(points=points.numpy())['result'], wanted, atol=1e-6)


def test_a_constant_is_repeated_once(tmp_path: Path) -> None:
    export_onnx(
        Network(with_constants), {'points': torch.rand(1, 4, 3)}, [TensorSpec('result', (1, 3, 4))], tmp_path, FIELDS
    )
    operators = [node.op_type for node in onnx.load(tmp_path / 'model.onnx').graph.node]
    assert operators.count('Shape') == 1
    assert operators.count('Expand') <= 2


def test_a_network_that_moves_its_items_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match='does not keep its items along the first axis of every tensor'):
        export_onnx(Network(moved), {'points': torch.rand(1, 4, 3)}, [TensorSpec('r', (1, 4, 3))], tmp_path, FIELDS)
    assert not list(tmp_path.iterdir())
