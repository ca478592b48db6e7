# SPDX-License-Identifier: Apache-2.0
"""Networks for programs that run them a few times and end."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hoi_ros.engines import load_engine
from hoi_ros.engines import loading
from hoi_ros.engines.cuda_driver import Gpu
from hoi_ros.engines.loading import quick_start


def test_what_starts_fastest_is_preferred_to_what_runs_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading.cuda_driver, 'first_gpu', lambda: Gpu(0, 'GPU', '8.6', 28))
    monkeypatch.setattr(loading.tensorrt_package, 'installed', lambda: ['tensorrt_rtx'])
    for packages, quickest in (
        (('onnx', 'openvino', 'onnxruntime'), 'onnxruntime'),
        (('onnx', 'openvino'), 'openvino'),
    ):
        monkeypatch.setattr(loading, 'find_spec', lambda name, packages=packages: name if name in packages else None)
        with quick_start():
            assert loading._preferred(Path('model.onnx'), print)[0] == quickest
        assert loading._preferred(Path('model.onnx'), print)[0] == 'tensorrt'


def test_a_quick_start_computes_the_same(model_dir: Path, example: dict[str, NDArray]) -> None:
    pytest.importorskip('onnxruntime')
    with quick_start():
        quick = load_engine(model_dir)
    assert quick.backend == 'onnxruntime'
    expected = load_engine(model_dir, 'onnxruntime')(**example)
    for name, output in quick(**example).items():
        np.testing.assert_allclose(output, expected[name], rtol=1e-4, atol=1e-5)
