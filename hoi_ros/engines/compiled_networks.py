# SPDX-License-Identifier: Apache-2.0
"""Networks that OpenVINO compiled for this processor, kept on disk so that a later process starts faster."""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import json
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hoi_ros.engines.card import Card
from hoi_ros.engines.engine_cache import write_whole
from hoi_ros.engines.errors import EngineError

_folder: contextvars.ContextVar[Path | None] = contextvars.ContextVar('compiled_networks', default=None)


@contextlib.contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Within it, `load_engine` keeps what OpenVINO compiles in a folder; for programs that run once and end."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def chosen_folder() -> Path | None:
    """The folder of the innermost `kept_in`; None outside of it."""
    return _folder.get()


@dataclass(frozen=True)
class CompiledKey:
    """Everything that a compiled network depends on."""

    model: str
    model_sha256: str
    tensors: str
    """The card's inputs and outputs, which are checked against the network before it is stored."""
    batch: int
    version: str
    """Of OpenVINO."""
    processor: str
    """Its name and its instruction sets."""
    options: str

    @classmethod
    def of(cls, card: Card, batch: int, version: str, processor: str, options: Mapping[str, Any]) -> CompiledKey:
        """The key of a network for a number of items."""
        tensors = '; '.join(map(str, (*card.inputs, *card.outputs)))
        return cls(card.name, card.sha256, tensors, batch, version, processor, json.dumps(options, sort_keys=True))

    @property
    def file_name(self) -> str:
        """File name of the network; networks of different keys may lie side by side."""
        digest = hashlib.sha256(repr(self).encode()).hexdigest()
        return f'{self.model}-{self.batch}-{digest[:24]}.compiled'


def stored_network(folder: Path, key: CompiledKey) -> bytes | None:
    """The network stored for a key; None where there is none or the file is damaged."""
    try:
        content = (folder / key.file_name).read_bytes()
    except OSError:
        return None
    digest, network = content[:32], content[32:]
    return network if hashlib.sha256(network).digest() == digest else None


def store_network(folder: Path, key: CompiledKey, network: bytes) -> None:
    """Writes a network behind its SHA-256, in one step; a folder that cannot be written is left alone."""
    with contextlib.suppress(EngineError):
        write_whole(folder / key.file_name, hashlib.sha256(network).digest() + network)
