# SPDX-License-Identifier: Apache-2.0
"""Results as JSON, one file a machine."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.machine import Machine

FOLDER = Path(__file__).parent / 'results'
_HARDWARE = 'cpu', 'model', 'cores', 'gpu'
"""What tells two machines apart."""


class OtherMachineError(ValueError):
    """A file holds the results of another machine."""


def save(
    name: str, machine: Machine, part: str, measured: Mapping[str, object], figures: Any, folder: Path = FOLDER
) -> Path:
    """Writes one part into `folder`/`name`.json; the other parts of the file stay.

    Args:
        name: of the machine.
        machine: its description.
        part: name of the part.
        measured: when, at which commit, under which load.
        figures: a data class, or a mapping of such.
        folder: of the results.

    Raises:
        OtherMachineError: the file is that of another machine.
    """
    path = folder / f'{name}.json'
    kept = json.loads(path.read_text()) if path.is_file() else {}
    before, now = kept.get('machine', {}), _plain(machine)
    if other := {name: before[name] for name in _HARDWARE if name in before and before[name] != now[name]}:
        own = {name: now[name] for name in other}
        raise OtherMachineError(
            f'{path} holds results of a machine with {other}, this one has {own}: give this one a --name of its own'
        )
    # Parts of one file may be measured after an update.
    measured = {**measured, 'kernel': machine.kernel, 'versions': machine.versions}
    folder.mkdir(parents=True, exist_ok=True)
    results = kept | {'machine': now, part: {'measured': _plain(measured), **_plain(figures)}}
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + '\n')
    return path


def load_all(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """The results by the name of their machine.

    Raises:
        FileNotFoundError: there is no result.
    """
    found = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob('*.json'))}
    if not found:
        raise FileNotFoundError(f'{folder} holds no result: run `python -m benchmarks` first')
    return found


def _plain(value: Any) -> Any:
    """Converts to JSON's types: numbers of four digits, None for NaN and infinity."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f'{value:.4g}') if math.isfinite(value) else None
    return value
