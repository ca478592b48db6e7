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

from training.evaluation.distributions import diversity
from training.evaluation.distributions import frechet_distance
from training.evaluation.distributions import kernel_distance
from training.evaluation.distributions import NEIGHBOURS
from training.evaluation.distributions import precision_and_recall
from training.evaluation.distributions import share_among
from training.evaluation.figures import EvaluationError
from training.evaluation.figures import markdown_table
from training.evaluation.pair_geometry import PairMeshes
from training.evaluation.two_hand_sources import ComparedPairs
from training.networks.two_hand_prior.features import features_of
from training.networks.two_hand_prior.features import TwoHandFeatures
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
Make = Callable[[int], ComparedPairs]
"""Number of an evaluation → its pairs."""


class PairMetrics:
    """Measures pairs against held-out ones.

    Each evaluation draws its own half of the held-out pairs; the other half is the sample of the data itself.

    Args:
        network: of the features, see `load_features`.
        held_out: records of pairs that no training saw, on objects where the network has learnt with them.
        tracked: (T,) records of tracked real hands, if there are any.
        solid: pairs of an evaluation whose penetration is measured, the first ones.

    Attributes:
        sample: number of held-out pairs that each evaluation compares with.

    Raises:
        EvaluationError: there are too few held-out pairs, or tracked ones beside held-out ones on objects.
    """

    def __init__(self, network: TwoHandFeatures, held_out: np.ndarray, tracked: np.ndarray | None, solid: int) -> None:
        if len(held_out) <= 2 * NEIGHBOURS + 1:
            raise EvaluationError(f'there are {len(held_out)} held-out pairs, expected {2 * NEIGHBOURS + 2} or more')
        if network.with_object and tracked is not None:
            raise EvaluationError('tracked hands hold no objects: take features without objects, or leave --tracks out')
        self.network = network
        self._held_out, self._meshes, self._solid = held_out, PairMeshes(network.hand), solid
        self._known = features_of(network, *self._of(slice(None)))
        self.tracked = None
        if tracked is not None and len(tracked):
            self.tracked = features_of(self.network, tracked['right'], tracked['left'])
        self._tracked_records = tracked
        self.sample = len(held_out) // 2

    def data(self, evaluations: int, pairs: int) -> Figures:
        """Those of the data: the other half of the held-out ones in each evaluation, but no more than the `pairs` that
        a network makes, since Fréchet distances grow as samples shrink."""
        return self.row('held-out pairs', lambda number: self._of(self._halves(number)[1][:pairs]), evaluations)

    def objects(self, number: int) -> np.ndarray | None:
        """(M, 512, 3) points of the objects of `data` in an evaluation, metres; None without objects."""
        return self._of(self._halves(number)[1]).object_points

    def recording(self, evaluations: int) -> Figures:
        """Those of the tracked real pairs, which are the same in each evaluation."""
        records = self._tracked_records
        return self.row('tracked pairs', lambda number: ComparedPairs(records['right'], records['left']), evaluations)

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

    def _measured(self, title: str, pairs: ComparedPairs, number: int) -> dict[str, float]:
        if not all(np.isfinite(hands).all() for hands in pairs[:2]):
            raise EvaluationError(f'{title}: made hands have numbers that are not finite; their network is broken')
        made = features_of(self.network, *pairs)
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

    def _of(self, rows: slice | np.ndarray) -> ComparedPairs:
        """Held-out pairs."""
        names = ('right', 'left', 'object_points')[: 3 if self.network.with_object else 2]
        return ComparedPairs(*(self._held_out[name][rows] for name in names))

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
        'with_object': bool(kept.get('with_object')),
        **kept['figures'],
    }


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of evaluations."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def formatted_rows(rows: Mapping[str, Figures]) -> str:
    """Rows as a Markdown table, mean ± standard deviation of the evaluations."""
    shown = {name: title for name, title in COLUMNS.items() if any(name in row for row in rows.values())}
    cells = {row: [_cell(figures.get(name, ())) for name in shown] for row, figures in rows.items()}
    return markdown_table(shown.values(), cells)


def _cell(values: Sequence[float]) -> str:
    if not len(values):
        return ''
    mean, deviation = spread(values)
    digits = max(0, 2 - math.floor(math.log10(abs(mean)))) if mean else 2
    return f'{mean:.{min(digits, 4)}f}' + (f' ± {deviation:.{min(digits, 4)}f}' if len(values) > 1 else '')
