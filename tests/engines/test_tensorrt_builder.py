# SPDX-License-Identifier: Apache-2.0
"""Engines built by the real TensorRT for RTX, for a GPU that is not here, and the cache that keeps them."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from hoi_ros.engines import Card
from hoi_ros.engines import CardError
from hoi_ros.engines import EngineBuildError
from hoi_ros.engines import UnsupportedOperatorError
from hoi_ros.engines.card import file_sha256
from hoi_ros.engines.tensorrt_builder import build_engine
from hoi_ros.engines.tensorrt_builder import Built
from hoi_ros.engines.tensorrt_builder import Target
from hoi_ros.engines.tensorrt_package import TensorRT

from .tensorrt_stand_in import ORIN
from .tensorrt_stand_in import TensorRTStandIn

Build = Callable[..., Built]


@pytest.fixture
def folder(rtx_cache: Path, tmp_path: Path) -> Path:
    """A cache with the engine of the model in fp16."""
    return Path(shutil.copytree(rtx_cache, tmp_path / 'cache'))


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def build(rtx_target: Target, model_dir: Path, folder: Path, said: list[str]) -> Build:
    def run(model: Path = model_dir, precision: str = 'fp16', target: Target = rtx_target) -> Built:
        card = Card.load(model)
        return build_engine(card, model / card.model, target, precision, folder, said.append)

    return run


def rehash(folder: Path) -> None:
    card = Card.load(folder)
    replace(card, sha256=file_sha256(folder / card.model)).save(folder)


def test_an_engine_is_built_once(build: Build, said: list[str], folder: Path) -> None:
    first, second = build(), build()
    assert not first.now and first == second and said == []
    (path,) = folder.glob('*.engine')
    assert path.read_bytes() == first.plan
    assert path.name.endswith('-sm8.6.engine') and 'tensorrt_rtx1.7' in path.name


def test_the_precision_changes_the_engine(build: Build, said: list[str]) -> None:
    half, single = build(precision='fp16'), build(precision='fp32')
    assert single.now and half.plan != single.plan
    assert 'in fp32, once, because' in said[0] and 'is not there' in said[0]
    assert not build(precision='fp32').now


def test_a_damaged_engine_is_built_again(
    build: Build, rtx_target: Target, model_dir: Path, said: list[str], folder: Path
) -> None:
    path = folder / rtx_target.key(Card.load(model_dir), 'fp16').file_name
    path.write_bytes(path.read_bytes()[:1000])
    assert build().now
    assert 'is damaged (1000 bytes' in said[0]
    assert not build().now


def test_a_model_with_the_same_name_and_other_weights_is_built(build: Build, damaged: Path, said: list[str]) -> None:
    path = damaged / 'model.onnx'
    model = onnx.load(path)
    model.producer_version = '2'
    onnx.save(model, path)
    rehash(damaged)
    assert build(damaged).now
    assert 'is not there' in said[0]


@pytest.mark.parametrize(('fact', 'value'), [('version', '1.6'), ('model_sha256', '00' * 32), ('recipe', 0)])
def test_an_engine_that_was_built_for_something_else_is_built_again(
    build: Build, rtx_target: Target, model_dir: Path, said: list[str], folder: Path, fact: str, value: str | int
) -> None:
    path = folder / rtx_target.key(Card.load(model_dir), 'fp16').file_name.replace('.engine', '.json')
    path.write_text(json.dumps(json.loads(path.read_text()) | {fact: value}))
    assert build().now
    assert f'was built for {fact} {value!r}, here it is' in said[0]


def test_another_version_of_the_package_builds_its_own(
    build: Build, rtx_target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TensorRT, 'version', property(lambda package: '1.8'))
    assert build().now
    assert not build().now


def test_an_unsupported_operator_is_named(build: Build, damaged: Path, folder: Path) -> None:
    path = damaged / 'model.onnx'
    model = onnx.load(path)
    node = next(node for node in model.graph.node if node.op_type == 'Tanh')
    node.op_type = 'Det'
    onnx.save(model, path)
    rehash(damaged)
    before = sorted(folder.iterdir())
    with pytest.raises(
        UnsupportedOperatorError, match=r'model.onnx: tensorrt_rtx 1.7.* does not support the operators Det;'
    ):
        build(damaged)
    assert sorted(folder.iterdir()) == before


def test_an_operator_with_unsupported_attributes_is_named(build: Build, damaged: Path) -> None:
    path = damaged / 'model.onnx'
    model = onnx.load(path)
    resize = next(node for node in model.graph.node if node.op_type == 'Resize')
    next(item for item in resize.attribute if item.name == 'mode').s = b'cubic'
    next(item for item in resize.attribute if item.name == 'coordinate_transformation_mode').s = b'tf_crop_and_resize'
    onnx.save(model, path)
    rehash(damaged)
    with pytest.raises(EngineBuildError, match=rf'cannot parse it: {resize.name} \(Resize\): '):
        build(damaged)


def test_a_card_of_other_outputs_is_refused_before_anything_is_built(build: Build, damaged: Path) -> None:
    card = Card.load(damaged)
    replace(card, outputs=card.outputs[:1], name='other').save(damaged)
    with pytest.raises(CardError, match='the network has the outputs'):
        build(damaged)


def test_engines_of_rtx_belong_to_a_capability_and_others_to_a_gpu(rtx_target: Target, model_dir: Path) -> None:
    card = Card.load(model_dir)
    ours = rtx_target.key(card, 'fp16')
    assert (ours.gpu, ours.compute_capability, str(rtx_target)) == ('any', '8.6', 'compute capability 8.6')
    orin = Target(TensorRT('tensorrt', TensorRTStandIn(card)), ORIN.compute_capability, ORIN.name)
    assert orin.key(card, 'fp16').file_name.endswith('-fp16-tensorrt10.13-Orin.engine')
    assert ours.kernels_file_name == ours.file_name.replace('.engine', '.kernels')


# What the package `tensorrt` does differently, with a stand-in.


@pytest.fixture
def ten(model_dir: Path) -> TensorRTStandIn:
    return TensorRTStandIn(Card.load(model_dir))


@pytest.fixture
def build_for_orin(ten: TensorRTStandIn, model_dir: Path, tmp_path: Path) -> Build:
    target = Target(TensorRT('tensorrt', ten), ORIN.compute_capability, ORIN.name)

    def run(precision: str = 'fp16') -> Built:
        return build_engine(ten.card, model_dir / ten.card.model, target, precision, tmp_path, lambda line: None)

    return run


def test_kernel_timings_are_kept_and_used_again(build_for_orin: Build, ten: TensorRTStandIn, tmp_path: Path) -> None:
    build_for_orin('fp16')
    build_for_orin('fp32')
    assert ten.timings_seen == [b'', b't']
    assert [path.name for path in tmp_path.glob('timing*')] == ['timing-tensorrt10.13-Orin.cache']


def test_timings_that_are_refused_are_begun_anew(build_for_orin: Build, ten: TensorRTStandIn, tmp_path: Path) -> None:
    (tmp_path / 'timing-tensorrt10.13-Orin.cache').write_bytes(b'of another TensorRT')
    ten.timings_taken = False
    assert build_for_orin().now
    assert ten.timings_seen == [b'of another TensorRT', b'']


def test_a_build_without_timings_is_stored_all_the_same(
    build_for_orin: Build, ten: TensorRTStandIn, tmp_path: Path
) -> None:
    ten.timings_kept = False
    assert build_for_orin().plan == b'plan'
    assert not list(tmp_path.glob('timing*'))
    assert len(list(tmp_path.glob('*.engine'))) == 1


@pytest.mark.parametrize('precision', ['fp16', 'tf32', 'fp32'])
def test_the_precision_is_in_the_graph(build_for_orin: Build, ten: TensorRTStandIn, precision: str) -> None:
    build_for_orin(precision)
    halves = [item for item in ten.built[0].graph.initializer if item.data_type == onnx.TensorProto.FLOAT16]
    assert bool(halves) == (precision == 'fp16')
    assert ten.flags_cleared == (['TF32'] if precision == 'fp32' else [])


def test_engines_take_one_to_eight_items(build_for_orin: Build, ten: TensorRTStandIn) -> None:
    build_for_orin()
    assert ten.profiles[0] == ('crop', (1, 1, 32, 32), (1, 1, 32, 32), (8, 1, 32, 32))


def test_a_failed_build_gives_the_reason_in_the_log(
    build_for_orin: Build, ten: TensorRTStandIn, tmp_path: Path
) -> None:
    ten.plan = None
    with pytest.raises(EngineBuildError, match='model.onnx: tensorrt 10.13 cannot build it for Orin: out of memory'):
        build_for_orin()
    assert not list(tmp_path.glob('*.engine'))
