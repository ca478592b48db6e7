# SPDX-License-Identifier: Apache-2.0
"""Tables 1, 4 and 5 of S²Contact (Tse et al., ECCV 2022) from the figures of `ablate contact`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.evaluation.figures import EvaluationError

FIGURES = Path('runs/contact_ablation/tables.json')
"""Where `ablate contact` leaves its figures."""
COLUMNS = {
    'contact_f1': 'contact F1',
    'bin_error': 'bin error',
    'joint_error_mm': 'joints mm',
    'intersection_cm3': 'inters. cm³',
    'coverage': 'coverage',
    'fingers_f1': 'fingers F1',
}
"""Figures of a row at each level of noise, the last four after the refinement."""
_WIDTH = 22

Table = Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]
"""Row → level of noise → figure → a value for each seed."""


def print_tables(path: Path = FIGURES) -> dict[str, Any]:
    """Prints and returns the figures in a file of `ablate contact`.

    Raises:
        EvaluationError: there is no such file.
    """
    if not path.is_file():
        raise EvaluationError(f'{path}: no such file: train the rows first (python -m training ablate contact)')
    figures = json.loads(path.read_text())
    for title, table in figures['tables'].items():
        print(formatted(title, table))
    if missing := figures['missing']:
        print(f'not trained yet, python -m training ablate contact goes on with them: {", ".join(missing)}')
    return figures


def formatted(title: str, table: Table) -> str:
    """A table as text: for each row and level of noise, mean and range of the seeds."""
    lines = [title, f'{"":22}{"noise":6}' + ''.join(f'{name:>{_WIDTH}}' for name in COLUMNS.values())]
    for row, levels in table.items():
        for number, (level, values) in enumerate(levels.items()):
            cells = ''.join(f'{_cell(values.get(name, ())):>{_WIDTH}}' for name in COLUMNS)
            lines.append(f'{row if number == 0 else "":22}{level:6}{cells}')
    return '\n'.join(lines)


def _cell(values: Sequence[float]) -> str:
    if len(values) == 0:
        return ''
    return f'{np.mean(values):.3g}' + (f' ({min(values):.3g}–{max(values):.3g})' if len(values) > 1 else '')
