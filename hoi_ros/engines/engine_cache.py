# SPDX-License-Identifier: Apache-2.0
"""TensorRT engines on disk, each beside a JSON file that says what it was built for."""

import hashlib
import json
import os
import re
import tempfile
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path

from hoi_ros.engines.card import MAX_BATCH
from hoi_ros.engines.errors import EngineError


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on."""

    model: str
    model_sha256: str
    package: str
    """"tensorrt" or "tensorrt_rtx"."""
    version: str
    """Of the package."""
    gpu: str
    """Its name; "any" where the engine runs on every GPU of the compute capability."""
    compute_capability: str
    precision: str
    recipe: int
    """Revision of how this package turns the ONNX file into a TensorRT network."""
    largest_batch: int = MAX_BATCH

    @property
    def file_name(self) -> str:
        """File name of the engine; engines of different keys may lie side by side."""
        return f'{_file_stem(self.model, self.model_sha256[:12], self.precision, self._platform)}.engine'

    @property
    def timing_file_name(self) -> str:
        """File name of the kernel timings that all models of one GPU and one TensorRT share."""
        return f'{_file_stem("timing", self._platform)}.cache'

    @property
    def kernels_file_name(self) -> str:
        """File name of the kernels that TensorRT for RTX compiled at run time."""
        return self.file_name.removesuffix('.engine') + '.kernels'

    @property
    def _platform(self) -> str:
        gpu = f'sm{self.compute_capability}' if self.gpu == 'any' else self.gpu
        return f'{self.package}{self.version}-{gpu}'


class StaleEngineError(EngineError):
    """A cached engine is missing or unusable, and has to be built; the message says why."""


def default_cache_dir() -> Path:
    """$XDG_CACHE_HOME/hoi_ros/engines, or the same under ~/.cache."""
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'hoi_ros' / 'engines'


def store_engine(directory: Path, key: EngineKey, engine: bytes) -> Path:
    """Writes the engine and its JSON file, each in one step, the engine first.

    Raises:
        EngineError: the folder cannot be written.
    """
    path = directory / key.file_name
    facts = asdict(key) | {'engine_sha256': hashlib.sha256(engine).hexdigest(), 'engine_bytes': len(engine)}
    write_whole(path, engine)
    write_whole(_sidecar(path), json.dumps(facts, indent=2).encode())
    return path


def cached_engine(directory: Path, key: EngineKey) -> bytes:
    """The engine stored for `key`.

    Raises:
        StaleEngineError: there is none, it was built for something else, or it is damaged.
    """
    path = directory / key.file_name
    try:
        facts = json.loads(_sidecar(path).read_text(encoding='utf-8'))
        engine = path.read_bytes()
    except FileNotFoundError as error:
        raise StaleEngineError(f'{error.filename} is not there') from error
    except (OSError, ValueError) as error:
        raise StaleEngineError(f'{_sidecar(path)} cannot be read ({error})') from error
    found = facts if isinstance(facts, dict) else {}
    for name, expected in asdict(key).items():
        if found.get(name) != expected:
            raise StaleEngineError(f'{path} was built for {name} {found.get(name)!r}, here it is {expected!r}')
    if hashlib.sha256(engine).hexdigest() != found.get('engine_sha256'):
        raise StaleEngineError(f'{path} is damaged ({len(engine)} bytes, {found.get("engine_bytes")} when built)')
    return engine


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file in one step, so that no reader sees a part of it.

    Raises:
        EngineError: it cannot be written.
    """
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            part = Path(file.name)
            file.write(content)
            os.fchmod(file.fileno(), 0o644)
        os.replace(part, path)
    except OSError as error:
        if part is not None:
            part.unlink(missing_ok=True)
        raise EngineError(
            f'{path} cannot be written ({error.strerror}): make room or choose another cache_dir'
        ) from error


def read_if_there(path: Path) -> bytes:
    """The content of a file; empty where it is not there or cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b''


def _file_stem(*parts: str) -> str:
    return re.sub(r'[^\w.+-]+', '_', '-'.join(parts))


def _sidecar(path: Path) -> Path:
    return path.with_suffix('.json')
