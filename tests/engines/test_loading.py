# SPDX-License-Identifier: Apache-2.0
"""Each way that loading can fail is one clear error."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest

from hoi_ros.engines import BATCH
from hoi_ros.engines import Card
from hoi_ros.engines import CardError
from hoi_ros.engines import EngineError
from hoi_ros.engines import HashMismatchError
from hoi_ros.engines import load_engine
from hoi_ros.engines import loading
from hoi_ros.engines import MissingBackendError
from hoi_ros.engines import ModelFileError
from hoi_ros.engines import PrecisionError
from hoi_ros.engines import tensorrt_package
from hoi_ros.engines.card import file_sha256
from hoi_ros.engines.cuda_driver import Gpu

from .every_operator import require

BACKENDS = pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])


def installed(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    for module in (loading, tensorrt_package):
        monkeypatch.setattr(module, 'find_spec', lambda name: name if name in packages else None)
    capabilities = SimpleNamespace(__members__=dict.fromkeys(('CURRENT', 'SM86')))
    for package in ('tensorrt', 'tensorrt_rtx'):
        logger = type('ILogger', (), {'ERROR': 1, 'INTERNAL_ERROR': 0})
        module = SimpleNamespace(__version__='1', ComputeCapability=capabilities, ILogger=logger)
        monkeypatch.setitem(sys.modules, package, module)


def rehash(folder: Path) -> None:
    """Makes the card agree with the file that is there."""
    card = Card.load(folder)
    replace(card, sha256=file_sha256(folder / card.model)).save(folder)


def test_auto_takes_tensorrt_then_openvino_then_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = ('onnx', 'openvino', 'onnxruntime')
    for packages, gpu, expected in (
        (('tensorrt', *everything), '8.7', 'tensorrt'),
        (('tensorrt_rtx', *everything), '8.6', 'tensorrt'),
        (('tensorrt', 'tensorrt_rtx', *everything), None, 'openvino'),
        (everything, '8.7', 'openvino'),
        (('onnx', 'onnxruntime'), '8.7', 'onnxruntime'),
    ):
        installed(monkeypatch, *packages)
        monkeypatch.setattr(loading.cuda_driver, 'first_gpu', lambda gpu=gpu: gpu and Gpu(0, 'GPU', gpu, 28))
        assert loading._preferred(Path('model.onnx'), print)[0] == expected


@pytest.mark.parametrize(
    ('gpu', 'driver', 'reason'),
    [
        ('9.0', (13, 0), 'tensorrt_rtx 1 builds for the compute capabilities 8.6, not for 9.0'),
        ('8.6', (12, 4), 'tensorrt_rtx 1 needs a driver for CUDA 13, .*pip install tensorrt-rtx-cu12'),
    ],
)
def test_auto_goes_on_without_a_tensorrt_that_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, model_dir: Path, gpu: str, driver: tuple[int, int], reason: str
) -> None:
    require('openvino')
    installed(monkeypatch, 'tensorrt_rtx', 'onnx', 'openvino')
    monkeypatch.setattr(loading.cuda_driver, 'first_gpu', lambda: Gpu(0, 'GPU', gpu, 28))
    monkeypatch.setattr('hoi_ros.engines.tensorrt_engine.first_gpu', lambda: Gpu(0, 'GPU', gpu, 28))
    monkeypatch.setattr(tensorrt_package, 'driver_version', lambda: driver)
    monkeypatch.setattr(tensorrt_package, '_cuda_major', lambda name: 13)
    said: list[str] = []
    with load_engine(model_dir, progress=said.append) as engine:
        assert engine.backend == 'openvino'
    (line,) = said
    assert re.search(f'runs with openvino, which is slower: .*{reason}', line)
    with pytest.raises(MissingBackendError, match=reason):
        load_engine(model_dir, 'tensorrt')


def test_a_driver_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, model_dir: Path) -> None:
    require('openvino')
    installed(monkeypatch, 'tensorrt_rtx', 'onnx', 'openvino')
    monkeypatch.setattr(loading.cuda_driver, 'first_gpu', lambda: None)
    said: list[str] = []
    for reason in ('there is no driver (libcuda.so.1)', 'CUDA driver: cuInit failed with CUDA_ERROR_NO_DEVICE (100)'):
        monkeypatch.setattr(loading.cuda_driver, 'why_no_gpu', lambda reason=reason: reason)
        load_engine(model_dir, progress=said.append).close()
    assert not said
    reason = 'CUDA driver: cuInit failed with CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803)'
    monkeypatch.setattr(loading.cuda_driver, 'why_no_gpu', lambda: reason)
    load_engine(model_dir, progress=said.append).close()
    assert said == [f'TensorRT is installed and is not used: {reason}']


def test_what_tensorrt_lacks_is_named_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, 'tensorrt', 'openvino')
    said: list[str] = []
    for gpu in (None, Gpu(0, 'Orin', '8.7', 28)):
        monkeypatch.setattr(loading.cuda_driver, 'first_gpu', lambda gpu=gpu: gpu)
        assert loading._preferred(Path('model.onnx'), said.append) == ('openvino',)
    assert said == ['TensorRT is installed and is not used: it needs onnx: install that with pip']


def test_auto_loads_an_installed_backend(model_dir: Path) -> None:
    with load_engine(model_dir) as engine:
        assert engine.backend in ('tensorrt', 'openvino', 'onnxruntime')
        assert [spec.name for spec in engine.inputs] == ['crop', 'code']


@pytest.mark.parametrize(
    ('backend', 'message'),
    [
        ('tensorrt', 'tensorrt needs tensorrt or tensorrt-rtx-cu13 and onnx: install what is missing with pip'),
        ('openvino', 'openvino needs openvino: install'),
        ('onnxruntime', 'onnxruntime needs onnxruntime: install'),
        ('auto', 'no backend is installed for the Python that runs this, /.*: pip install openvino'),
    ],
)
def test_a_missing_backend(monkeypatch: pytest.MonkeyPatch, model_dir: Path, backend: str, message: str) -> None:
    installed(monkeypatch)
    with pytest.raises(MissingBackendError, match=message):
        load_engine(model_dir, backend)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'backend': 'tvm'}, "backend is 'tvm', expected one of auto, tensorrt, openvino, onnxruntime"),
        ({'threads': 0}, 'threads is 0, expected at least 1'),
    ],
)
def test_a_wrong_option(model_dir: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        load_engine(model_dir, **options)


@pytest.mark.parametrize(
    ('backend', 'precision'), [('openvino', 'tf32'), ('onnxruntime', 'bf16'), ('onnxruntime', 'int8')]
)
def test_a_precision_that_the_backend_lacks(model_dir: Path, backend: str, precision: str) -> None:
    require(backend)
    with pytest.raises(PrecisionError, match=f"{backend} was asked for precision '{precision}'; it computes in"):
        load_engine(model_dir, backend, precision=precision)


def test_a_missing_model_file(damaged: Path) -> None:
    (damaged / 'model.onnx').unlink()
    with pytest.raises(ModelFileError, match=r'model\.onnx is missing.*restore it'):
        load_engine(damaged)


def test_a_truncated_model_file(damaged: Path) -> None:
    path = damaged / 'model.onnx'
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(HashMismatchError, match=r'model\.onnx .* has SHA-256 .* says .*: the file is damaged'):
        load_engine(damaged)


@BACKENDS
@pytest.mark.parametrize('content', ['truncated', 'noise', 'empty'])
def test_a_file_that_is_not_a_network_is_refused(damaged: Path, backend: str, content: str) -> None:
    require(backend)
    path = damaged / 'model.onnx'
    path.write_bytes({'truncated': path.read_bytes()[:2000], 'noise': bytes(range(256)) * 40, 'empty': b''}[content])
    rehash(damaged)
    with pytest.raises(ModelFileError, match=r'model\.onnx.*restore it'):
        load_engine(damaged, backend)


@BACKENDS
def test_a_card_of_other_shapes(damaged: Path, backend: str) -> None:
    require(backend)
    card = Card.load(damaged)
    crop, code = card.inputs
    replace(card, inputs=(replace(crop, shape=(BATCH, 1, 64, 64)), code)).save(damaged)
    with pytest.raises(
        CardError, match=r'inputs .*crop float32\[batch, 1, 32, 32\].*says .*\[batch, 1, 64, 64\].*correct the card'
    ):
        load_engine(damaged, backend)


@BACKENDS
def test_a_network_whose_images_have_any_width(damaged: Path, backend: str) -> None:
    require(backend)
    model = onnx.load(damaged / 'model.onnx')
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = 'width'
    model.graph.output[0].type.tensor_type.shape.dim[3].dim_param = 'width'
    onnx.save(model, damaged / 'model.onnx')
    rehash(damaged)
    with pytest.raises(CardError, match=r'crop float32\[batch, 1, 32, -1\]'):
        load_engine(damaged, backend)
