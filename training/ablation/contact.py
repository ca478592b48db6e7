# SPDX-License-Identifier: Apache-2.0
"""Ablation of `contact`: tables 1, 4 and 5 of S²Contact (Tse et al., ECCV 2022) with one budget.

The rows of tables 1 and 4 are trained on the same grasps for the same steps. Those of table 5 go on from the row
GCN-Contact of their seed, again for the same steps each, and are measured on the distribution without labels: the split
`held_out`, with scanned objects where a folder of them is given.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hoi_ros.hand.model import HandModel
from training.cores import available_cores
from training.data import sources
from training.data.object_mesh import ObjectMesh
from training.data.pool import filled
from training.data.pool import generator_key
from training.data.real.scans import ScannedObjects
from training.data.synthetic.contact import ContactGrasps
from training.errors import TrainingError
from training.evaluation import contact
from training.evaluation import contact_maps
from training.evaluation import contact_refinement
from training.evaluation.contact import finder_of
from training.evaluation.contact import grasps_of
from training.evaluation.contact import meshes_of
from training.evaluation.contact import NOISE
from training.evaluation.contact import NoisyGrasps
from training.evaluation.contact_maps import contact_figures
from training.evaluation.contact_refinement import refinement_figures
from training.evaluation.contact_refinement import RefinementOptions
from training.evaluation.contact_tables import COLUMNS
from training.evaluation.contact_tables import FIGURES
from training.evaluation.contact_tables import print_tables
from training.evaluation.figures import write_figures
from training.loop.fitting import LoopConfig
from training.loop.fitting import save_weights
from training.networks.contact.choice import contact_network
from training.networks.contact.choice import load_contact_network
from training.networks.contact.gcn import GcnConfig
from training.provenance import provenance
from training.recipes import contact as supervised
from training.recipes import contact_semi
from training.recipes.contact import ContactRecipe
from training.recipes.contact import VALIDATION_GRASPS
from training.recipes.contact_pseudo import PseudoLabelConfig
from training.recipes.contact_semi import ContactSemiRecipe
from training.recipes.contact_semi import SemiWeights
from training.recipes.contact_semi import StudentConfig
from training.recipes.contact_unlabelled import generated
from training.recipes.contact_unlabelled import Unlabelled

_NETWORKS = 'Table 1: networks'
_DESIGN = 'Table 4: K, d, joint search'
_FILTERS = 'Table 5: semi-supervised stage, on the distribution without labels'
_START = 'GCN-Contact'
TABLES: dict[str, dict[str, dict[str, Any]]] = {
    _NETWORKS: {
        _START: {'network': 'gcn'},
        'PointNet++': {'network': 'pointnet2'},
        'DGCNN': {'network': 'dgcnn'},
    },
    _DESIGN: {
        **{f'K = {count}, d = 1': {'gcn': GcnConfig(count, 1)} for count in (5, 10, 15)},
        **{f'K = 10, d = {dilation}': {'gcn': GcnConfig(10, dilation)} for dilation in (2, 4, 6)},
        **{f'K = {count}, d = 4, joint': {'gcn': GcnConfig(count, 4, 'joint')} for count in (5, 10, 25)},
    },
    _FILTERS: {
        'labels alone': {'weights': SemiWeights(unsupervised=0.0, consistency=0.0)},
        'semi-supervised': {},
        'without Chamfer': {'filters': {'chamfer': np.inf}},
        'without penetration': {'filters': {'penetration': np.inf}},
        'without SSIM': {'filters': {'dissimilarity': np.inf}},
        'without consistency': {'weights': SemiWeights(consistency=0.0)},
    },
}
"""Changed options of each row."""
_SAME = {'K = 10, d = 4': _START}
"""Rows that are the run of another one."""


class UnknownRowError(TrainingError):
    """A row has an unknown name."""


@dataclasses.dataclass(frozen=True)
class ContactAblationBudget:
    """Budget of each row, the same for all of a table."""

    seeds: tuple[int, ...] = (0, 1)
    steps: int = 2000
    """Of the rows of tables 1 and 4."""
    batch: int = 16
    learning_rate: float = 3e-3
    records: int = 2048
    """Labelled grasps."""
    semi_steps: int = 500
    """Of the rows of table 5, from the end of the row GCN-Contact on."""
    semi_batch: int = 8
    """Labelled grasps of a batch there; as many unlabelled ones come with them."""
    semi_rate: float = 3e-4
    labelled: int = 512
    """Labelled grasps there, the first ones of `records`."""
    unlabelled: int = 256
    scans: Path | None = None
    """Folder of scanned objects; half of the unlabelled grasps hold held-out ones."""
    pseudo: PseudoLabelConfig = dataclasses.field(default_factory=PseudoLabelConfig)
    student: StudentConfig = dataclasses.field(default_factory=StudentConfig)
    rows: tuple[str, ...] = ()
    """Names of the rows that are trained; all by default."""
    pool: Path = Path('runs/contact_ablation.pool')
    workers: int = 0
    """Processes that make grasps; 0 takes all cores."""
    threads: int = 0
    """CPU threads; 0 takes all cores, since no grasps are made beside the training."""
    runs: Path = Path('runs/contact_ablation')
    """Folder of checkpoints and of the figures of finished runs."""

    @property
    def digest(self) -> str:
        """Names the budget: a run resumes from its own checkpoint, never from one of another budget."""
        alike = (
            repr(TABLES),
            dataclasses.replace(self, seeds=(), rows=(), workers=0, threads=0, pool=Path(), runs=Path()),
        )
        code = generator_key(0, 'train', modules=[supervised.__name__, contact_semi.__name__])
        return hashlib.sha256(repr((alike, ScannedObjects.key(self.scans), code)).encode()).hexdigest()[:8]


@dataclasses.dataclass(frozen=True)
class ContactAblation:
    """Trains the rows of tables 1, 4 and 5 of the paper with one budget and prints the tables."""

    grasps: int = 100
    """Grasps that each row is measured on, at each level of noise."""
    refinement: RefinementOptions = dataclasses.field(default_factory=RefinementOptions)
    budget: ContactAblationBudget = dataclasses.field(default_factory=ContactAblationBudget)
    out: Path = FIGURES
    """JSON file for the figures, written after every run."""


def ablate(config: ContactAblation) -> dict[str, Any]:
    """Trains every row with every seed, and prints mean and range.

    Runs that finished earlier with the same budget are read from their folder, stopped ones go on.

    Raises:
        UnknownRowError: a row has an unknown name.
    """
    budget = config.budget
    known = [row for rows in TABLES.values() for row in rows]
    if unknown := [row for row in budget.rows if row not in known]:
        raise UnknownRowError(f'unknown row {unknown[0]!r}; the rows are {", ".join(map(repr, known))}')
    runs = _Runs(config)
    for title, rows in TABLES.items():
        for row in rows:
            if budget.rows and row not in budget.rows:
                continue
            for seed in budget.seeds:
                runs.figures(title, row, seed)
                _write(config, runs)
    _write(config, runs)
    return print_tables(config.out)


def _write(config: ContactAblation, runs: _Runs) -> None:
    """Writes the figures of all runs that are finished."""
    tables: dict[str, dict[str, dict[str, dict[str, list[float]]]]] = {}
    missing = []
    for title, rows in TABLES.items():
        tables[title] = {}
        for row in rows:
            found = [runs.finished(title, row, seed) for seed in config.budget.seeds]
            done = [figures for figures in found if figures]
            if len(done) < len(found):
                missing.append(row)
            if done:
                tables[title].setdefault('before refinement', _by_level([done[0]['before']]))
                tables[title][row] = _by_level([figures['after'] for figures in done])
    budget = json.loads(json.dumps(dataclasses.asdict(config.budget), default=str))
    write_figures({'budget': budget, 'grasps': config.grasps, 'tables': tables, 'missing': missing}, config.out)


def _by_level(runs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, list[float]]]:
    """The figures of runs, level of noise → figure → a value for each run."""
    return {level: {name: [run[level][name] for run in runs] for name in runs[0][level]} for level in runs[0]}


class _Runs:
    """The runs of an ablation, a folder each, and the data that they share."""

    def __init__(self, config: ContactAblation) -> None:
        self._config, self._budget = config, config.budget
        # Once: source files may change while networks are trained.
        self._digest = config.budget.digest
        self._code = sources.digest([contact.__name__, contact_maps.__name__, contact_refinement.__name__])
        self._workers = config.budget.workers or available_cores()
        self._tests: dict[str, tuple[np.ndarray, list[ObjectMesh]]] = {}
        self._without_labels: dict[int, Unlabelled] = {}

    def finished(self, title: str, row: str, seed: int) -> dict[str, dict[str, dict[str, float]]] | None:
        """The figures of a finished run."""
        path = self._measured(title, row, seed)
        return json.loads(path.read_text()) if path.is_file() else None

    def figures(self, title: str, row: str, seed: int) -> dict[str, dict[str, dict[str, float]]]:
        """The figures of a run, which is trained and measured if it is not finished."""
        if (found := self.finished(title, row, seed)) is not None:
            return found
        weights = self._folder(row, seed) / 'weights.pt'
        if not weights.is_file():
            print(f'{row}, seed {seed}', flush=True)
            (self._train_semi if title == _FILTERS else self._train)(row, seed, TABLES[title][row])
        tests, meshes = self._unseen('held_out' if title == _FILTERS else 'test')
        figures = measured(weights, tests, meshes, self._config.refinement)
        self._measured(title, row, seed).write_text(json.dumps(figures))
        return figures

    def _folder(self, row: str, seed: int) -> Path:
        name = ''.join(letter if letter.isalnum() else '_' for letter in _SAME.get(row, row))
        return self._budget.runs / f'{name}_{seed}_{self._digest}'

    def _measured(self, title: str, row: str, seed: int) -> Path:
        options = repr((self._config.grasps, self._config.refinement, self._code))
        return self._folder(row, seed) / f'figures_{hashlib.sha256(options.encode()).hexdigest()[:8]}.json'

    def _loop(self, row: str, seed: int) -> LoopConfig:
        budget = self._budget
        loop = LoopConfig(
            self._folder(row, seed), budget.steps, 1e6, budget.batch, learning_rate=budget.learning_rate, seed=seed
        )
        return dataclasses.replace(loop, threads=budget.threads or available_cores(), every=loop.steps)

    def _train(self, row: str, seed: int, changes: Mapping[str, Any]) -> None:
        recipe = ContactRecipe(loop=self._loop(row, seed), **changes)
        torch.manual_seed(seed)
        network = contact_network(recipe.network, recipe.gcn)
        records = self._records
        progress, figures = supervised.train_network(
            network, recipe, HandModel.load(), lambda: records, self._validation
        )
        kept = {'network': recipe.network, 'gcn': dataclasses.asdict(recipe.gcn), 'points': [0, 0]}
        save_weights(network, recipe.loop, progress, figures, **kept, **provenance(None))

    def _train_semi(self, row: str, seed: int, changes: Mapping[str, Any]) -> None:
        budget = self._budget
        start = self._folder(_START, seed) / 'weights.pt'
        self.figures(_NETWORKS, _START, seed)
        loop = dataclasses.replace(
            self._loop(row, seed),
            averaging=0.99,
            steps=budget.semi_steps,
            every=budget.semi_steps,
            batch=budget.semi_batch,
            learning_rate=budget.semi_rate,
        )
        changes = dict(changes)
        filters = dataclasses.replace(budget.pseudo.filters, **changes.pop('filters', {}))
        pseudo = dataclasses.replace(budget.pseudo, filters=filters)
        recipe = ContactSemiRecipe(
            start,
            scans=budget.scans,
            pool=budget.pool,
            unlabelled=budget.unlabelled,
            pseudo=pseudo,
            student=budget.student,
            loop=loop,
            **changes,
        )
        shared = recipe.supervised()
        network = load_contact_network(start)
        progress, figures = contact_semi.train_network(
            network,
            recipe,
            shared,
            self._records[: budget.labelled],
            self._validation,
            self._unlabelled(seed),
        )
        kept = {'network': shared.network, 'gcn': dataclasses.asdict(shared.gcn), 'points': [0, 0]}
        save_weights(network, loop, progress, figures, **kept, **provenance(start))

    @functools.cached_property
    def _records(self) -> np.ndarray:
        make = functools.partial(ContactGrasps, 0, 'train')
        key = generator_key(0, 'ablation', modules=[ContactGrasps.__module__])
        return filled(make, make().dtype, self._budget.pool, key, self._budget.records, self._workers)

    @functools.cached_property
    def _validation(self) -> np.ndarray:
        return grasps_of('validation', VALIDATION_GRASPS, self._budget.pool, self._workers)

    def _unlabelled(self, seed: int) -> Unlabelled:
        """The grasps without labels, the same for all rows of a seed."""
        budget = self._budget
        if seed not in self._without_labels:
            found = generated(budget.unlabelled, seed, budget.scans, budget.pool, self._workers)
            self._without_labels = {seed: found}
        return self._without_labels[seed]

    def _unseen(self, split: str) -> tuple[np.ndarray, list[ObjectMesh]]:
        """Grasps that the rows are measured on, and their objects."""
        if split not in self._tests:
            scans = self._budget.scans if split == 'held_out' else None
            records = grasps_of(split, self._config.grasps, self._budget.pool, self._workers, scans=scans)
            self._tests[split] = records, meshes_of(records, split, scans)
        return self._tests[split]


def measured(
    weights: Path, records: np.ndarray, meshes: list[ObjectMesh], options: RefinementOptions
) -> dict[str, dict[str, dict[str, float]]]:
    """The COLUMNS of a network by state, 'before' and 'after' the refinement, and by level of noise.

    Args:
        weights: weights.pt of a training.
        records: true grasps.
        meshes: of their objects.
        options: of the refinement.
    """
    finder = finder_of(weights)
    figures: dict[str, dict[str, dict[str, float]]] = {'before': {}, 'after': {}}
    for level in NOISE:
        noisy = NoisyGrasps.of(records, level)
        found = finder(noisy)
        states = refinement_figures(records, (noisy.pose, noisy.translation), found, meshes, options)
        states['after'] |= contact_figures(found, noisy.truth)
        states['before']['fingers_f1'] = states['before']['fingers_near_f1']
        for state, rows in figures.items():
            rows[level] = {name: states[state][name] for name in COLUMNS if name in states[state]}
    return figures
