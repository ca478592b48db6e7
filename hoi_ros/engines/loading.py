# SPDX-License-Identifier: Apache-2.0
"""Picks a backend and loads a model folder with it."""

import contextlib
import contextvars
import itertools
import sys
from collections.abc import Callable
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from typing import get_args
from typing import Literal

from hoi_ros.engines import cuda_driver
from hoi_ros.engines import tensorrt_package
from hoi_ros.engines.card import Card
from hoi_ros.engines.engine import Engine
from hoi_ros.engines.engine import Precision
from hoi_ros.engines.errors import EngineError
from hoi_ros.engines.errors import MissingBackendError

Backend = Literal['auto', 'tensorrt', 'openvino', 'onnxruntime']
BACKENDS: tuple[str, ...] = get_args(Backend)
"""The backends that `load_engine` takes."""

_PACKAGES = {'tensorrt': ('onnx',), 'openvino': ('openvino',), 'onnxruntime': ('onnxruntime',)}
"""Packages that each backend imports; TensorRT needs one of its own two as well."""

_NO_DEVICE = 'CUDA_ERROR_NO_DEVICE'
"""What the driver says where CUDA_VISIBLE_DEVICES is empty."""
_starts_quickly = contextvars.ContextVar('starts_quickly', default=False)


@contextlib.contextmanager
def quick_start() -> Iterator[None]:
    """Within it, `load_engine` loads as fast as it can, for programs that run a network a few times and end.

    The backend "auto" is ONNX Runtime where it is installed, which then optimises less and plans no memory. A network
    takes as long to run and more memory.
    """
    token = _starts_quickly.set(True)
    try:
        yield
    finally:
        _starts_quickly.reset(token)


def load_engine(
    model_dir: str | Path,
    backend: Backend = 'auto',
    *,
    precision: Precision | None = None,
    threads: int | None = None,
    cache_dir: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Engine:
    """Loads the network of a model folder.

    Args:
        model_dir: folder with card.yaml and the ONNX file it names.
        backend: "auto" takes TensorRT where an NVIDIA GPU and a package that supports it are present (`tensorrt` or
            `tensorrt_rtx`), else OpenVINO, else ONNX Runtime.
        precision: None is fp16 on a GPU; on a CPU int8 where the backend and the card allow it, else fp32.
        threads: CPU threads; None leaves it to the backend.
        cache_dir: where compiled networks are kept. TensorRT always keeps them, by default in
            $XDG_CACHE_HOME/hoi_ros/engines (~/.cache); OpenVINO only when this is given.
        progress: receives the lines said during a long build; None prints them to stderr.

    Raises:
        EngineError: one subclass a cause, see `hoi_ros.engines.errors`.
    """
    if backend not in BACKENDS:
        raise EngineError(f'backend is {backend!r}, expected one of {", ".join(BACKENDS)}')
    if threads is not None and threads < 1:
        raise EngineError(f'threads is {threads}, expected at least 1')
    directory = Path(model_dir)
    card = Card.load(directory)
    model = card.verified_model(directory)
    cache, say = None if cache_dir is None else Path(cache_dir), progress or _say
    candidates = _preferred(model, say) if backend == 'auto' else (backend,)
    for chosen, following in itertools.pairwise(candidates):
        try:
            return _load(chosen, card, model, precision, threads, cache, say)
        except MissingBackendError as error:
            say(f'{model.parent.name} runs with {following}, which is slower: {error}')
    return _load(candidates[-1], card, model, precision, threads, cache, say)


def _load(
    chosen: str,
    card: Card,
    model: Path,
    precision: Precision | None,
    threads: int | None,
    cache: Path | None,
    say: Callable[[str], None],
) -> Engine:
    if missing := missing_packages(chosen):
        raise MissingBackendError(
            f'{model}: the backend {chosen} needs {" and ".join(missing)}: install what is missing with pip, '
            'or choose another backend'
        )
    engine: Engine
    if chosen == 'tensorrt':
        from hoi_ros.engines.tensorrt_engine import TensorRTEngine

        engine = TensorRTEngine(card, model, precision, cache, say)
    elif chosen == 'openvino':
        # OpenVINO runs without its usage statistics, which start a thread and call home.
        absent: Any = None
        sys.modules.setdefault('openvino_telemetry', absent)
        from hoi_ros.engines.openvino_engine import OpenVINOEngine

        engine = OpenVINOEngine(card, model, precision, threads, cache)
    else:
        from hoi_ros.engines.onnxruntime_engine import OnnxRuntimeEngine

        engine = OnnxRuntimeEngine(card, model, precision, threads, _starts_quickly.get())
    return engine


def _preferred(model: Path, say: Callable[[str], None]) -> tuple[str, ...]:
    """The backends that are installed, the first one first; TensorRT only where there is a GPU."""
    order = ('onnxruntime', 'openvino') if _starts_quickly.get() else ('tensorrt', 'openvino', 'onnxruntime')
    lacking = missing_packages('tensorrt') if 'tensorrt' in order and tensorrt_package.installed() else []
    if lacking and cuda_driver.first_gpu():
        say(f'TensorRT is installed and is not used: it needs {" and ".join(lacking)}: install that with pip')
    found = tuple(
        backend for backend in order if not missing_packages(backend) and (backend != 'tensorrt' or _gpu_starts(say))
    )
    if not found:
        raise MissingBackendError(
            f'{model}: no backend is installed for the Python that runs this, {sys.executable}: pip install openvino '
            '(CPU), onnxruntime, or tensorrt and onnx (NVIDIA GPU)'
        )
    return found


def _gpu_starts(say: Callable[[str], None]) -> bool:
    """Whether there is a GPU; one whose driver fails is named."""
    if cuda_driver.first_gpu():
        return True
    if (reason := cuda_driver.why_no_gpu()).startswith(cuda_driver.FAILURE) and _NO_DEVICE not in reason:
        say(f'TensorRT is installed and is not used: {reason}')
    return False


def missing_packages(backend: str) -> list[str]:
    """Packages that a backend lacks, by pip's names."""
    missing = [package for package in _PACKAGES[backend] if find_spec(package) is None]
    if backend == 'tensorrt' and not tensorrt_package.installed():
        missing.insert(0, ' or '.join(tensorrt_package.PIP_NAMES.values()))
    return missing


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
