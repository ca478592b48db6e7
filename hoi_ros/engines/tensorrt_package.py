# SPDX-License-Identifier: Apache-2.0
"""The two packages of TensorRT: `tensorrt` (10 and 11) and `tensorrt_rtx` (1.7), behind one interface.

`tensorrt` builds for the GPU that is here. `tensorrt_rtx` builds for a compute capability, on a machine with or without
a GPU; the GPU's kernels are compiled when the engine runs and are kept in a run-time cache.
"""

from dataclasses import dataclass
from importlib import import_module
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from hoi_ros.engines.cuda_driver import driver_version
from hoi_ros.engines.errors import MissingBackendError

PIP_NAMES = {'tensorrt': 'tensorrt', 'tensorrt_rtx': 'tensorrt-rtx-cu13'}
"""The packages in order of preference, with the names that pip knows them by. For another CUDA they end in -cu12."""
_CUDA_MAJORS = (12, 13)
_LEAST_CAPABILITY = 7.5
"""Of the GPUs that `tensorrt` supports since 10.5."""
_LOGGERS: list[Any] = []
"""TensorRT keeps the address of a logger for longer than the object that it was given to."""


class UnsupportedGpuError(MissingBackendError):
    """No package that is installed builds for the compute capability."""


class TensorRTLog:
    """The errors that TensorRT reports.

    Attributes:
        logger: the `ILogger` to hand to TensorRT.
        errors: the messages since the last `clear`, which belongs before each operation.
    """

    def __init__(self, module: Any) -> None:
        self.errors: list[str] = []
        severe = (module.ILogger.INTERNAL_ERROR, module.ILogger.ERROR)

        def log(logger: Any, severity: Any, message: str) -> None:
            if severity in severe:
                self.errors.append(message)

        methods = {'__init__': lambda logger: module.ILogger.__init__(logger), 'log': log}
        self.logger = type('Logger', (module.ILogger,), methods)()
        _LOGGERS.append(self.logger)

    def clear(self) -> None:
        """Forgets the errors of earlier operations."""
        self.errors.clear()

    def text(self) -> str:
        """The errors since `clear`, each once."""
        return '; '.join(dict.fromkeys(self.errors)) or 'it gave no reason'


@dataclass(frozen=True)
class TensorRT:
    """One of the two packages, imported."""

    name: str
    module: Any

    @property
    def version(self) -> str:
        """Such as "10.13.3.9"."""
        return str(self.module.__version__)

    @property
    def edition(self) -> str:
        """The version, and the CUDA that it was built for where pip knows: packages of one version differ in it."""
        cuda = _cuda_major(self.name)
        return f'{self.version}-cu{cuda}' if cuda else self.version

    @property
    def rtx(self) -> bool:
        """Whether it is TensorRT for RTX."""
        return self.name == 'tensorrt_rtx'

    @property
    def capabilities(self) -> tuple[str, ...] | None:
        """Compute capabilities that TensorRT for RTX builds for, such as "8.6"; None: any from 7.5 on."""
        if not self.rtx:
            return None
        numbers = [name.removeprefix('SM') for name in self.module.ComputeCapability.__members__]
        return tuple(f'{number[:-1]}.{number[-1]}' for number in numbers if number.isdecimal())

    def supports(self, capability: str) -> bool:
        """Whether its engines run on GPUs of a compute capability."""
        if self.capabilities is None:
            return float(capability) >= _LEAST_CAPABILITY
        return capability in self.capabilities

    def __str__(self) -> str:
        return f'{self.name} {self.version}'

    def start_runtime(self, log: TensorRTLog) -> Any:
        """The `Runtime` that loads engines.

        Raises:
            MissingBackendError: the driver is missing or too old for this package. TensorRT 11 then returns an object
                all the same, whose first use crashes the process; only the log shows it.
        """
        self.require_driver()
        return self._start(self.module.Runtime, log)

    def start_builder(self, log: TensorRTLog) -> Any:
        """The `Builder` of engines.

        Raises:
            MissingBackendError: as `start_runtime`; TensorRT for RTX builds without a driver.
        """
        if not self.rtx:
            self.require_driver()
        return self._start(self.module.Builder, log)

    def require_driver(self) -> None:
        """Compares pip's package with the driver, if there is one.

        Raises:
            MissingBackendError: the driver is too old for the package.
        """
        needed, driver = _cuda_major(self.name), driver_version()
        if needed and driver and driver[0] < needed:
            raise MissingBackendError(
                f'{self} needs a driver for CUDA {needed}, the one that is installed supports CUDA '
                f'{driver[0]}.{driver[1]}: update the driver, or {self._other(driver)}'
            )

    def _start(self, kind: Any, log: TensorRTLog) -> Any:
        log.clear()
        try:
            started = kind(log.logger)
        except TypeError:
            started = None
        if started is None or log.errors:
            driver = driver_version()
            supported = f'the driver supports CUDA {driver[0]}.{driver[1]}' if driver else 'there is no driver'
            raise MissingBackendError(f'{self} does not start ({supported}): {log.text()}; {self._other(driver)}')
        return started

    def _other(self, driver: tuple[int, int] | None) -> str:
        """How to come by the package that fits a driver."""
        name, mine = self.name.replace('_', '-'), _cuda_major(self.name)
        if driver is None or mine is None or driver[0] == mine:
            return f'install the {PIP_NAMES[self.name]} that fits the driver'
        return f'`pip uninstall {name} {name}-cu{mine}` and `pip install {name}-cu{driver[0]}`'


def installed() -> list[str]:
    """Names of the packages that are installed, in order of preference."""
    return [name for name in PIP_NAMES if find_spec(name) is not None]


def load_tensorrt(capability: str | None = None, name: str | None = None) -> TensorRT:
    """Imports the first installed package that supports a compute capability, any where none is given.

    Args:
        capability: such as "8.6".
        name: only this package.

    Raises:
        UnsupportedGpuError: no installed package supports the compute capability.
        MissingBackendError: no package is installed, or one does not load.
    """
    names = installed() if name is None else [name]
    if not names:
        raise MissingBackendError(f'no TensorRT is installed: pip install {" or ".join(PIP_NAMES.values())}')
    refusals = []
    for candidate in names:
        try:
            package = TensorRT(candidate, import_module(candidate))
        except (ImportError, OSError) as error:
            raise MissingBackendError(
                f'{candidate} does not load ({error}): install the {PIP_NAMES[candidate]} that fits the CUDA driver'
            ) from error
        if capability is None or package.supports(capability):
            return package
        built = ', '.join(package.capabilities or (f'{_LEAST_CAPABILITY} and above',))
        refusals.append(f'{package} builds for the compute capabilities {built}, not for {capability}')
    need = '' if 'tensorrt' in names else f': GPUs of other capabilities need {PIP_NAMES["tensorrt"]}'
    raise UnsupportedGpuError('; '.join(refusals) + need)


def _cuda_major(package: str) -> int | None:
    """The CUDA that pip's package was built for; None where it did not come from pip."""
    for major in _CUDA_MAJORS:
        try:
            metadata.version(f'{package}-cu{major}')
        except metadata.PackageNotFoundError:
            continue
        return major
    return None
