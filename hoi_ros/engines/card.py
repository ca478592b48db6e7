# SPDX-License-Identifier: Apache-2.0
"""`card.yaml`: a network's inputs and outputs, its training and its figures."""

import hashlib
import math
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hoi_ros.engines.errors import CardError
from hoi_ros.engines.errors import HashMismatchError
from hoi_ros.engines.errors import ModelFileError

CARD_FILE = 'card.yaml'
BATCH = -1
"""The first entry of a shape that takes any number of items; a card says `batch`."""

MAX_BATCH = 8
"""Largest number of items in one run where the card says no other."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: its shape (batch first, the rest static), NumPy dtype, unit and meaning."""

    name: str
    shape: tuple[int, ...]
    dtype: str = 'float32'
    unit: str = ''
    meaning: str = ''

    @property
    def batched(self) -> bool:
        """Whether the tensor holds any number of items."""
        return bool(self.shape) and self.shape[0] == BATCH

    def sized(self, items: int = 1) -> tuple[int, ...]:
        """The shape for a number of items; a fixed shape stays as it is."""
        return (items, *self.shape[1:]) if self.batched else self.shape

    def nbytes(self, items: int = 1) -> int:
        """Bytes that the tensor takes for a number of items."""
        return math.prod(self.sized(items)) * np.dtype(self.dtype).itemsize

    def __str__(self) -> str:
        return f'{self.name} {self.dtype}[{", ".join(map(str, named_shape(self.shape)))}]'


def named_shape(shape: tuple[int, ...]) -> list[int | str]:
    """A shape as a card writes it: `batch` for a first entry of `BATCH`."""
    return ['batch' if axis == 0 and size == BATCH else size for axis, size in enumerate(shape)]


@dataclass(frozen=True)
class Card:
    """The description of one network, kept beside its ONNX file."""

    name: str
    model: str
    """File name of the ONNX model, in the card's own folder."""
    sha256: str
    precision: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    licence: str
    data: str
    """Training data and its licences."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Command, seed and everything else that repeats the training."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the stage around the network, such as the size of its crop."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Figures measured on held-out data."""
    activations: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Lowest and highest input of each convolution that a CPU may compute in 8 bits, by the tensor's name."""
    largest_batch: int = MAX_BATCH
    """Largest number of items in one run; a larger batch runs in parts."""

    @classmethod
    def load(cls, directory: str | Path) -> 'Card':
        """Reads `directory`/card.yaml.

        Raises:
            CardError: the file is missing, is not YAML, or lacks or misspells a field.
        """
        path = Path(directory) / CARD_FILE
        try:
            content = yaml.safe_load(path.read_text(encoding='utf-8'))
        except OSError as error:
            raise CardError(
                f'{path} cannot be read ({error.strerror}): a model folder holds an ONNX file and its '
                f'{CARD_FILE}; name such a folder, or restore the file'
            ) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise CardError(f'{path} is not a YAML file ({error}): restore it, or export the model again') from error
        if not isinstance(content, dict):
            raise CardError(f'{path} holds {type(content).__name__}, expected a mapping: restore it')
        known = {item.name for item in fields(cls)}
        required = {'name', 'model', 'sha256', 'precision', 'inputs', 'outputs', 'licence', 'data'}
        if wrong := sorted((required - content.keys()) | (content.keys() - known)):
            raise CardError(f'{path}: missing or unknown fields {wrong}, expected {sorted(known)}: correct it')
        content |= {key: _specs(path, key, content[key]) for key in ('inputs', 'outputs')}
        if Path(content['model']).name != content['model']:
            raise CardError(f'{path}: model is {content["model"]!r}, expected a file name in the same folder')
        most = content.get('largest_batch', MAX_BATCH)
        if type(most) is not int or most < 1:
            raise CardError(f'{path}: largest_batch is {most!r}, expected a whole number of 1 or more')
        return cls(**content)

    def save(self, directory: str | Path) -> Path:
        """Writes `directory`/card.yaml and returns its path."""
        content = asdict(self)
        for key in ('inputs', 'outputs'):
            content[key] = [spec | {'shape': named_shape(spec['shape'])} for spec in content[key]]
        path = Path(directory) / CARD_FILE
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110), encoding='utf-8')
        return path

    @property
    def batched(self) -> bool:
        """Whether one call runs any number of items."""
        return all(spec.batched for spec in (*self.inputs, *self.outputs))

    def verified_model(self, directory: str | Path) -> Path:
        """The path of the ONNX file in `directory`, its SHA-256 checked.

        Raises:
            ModelFileError: there is no such file.
            HashMismatchError: it is not the file that this card describes.
        """
        path = Path(directory) / self.model
        if not path.is_file():
            raise ModelFileError(
                f'{path} is missing, and {CARD_FILE} beside it names it: restore it (git checkout), '
                'or export the model again'
            )
        if (found := file_sha256(path)) != self.sha256:
            raise HashMismatchError(
                f'{path} ({path.stat().st_size} bytes) has SHA-256 {found}, {CARD_FILE} says '
                f'{self.sha256}: the file is damaged or of another training; restore both together'
            )
        return path

    def check_network(self, path: Path, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
        """Compares names, shapes and types found in the network at `path` with the card's.

        Raises:
            CardError: they differ.
        """
        for kind, ours, theirs in (('inputs', self.inputs, inputs), ('outputs', self.outputs, outputs)):
            expected, found = sorted(map(str, ours)), sorted(map(str, theirs))
            if expected != found:
                raise CardError(
                    f'{path}: the network has the {kind} {found}, {path.with_name(CARD_FILE)} says '
                    f'{expected}: correct the card, or export the model again'
                )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def _specs(path: Path, key: str, entries: Any) -> tuple[TensorSpec, ...]:
    try:
        specs = tuple(TensorSpec(**{**entry, 'shape': _shape(entry['shape'])}) for entry in entries)
    except (TypeError, KeyError, ValueError) as error:
        raise CardError(f'{path}: {key} must be a list of {{name, shape, dtype, unit, meaning}} ({error})') from error
    if not specs:
        raise CardError(f'{path}: {key} is empty, expected at least one tensor')
    return specs


def _shape(entry: Sequence[int | str]) -> tuple[int, ...]:
    shape = tuple(BATCH if size == 'batch' else int(size) for size in entry)
    if any(size < 1 for size in shape[1:]) or (shape and shape[0] < 1 and shape[0] != BATCH):
        raise ValueError(f'the shape is {list(entry)}, expected positive sizes, the first of which may be "batch"')
    return shape
