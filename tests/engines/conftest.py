# SPDX-License-Identifier: Apache-2.0
"""One exported model folder for all tests of the engines."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hoi_ros.engines import BATCH
from hoi_ros.engines import Card
from hoi_ros.engines import TensorSpec
from training.export import export_onnx

from .every_operator import EveryOperator
from .every_operator import OUTPUTS


@pytest.fixture(scope='session')
def module() -> EveryOperator:
    """The network in PyTorch, the same in every run."""
    torch.manual_seed(7)
    return EveryOperator().eval()


@pytest.fixture(scope='session')
def example() -> dict[str, NDArray]:
    """One input of the network."""
    draw = np.random.default_rng(3)
    return {
        'crop': draw.uniform(-1, 1, (1, 1, 32, 32)).astype(np.float32),
        'code': draw.normal(size=(1, 8)).astype(np.float32),
    }


@pytest.fixture(scope='session')
def model_dir(tmp_path_factory: pytest.TempPathFactory, module: EveryOperator, example: dict[str, NDArray]) -> Path:
    """The model folder; tests that damage it copy it first."""
    folder = tmp_path_factory.mktemp('models') / 'every_operator'
    export_onnx(
        module,
        {name: torch.from_numpy(array) for name, array in example.items()},
        OUTPUTS,
        folder,
        {
            'name': 'every_operator',
            'licence': 'Apache-2.0',
            'data': 'none',
            'parameters': {'cube_m': 0.25},
            'inputs': (TensorSpec('crop', (BATCH, 1, 32, 32), unit='half cubes'),),
        },
    )
    return folder


@pytest.fixture(scope='session')
def rtx_target() -> Any:
    """What TensorRT for RTX builds for without a GPU."""
    pytest.importorskip('tensorrt_rtx')
    from hoi_ros.engines.tensorrt_builder import Target

    return Target.of_capability('8.6')


@pytest.fixture(scope='session')
def rtx_cache(rtx_target: Any, model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the model's engine of the real TensorRT for RTX, in fp16; tests that write to it copy it first."""
    from hoi_ros.engines.tensorrt_builder import build_engine

    cache, card = tmp_path_factory.mktemp('cache'), Card.load(model_dir)
    assert build_engine(card, model_dir / card.model, rtx_target, 'fp16', cache, lambda line: None).now
    return cache


@pytest.fixture
def damaged(model_dir: Path, tmp_path: Path) -> Path:
    """A copy of the model folder, to be damaged."""
    return Path(shutil.copytree(model_dir, tmp_path / 'model'))
