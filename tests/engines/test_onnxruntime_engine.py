# SPDX-License-Identifier: Apache-2.0
"""Which device ONNX Runtime takes, and what it says of operators that it lacks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from hoi_ros.engines import Card
from hoi_ros.engines import load_engine
from hoi_ros.engines import onnxruntime_engine
from hoi_ros.engines import UnsupportedOperatorError
from hoi_ros.engines.card import file_sha256
from hoi_ros.engines.cuda_driver import Gpu

CUDA = 'CUDAExecutionProvider'


class CudaStandIn:
    """A session that runs on the CPU and says that it runs where it was asked to."""

    def __init__(self, works: bool) -> None:
        self.works = works
        self.asked: list[Any] = []

    def __call__(self, path: str, options: Any, providers: list[Any]) -> Any:
        self.asked = providers
        session = self.session(path, options, providers=['CPUExecutionProvider'])
        if self.works:
            session.get_providers = lambda: [CUDA, 'CPUExecutionProvider']
        return session

    session = staticmethod(onnxruntime.InferenceSession)


@pytest.fixture(params=[True, False], ids=['works', 'does not start'])
def cuda(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> CudaStandIn:
    stand_in = CudaStandIn(request.param)
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: [CUDA, 'CPUExecutionProvider'])
    monkeypatch.setattr(onnxruntime, 'InferenceSession', stand_in)
    monkeypatch.setattr(onnxruntime_engine, 'first_gpu', lambda: Gpu(0, 'A GPU', '8.6', 28))
    return stand_in


@pytest.mark.parametrize('precision', ['fp32', 'tf32'])
def test_a_gpu_is_taken_where_onnxruntime_gpu_is_installed(
    cuda: CudaStandIn, model_dir: Path, example: dict[str, NDArray], precision: str
) -> None:
    with load_engine(model_dir, 'onnxruntime', precision=precision) as engine:
        assert engine.device == ('A GPU' if cuda.works else 'cpu')
        assert np.isfinite(engine(**example)['heat']).all()
    assert cuda.asked == [(CUDA, {'use_tf32': str(int(precision == 'tf32'))}), 'CPUExecutionProvider']


def test_without_a_gpu_it_runs_on_the_cpu(cuda: CudaStandIn, model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime_engine, 'first_gpu', lambda: None)
    with load_engine(model_dir, 'onnxruntime') as engine:
        assert engine.device == 'cpu'
    assert cuda.asked == ['CPUExecutionProvider']


def test_an_operator_that_it_lacks_is_named(damaged: Path) -> None:
    path = damaged / 'model.onnx'
    model = onnx.load(path)
    node = next(node for node in model.graph.node if node.op_type == 'Tanh')
    index = list(model.graph.node).index(node)
    result, node.output[0] = node.output[0], 'rounded'
    narrow = onnx.helper.make_node('Cast', [node.input[0]], ['narrow'], to=onnx.TensorProto.BFLOAT16)
    node.input[0] = 'narrow'
    model.graph.node.insert(index + 1, onnx.helper.make_node('Cast', ['rounded'], [result], to=onnx.TensorProto.FLOAT))
    model.graph.node.insert(index, narrow)
    onnx.save(model, path)
    card = Card.load(damaged)
    replace(card, sha256=file_sha256(path)).save(damaged)
    with pytest.raises(UnsupportedOperatorError, match=r'model.onnx: ONNX Runtime [\d.]+ lacks an operator'):
        load_engine(damaged, 'onnxruntime')
