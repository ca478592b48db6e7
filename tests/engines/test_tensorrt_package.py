# SPDX-License-Identifier: Apache-2.0
"""Which of the two packages is taken, and whether it starts."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from hoi_ros.engines import MissingBackendError
from hoi_ros.engines import tensorrt_package
from hoi_ros.engines.tensorrt_package import load_tensorrt
from hoi_ros.engines.tensorrt_package import TensorRT
from hoi_ros.engines.tensorrt_package import TensorRTLog

from .tensorrt_stand_in import TensorRTStandIn


@pytest.fixture
def ten() -> TensorRTStandIn:
    return TensorRTStandIn(None)


def install(monkeypatch: pytest.MonkeyPatch, **modules: Any) -> None:
    """Makes these two packages, and no others, the installed ones."""
    monkeypatch.setattr(tensorrt_package, 'find_spec', lambda name: modules.get(name))
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module if module != 'broken' else None)


RTX = SimpleNamespace(
    __version__='1.7',
    ComputeCapability=SimpleNamespace(__members__=dict.fromkeys(('NONE', 'CURRENT', 'SM75', 'SM120'))),
)


def test_the_capabilities_of_rtx_are_read_from_the_package() -> None:
    assert TensorRT('tensorrt_rtx', RTX).capabilities == ('7.5', '12.0')
    assert TensorRT('tensorrt', RTX).capabilities is None


def test_the_installed_rtx_builds_for_the_gpus_that_it_documents() -> None:
    package = TensorRT('tensorrt_rtx', pytest.importorskip('tensorrt_rtx'))
    assert all(package.supports(capability) for capability in ('7.5', '8.6', '8.9', '12.0'))
    assert not any(package.supports(capability) for capability in ('8.7', '9.0', '11.0'))


def test_tensorrt_is_preferred(monkeypatch: pytest.MonkeyPatch, ten: TensorRTStandIn) -> None:
    install(monkeypatch, tensorrt_rtx=RTX, tensorrt=ten)
    assert str(load_tensorrt('7.5')) == 'tensorrt 10.13'
    assert str(load_tensorrt('7.5', 'tensorrt_rtx')) == 'tensorrt_rtx 1.7'


def test_rtx_is_taken_where_it_alone_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tensorrt_rtx=RTX)
    assert load_tensorrt('12.0').rtx
    with pytest.raises(
        MissingBackendError, match=r'tensorrt_rtx 1.7 builds for .* 7.5, 12.0, not for 9.0: .*need tensorrt'
    ):
        load_tensorrt('9.0')


def test_tensorrt_no_longer_supports_the_oldest_gpus(monkeypatch: pytest.MonkeyPatch, ten: TensorRTStandIn) -> None:
    install(monkeypatch, tensorrt=ten)
    assert not load_tensorrt('8.7').rtx
    with pytest.raises(MissingBackendError, match='tensorrt 10.13 builds for .* 7.5 and above, not for 7.0$'):
        load_tensorrt('7.0')


def test_a_package_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tensorrt='broken')
    with pytest.raises(MissingBackendError, match='tensorrt does not load .*that fits the CUDA driver'):
        load_tensorrt('8.7')


def test_without_either_package_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.raises(MissingBackendError, match='pip install tensorrt or tensorrt-rtx-cu13'):
        load_tensorrt()


@pytest.mark.parametrize('start', ['start_runtime', 'start_builder'])
def test_a_driver_that_is_too_old_is_named_before_it_is_used(
    monkeypatch: pytest.MonkeyPatch, ten: TensorRTStandIn, start: str
) -> None:
    monkeypatch.setattr(tensorrt_package, 'driver_version', lambda: (12, 4))
    monkeypatch.setattr(tensorrt_package.metadata, 'version', lambda name: {'tensorrt-cu13': '11.4'}[name])
    monkeypatch.setattr(tensorrt_package.metadata, 'PackageNotFoundError', KeyError)
    for kind in ('Runtime', 'Builder'):
        monkeypatch.setattr(ten, kind, lambda logger: pytest.fail('it was started'))
    with pytest.raises(
        MissingBackendError,
        match=r'needs a driver for CUDA 13, .* supports CUDA 12.4: update the driver, or `pip uninstall tensorrt '
        r'tensorrt-cu13` and `pip install tensorrt-cu12`',
    ):
        getattr(TensorRT('tensorrt', ten), start)(TensorRTLog(ten))


@pytest.mark.parametrize('kind', ['Runtime', 'Builder'])
@pytest.mark.parametrize('returned', [True, False])
def test_a_runtime_or_builder_that_complains_is_not_used(
    monkeypatch: pytest.MonkeyPatch, ten: TensorRTStandIn, returned: bool, kind: str
) -> None:
    """TensorRT 11 returns an object that crashes the process; TensorRT 10 raises."""

    def refuse(logger: Any) -> Any:
        logger.log(ten.ILogger.ERROR, 'CUDA initialization failure with error: 35')
        if not returned:
            raise TypeError('factory function returned nullptr')
        return SimpleNamespace()

    monkeypatch.setattr(tensorrt_package, 'driver_version', lambda: (12, 4))
    monkeypatch.setattr(ten, kind, refuse)
    log = TensorRTLog(ten)
    log.logger.log(ten.ILogger.ERROR, 'of an earlier operation')
    start = getattr(TensorRT('tensorrt', ten), f'start_{kind.lower()}')
    with pytest.raises(MissingBackendError) as raised:
        start(log)
    assert 'does not start (the driver supports CUDA 12.4): CUDA initialization failure' in str(raised.value)
    assert 'earlier' not in str(raised.value)


def test_the_log_holds_the_errors_of_one_operation(ten: TensorRTStandIn) -> None:
    log = TensorRTLog(ten)
    assert log.text() == 'it gave no reason'
    for severity, message in ((1, 'first'), (2, 'a warning'), (0, 'second'), (1, 'first')):
        log.logger.log(severity, message)
    assert log.text() == 'first; second'
    log.clear()
    assert not log.errors


def test_the_log_is_a_logger_of_the_real_package() -> None:
    trt = pytest.importorskip('tensorrt_rtx')
    log = TensorRTLog(trt)
    assert isinstance(log.logger, trt.ILogger)
    trt.Builder(log.logger)
    assert not log.errors
