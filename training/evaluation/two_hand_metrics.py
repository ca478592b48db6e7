# SPDX-License-Identifier: Apache-2.0
"""The metrics of InterHandGen (section 4.1) for made pairs of hands, measured many times."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hoi_ros.stages.parts.two_hand_sampler import HandPairs
from training.evaluation.distributions import diversity
from training.evaluation.distributions import frechet_distance
from training.evaluation.distributions import kernel_distance
from training.evaluation.distributions import NEIGHBOURS
from training.evaluation.distributions import precision_and_recall
from training.evaluation.distributions import share_among
from training.evaluation.figures import EvaluationError
from training.evaluation.pair_geometry import PairMeshes
from training.networks.two_hand_prior.features import features_of
from training.networks.two_hand_prior.features import load_features
from training.networks.weights_file import read_weights
from training.terminal import ProgressBar

COLUMNS = {
    'fhid': 'FHID',
    'khid': 'KHID',
    'diversity': 'diversity',
    'precision': 'precision',
    'recall': 'recall',
    'penetration_mm3': 'pen. mm³',
    'penetration_mm': 'pen. mm',
    'proximity': 'proximity',
    'tracked_recall': 'tracked recall',
}
"""Figures of a row. The last is the share of tracked real pairs that are among the made ones."""

Figures = dict[str, list[float]]
"""Figure → a value for each evaluation."""
Make = Callable[[int], HandPairs]
"""Number of an evaluation → its pairs."""


class PairMetrics:
    """Measures pairs against held-out ones.

    Each evaluation draws its own half of the held-out pairs; the other half is the sample of the data itself.

    Args:
        features: weights.pt of `train two_hand_features`.
        held_out: records of pairs that no training saw.
        tracked: (T,) records of tracked real hands, if there are any.
        solid: pairs of an evaluation whose penetration is measured, the first ones.

    Attributes:
        sample: number of held-out pairs that each evaluation compares with.
    """

    def __init__(self, features: Path, held_out: np.ndarray, tracked: np.ndarray | None, solid: int) -> None:
        if len(held_out) <= 2 * NEIGHBOURS + 1:
            raise EvaluationError(f'there are {len(held_out)} held-out pairs, expected {2 * NEIGHBOURS + 2} or more')
        self.network = load_features(features)
        self._held_out, self._meshes, self._solid = held_out, PairMeshes(), solid
        self._known = features_of(self.network, held_out['right'], held_out['left'])
        self.tracked = None
        if tracked is not None and len(tracked):
            self.tracked = features_of(self.network, tracked['right'], tracked['left'])
        self._tracked_records = tracked
        self.sample = len(held_out) // 2

    def data(self, evaluations: int) -> Figures:
        """Those of the data: the other half of the held-out pairs of each evaluation."""
        halves = [self._halves(number)[1] for number in range(evaluations)]
        pairs = [HandPairs(self._held_out['right'][half], self._held_out['left'][half]) for half in halves]
        return self.row('held-out pairs', pairs.__getitem__, evaluations)

    def recording(self, evaluations: int) -> Figures:
        """Those of the tracked real pairs, which are the same in each evaluation."""
        records = self._tracked_records
        return self.row('tracked pairs', lambda number: HandPairs(records['right'], records['left']), evaluations)

    def row(self, title: str, make: Make, evaluations: int) -> Figures:
        """Those of made pairs.

        Args:
            title: of the progress bar.
            make: called once for each evaluation.
            evaluations: number of them.

        Raises:
            EvaluationError: a made hand has numbers that are not finite.
        """
        found: Figures = {}
        with ProgressBar(title) as bar:
            for number in range(evaluations):
                began = time.monotonic()
                pairs = make(number)
                took = time.monotonic() - began
                for name, value in self._measured(title, pairs, number).items():
                    found.setdefault(name, []).append(value)
                found.setdefault('pairs_a_second', []).append(len(pairs.right) / max(took, 1e-9))
                bar.show((number + 1) / evaluations, f'{number + 1}/{evaluations}')
        return found

    def _measured(self, title: str, pairs: HandPairs, number: int) -> dict[str, float]:
        if not all(np.isfinite(hands).all() for hands in pairs):
            raise EvaluationError(f'{title}: made hands have numbers that are not finite; their network is broken')
        made = features_of(self.network, pairs.right, pairs.left)
        real = self._known[self._halves(number)[0]]
        figures = {
            'fhid': frechet_distance(real, made),
            'khid': kernel_distance(real, made),
            'diversity': diversity(made, np.random.default_rng([number, 59])),
            **precision_and_recall(real, made)._asdict(),
        }
        if self.tracked is not None:
            figures['tracked_recall'] = share_among(self.tracked, made)
        if self._solid:
            figures |= self._meshes.geometry(pairs.right[: self._solid], pairs.left[: self._solid]).figures()
        return figures

    def _halves(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        order = np.random.default_rng([number, 61]).permutation(len(self._held_out))
        return order[: self.sample], order[self.sample : 2 * self.sample]


def described_features(path: Path) -> dict[str, Any]:
    """Where features come from: SHA-256 of the file, seed, command, and the error of the held-out pairs, mm.

    Raises:
        WeightsError: the file is missing or of another training.
    """
    kept = read_weights(path, 'train two_hand_features', 'figures')
    return {
        'sha256': hashlib.sha256(path.read_bytes()).hexdigest(),
        'seed': kept.get('seed'),
        'command': kept.get('command'),
        **kept['figures'],
    }


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of evaluations."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def formatted_rows(rows: Mapping[str, Figures]) -> str:
    """Rows as a Markdown table, mean ± standard deviation of the evaluations."""
    shown = {name: title for name, title in COLUMNS.items() if any(name in row for row in rows.values())}
    lines = ['| | ' + ' | '.join(shown.values()) + ' |', '|---' * (len(shown) + 1) + '|']
    for row, figures in rows.items():
        cells = [_cell(figures.get(name, ())) for name in shown]
        lines.append(f'| {row} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def _cell(values: Sequence[float]) -> str:
    if not len(values):
        return ''
    mean, deviation = spread(values)
    digits = max(0, 2 - math.floor(math.log10(abs(mean)))) if mean else 2
    return f'{mean:.{min(digits, 4)}f}' + (f' ± {deviation:.{min(digits, 4)}f}' if len(values) > 1 else '')
