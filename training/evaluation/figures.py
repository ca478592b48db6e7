# SPDX-License-Identifier: Apache-2.0
"""Output of the evaluations: printed figures, and a JSON file on request."""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.errors import TrainingError

_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Score thresholds of `print_score_curve`."""


class EvaluationError(TrainingError):
    """An option of an evaluation is out of range."""


def require_count(count: int, option: str = '--frames') -> None:
    """Raises an EvaluationError if there is nothing to measure."""
    if count < 1:
        raise EvaluationError(f'{option} is {count}, expected 1 or more')


def require_split(split: str, known: Sequence[str]) -> None:
    """Raises an EvaluationError if there is no such split."""
    if split not in known:
        raise EvaluationError(f'--split {split}: no such split; expected one of {", ".join(known)}')


def print_figures(figures: Mapping[str, Any], indent: str = '') -> None:
    """Prints one figure a line, numbers to four digits."""
    for name, value in figures.items():
        print(f'{indent}{name:28} {f"{value:.4g}" if isinstance(value, float) else value}')


def markdown_table(titles: Iterable[str], rows: Mapping[str, Iterable[str]]) -> str:
    """A table in Markdown.

    Args:
        titles: of the columns behind the first one.
        rows: cells by the row's name.
    """
    first = list(titles)
    lines = ['| | ' + ' | '.join(first) + ' |', '|---' * (len(first) + 1) + '|']
    lines += [f'| {name} | ' + ' | '.join(cells) + ' |' for name, cells in rows.items()]
    return '\n'.join(lines)


def write_figures(figures: Mapping[str, Any], out: Path | None) -> None:
    """Writes figures as JSON, if a file is given."""
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(figures, indent=1) + '\n')


def print_score_curve(scores: np.ndarray, hands: np.ndarray, total: int, frames: int) -> None:
    """Prints, for each threshold of the score, the share of hands kept and the non-hands passed a frame.

    Args:
        scores: (N,) calibrated scores of candidates.
        hands: (N,) bool, candidates that are hands.
        total: hands in all frames.
        frames: number of frames.
    """
    print('threshold  hands kept  non-hands a frame')
    for threshold in _THRESHOLDS:
        kept = scores >= threshold
        print(f'{threshold:9.2f}  {kept[hands].sum() / max(total, 1):10.4f}  {kept[~hands].sum() / frames:17.4f}')
