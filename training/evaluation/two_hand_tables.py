# SPDX-License-Identifier: Apache-2.0
"""Tables 1, 3 and S1 of InterHandGen (Lee et al., CVPR 2024) from the figures of `ablate two_hand_prior`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.evaluation.figures import EvaluationError
from training.evaluation.figures import markdown_table
from training.evaluation.two_hand_metrics import COLUMNS

FIGURES, ON_OBJECTS = (Path(f'runs/two_hand_ablation/{name}.json') for name in ('tables', 'tables_on_objects'))
"""Where `ablate two_hand_prior` leaves its figures, by default."""
OURS, DATA = 'ours', 'held-out pairs'
COMPARED = 'VAE', 'joint transformer (BUDDI)', 'without decomposition'
"""Rows of other models, to the best of which ours is compared."""
_UNGUIDED = 'without anti-penetration guidance'

Table = Mapping[str, Mapping[str, Sequence[Sequence[float]]]]
"""Row → figure → seed → a value for each evaluation."""


def print_tables(path: Path = FIGURES) -> dict[str, Any]:
    """Prints and returns the figures in a file of `ablate two_hand_prior`.

    Raises:
        EvaluationError: there is no such file.
    """
    if not path.is_file():
        raise EvaluationError(f'{path}: no such file: train the rows first (python -m training ablate two_hand_prior)')
    figures = json.loads(path.read_text())
    where = ', pairs on objects' if figures.get('features', {}).get('with_object') else ''
    for title, table in figures['tables'].items():
        print(f'{title}{where}\n\n{formatted_table(table)}\n')
    for line in comparisons(figures['tables'], figures['seeds']):
        print(line)
    if missing := figures['missing']:
        print(f'not measured yet, python -m training ablate two_hand_prior goes on with them: {", ".join(missing)}')
    return figures


def formatted_table(table: Table) -> str:
    """A table in Markdown: the mean of the seeds, their range, and the mean standard deviation of the evaluations."""
    shown = {name: title for name, title in COLUMNS.items() if any(name in row for row in table.values())}
    cells = {row: [_cell(figures.get(name, ())) for name in shown] for row, figures in table.items()}
    return markdown_table(shown.values(), cells)


def comparisons(tables: Mapping[str, Table], seeds: Sequence[int]) -> list[str]:
    """FHID relative to the best other model, and the effect of the guidance against penetration, for each seed."""
    rows = {row: figures for table in tables.values() for row, figures in table.items()}
    lines = []
    ours = _means(rows, OURS, 'fhid')
    others = {row: _means(rows, row, 'fhid') for row in COMPARED}
    for number, (seed, value) in enumerate(zip(seeds, ours)):
        reached = {row: found[number] for row, found in others.items() if number < len(found)}
        if reached:
            best = min(reached, key=reached.__getitem__)
            lines.append(
                f'seed {seed}: FHID {value:.3g}, {value / reached[best]:.2f} of the next best, {best} '
                f'({reached[best]:.3g})'
            )
    volume, unguided = (_means(rows, row, 'penetration_mm3') for row in (OURS, _UNGUIDED))
    unguided_fhid = _means(rows, _UNGUIDED, 'fhid')
    for seed, guided, free, own, fhid in zip(seeds, volume, unguided, ours, unguided_fhid):
        lines.append(
            f'seed {seed}: anti-penetration guidance leaves {guided / max(free, 1e-9):.2f} of the volume and FHID is '
            f'{own / fhid:.2f} of that without'
        )
    return lines


def _means(rows: Table, row: str, name: str) -> list[float]:
    return [float(np.mean(values)) for values in rows.get(row, {}).get(name, ())]


def _cell(seeds: Sequence[Sequence[float]]) -> str:
    if not len(seeds):
        return ''
    means = [float(np.mean(values)) for values in seeds]
    text = f'{np.mean(means):.3g}'
    if len(means) > 1:
        text += f' ({min(means):.3g}–{max(means):.3g})'
    deviations = [float(np.std(values, ddof=1)) for values in seeds if len(values) > 1]
    return text + (f' ± {np.mean(deviations):.2g}' if deviations else '')
