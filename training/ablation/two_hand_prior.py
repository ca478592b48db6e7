# SPDX-License-Identifier: Apache-2.0
"""Ablation of `two_hand_prior`: tables 1, 3 and S1 of InterHandGen (Lee et al., CVPR 2024) with one budget.

Each network is trained on the same pairs for the same steps. Rows that differ in the sampling share the run of their
network. Guidance is for networks that make one hand after the other; the others have none.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

from hoi_ros.stages.parts.two_hand_sampler import SamplingConfig
from training.cores import available_cores
from training.data import sources
from training.data.pool import generator_key
from training.data.pool import PoolError
from training.data.real.scans import ScannedObjects
from training.data.real.two_hand_tracks import TwoHandTracks
from training.data.synthetic.two_hands.postures import PostureLibrary
from training.data.two_hand_pools import TwoHandPools
from training.errors import TrainingError
from training.evaluation import two_hand_metrics
from training.evaluation import two_hand_sources
from training.evaluation.figures import EvaluationError
from training.evaluation.figures import write_figures
from training.evaluation.two_hand_metrics import described_features
from training.evaluation.two_hand_metrics import Figures
from training.evaluation.two_hand_metrics import PairMetrics
from training.evaluation.two_hand_sources import PairSource
from training.evaluation.two_hand_tables import DATA
from training.evaluation.two_hand_tables import FIGURES
from training.evaluation.two_hand_tables import ON_OBJECTS
from training.evaluation.two_hand_tables import OURS
from training.evaluation.two_hand_tables import print_tables
from training.loop.fitting import LoopConfig
from training.networks.two_hand_prior.choice import NETWORKS
from training.networks.two_hand_prior.choice import TwoHandNetwork
from training.networks.two_hand_prior.features import load_features
from training.recipes import two_hand_prior
from training.recipes.two_hand_prior import TwoHandPriorRecipe


@dataclasses.dataclass(frozen=True)
class Row:
    """A network, and how it is sampled."""

    network: TwoHandNetwork
    guidance: bool = True
    """Classifier-free guidance."""
    anti_penetration: bool = True


_OURS = Row('small')
TABLES: dict[str, dict[str, Row]] = {
    'Table 1: networks': {
        'VAE': Row('vae'),
        'joint transformer (BUDDI)': Row('joint'),
        'without decomposition': Row('whole'),
        'without shared network': Row('separate'),
        OURS: _OURS,
    },
    'Table 3: attention and guidance': {
        'without self-attention': Row('no_attention'),
        'without classifier-free guidance': Row('small', guidance=False),
        'without anti-penetration guidance': Row('small', anti_penetration=False),
        OURS: _OURS,
    },
    'Table S1: parallel and cascaded': {
        'parallel (ComMDM)': Row('parallel'),
        OURS: _OURS,
    },
}


class UnknownRowError(TrainingError):
    """A row or a network has an unknown name."""


@dataclasses.dataclass(frozen=True)
class TwoHandBudget(TwoHandPools):
    """Budget of each network, the same for all."""

    capacity: int = 16_384
    """Pairs that every network draws from."""
    first: int = 16_384
    """The same number: all are made before the first network is trained."""
    pairs_seed: int | None = 0
    """Seed of the pairs, the same for all networks."""
    seeds: tuple[int, ...] = (0, 1)
    steps: int = 20_000
    minutes: float = 1e6
    """Most minutes of a training, preparation included; with a step count that is never reached, networks have the same
    time in place of the same steps."""
    batch: int = 256
    learning_rate: float | None = None
    """The recipe's own by default."""
    threads: int = 0
    """CPU threads; 0 chooses them."""
    objects: float = 0.0
    """Share of pairs on objects in a batch; the tables on objects need some."""
    tracks: Path | None = None
    """leap_tracks.npz: tracked pairs that are added to the made ones."""
    rows: tuple[str, ...] = ()
    """Names of the rows that are trained and measured; all by default."""
    given: tuple[str, ...] = ()
    """NETWORK,SEED=PATH of weights.pt of trainings that are taken in place of a run."""
    runs: Path = Path('runs/two_hand_ablation')
    """Folder of checkpoints and of the figures of finished runs."""

    @property
    def digest(self) -> str:
        """Names the budget: a run resumes from its own checkpoint, never from one of another budget."""
        files = ScannedObjects.key(self.scans), PostureLibrary.key(self.poses), str(self.pool), str(self.tracks)
        code = generator_key(self.pairs_seed or 0, 'train', modules=[two_hand_prior.__name__])
        data = *files, self.capacity, self.as_it_is, self.objects, self.pairs_seed, code
        alike = self.steps, self.minutes, self.batch, self.learning_rate, *data
        return hashlib.sha256(repr(alike).encode()).hexdigest()[:8]


@dataclasses.dataclass(frozen=True)
class TwoHandPriorAblation:
    """Trains the rows of tables 1, 3 and S1 of the paper with one budget and prints the tables.

    With features that have learnt with objects (--with-object), all pairs are on objects, as in table 1 (b). The same
    runs serve both."""

    features: Path = Path('runs/two_hand_features/weights.pt')
    """Of `train two_hand_features`."""
    pairs: int = 2000
    """Pairs that a row makes in an evaluation."""
    evaluations: int = 5
    tests: int = 3072
    """Pairs of the test split; each evaluation compares with half of them."""
    solid: int = 500
    """Pairs of an evaluation whose penetration is measured."""
    sampling: SamplingConfig = dataclasses.field(default_factory=SamplingConfig)
    tracks: Path | None = None
    """leap_tracks.npz, for the recall of its test recording."""
    budget: TwoHandBudget = dataclasses.field(default_factory=TwoHandBudget)
    out: Path | None = None
    """JSON file for the figures, written after every row; by default tables.json in runs/two_hand_ablation, or
    tables_on_objects.json."""


def ablate(config: TwoHandPriorAblation) -> dict[str, Any]:
    """Trains every network with every seed, measures every row, and prints the tables.

    Runs that finished earlier with the same budget are taken from their folder, stopped ones go on.

    Raises:
        UnknownRowError: a row has an unknown name, or given weights are not named NETWORK,SEED=PATH.
        EvaluationError: pairs on objects are asked of networks that are trained without.
        PoolError: networks would draw from different pairs.
    """
    budget = config.budget
    if not budget.as_it_is and (budget.refresh or budget.first < budget.capacity):
        raise PoolError(
            f'with --budget.first {budget.first} of --budget.capacity {budget.capacity} pairs, or --budget.refresh, '
            'later networks would draw from more pairs: make both numbers the same, without --budget.refresh'
        )
    on_objects = load_features(config.features).with_object
    if on_objects and not config.budget.objects:
        raise EvaluationError(
            f'{config.features} has learnt with objects, and --budget.objects is 0: the networks would know none'
        )
    config = dataclasses.replace(config, out=config.out or (ON_OBJECTS if on_objects else FIGURES))
    rows = {row: choice for table in TABLES.values() for row, choice in table.items()}
    if unknown := [row for row in config.budget.rows if row not in rows]:
        raise UnknownRowError(f'unknown row {unknown[0]!r}; the rows are {", ".join(map(repr, rows))}')
    runs = _Runs(config)
    runs.figures(DATA, None, 0)
    for row, choice in rows.items():
        if config.budget.rows and row not in config.budget.rows:
            continue
        for seed in config.budget.seeds:
            runs.figures(row, choice, seed)
            _write(config, runs)
    _write(config, runs)
    return print_tables(config.out)


def _write(config: TwoHandPriorAblation, runs: _Runs) -> None:
    """Writes the figures of all rows that are measured."""
    tables: dict[str, dict[str, dict[str, list[list[float]]]]] = {}
    missing = []
    for title, rows in TABLES.items():
        tables[title] = {}
        for row, choice in ({DATA: None} | rows).items():
            seeds = (0,) if choice is None else config.budget.seeds
            # Up to the first that is not finished: rows are compared by the number of the seed.
            found = list(itertools.takewhile(bool, (runs.finished(row, choice, seed) for seed in seeds)))
            if len(found) < len(seeds) and row not in missing:
                missing.append(row)
            if found:
                tables[title][row] = {name: [figures[name] for figures in found] for name in found[0]}
    kept = {
        'features': described_features(config.features),
        'config': json.loads(json.dumps(dataclasses.asdict(config), default=str)),
        'held_out': runs.metrics.sample,
        'seeds': config.budget.seeds,
        'tables': tables,
        'missing': missing,
    }
    write_figures(kept, config.out)


class _Runs:
    """The runs of an ablation, a folder each."""

    def __init__(self, config: TwoHandPriorAblation) -> None:
        self._config, self._budget = config, config.budget
        # Once: source files may change while networks are trained.
        self._digest = config.budget.digest
        self._code = sources.digest([two_hand_metrics.__name__, two_hand_sources.__name__])
        self._given = dict(map(_given, config.budget.given))

    def finished(self, row: str, choice: Row | None, seed: int) -> Figures | None:
        """The figures of a row that is measured."""
        path = self._measured(row, choice, seed)
        return json.loads(path.read_text()) if path.is_file() else None

    def figures(self, row: str, choice: Row | None, seed: int) -> Figures:
        """The figures of a row, whose network is trained and measured if need be; without one, those of the data."""
        if (found := self.finished(row, choice, seed)) is not None:
            return found
        if choice is None:
            figures = self.metrics.data(self._config.evaluations, self._config.pairs)
        else:
            source, sampling = PairSource.load(self._weights(choice.network, seed)), self._config.sampling
            sampling = dataclasses.replace(
                sampling,
                guidance=sampling.guidance if choice.guidance else 0.0,
                anti_penetration=sampling.anti_penetration if choice.anti_penetration else 0.0,
            )
            metrics, count = self.metrics, self._config.pairs
            figures = metrics.row(
                f'{row}, seed {seed}',
                lambda number: source.pairs(count, number, sampling, metrics.objects(number)),
                self._config.evaluations,
            )
        path = self._measured(row, choice, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures))
        return figures

    @functools.cached_property
    def metrics(self) -> PairMetrics:
        """What all rows are measured by."""
        config = self._config
        network = load_features(config.features)
        tests = config.budget.held_out('test', config.tests, network.with_object)
        tracked = TwoHandTracks(config.tracks, 'test').records if config.tracks else None
        return PairMetrics(network, tests, tracked, config.solid)

    def _weights(self, network: TwoHandNetwork, seed: int) -> Path:
        """Of a network, which is trained if need be."""
        if given := self._given.get((network, seed)):
            return given
        budget, folder = self._budget, self._folder(network, seed)
        weights = folder / 'weights.pt'
        if not weights.is_file():
            print(f'{network}, seed {seed}', flush=True)
            self._make_pairs(seed)
            loop = LoopConfig(
                folder,
                budget.steps,
                budget.minutes,
                budget.batch,
                learning_rate=budget.learning_rate,
                seed=seed,
                threads=budget.threads,
                every=budget.steps,
            )
            two_hand_prior.train(
                TwoHandPriorRecipe(
                    network=network,
                    **{field.name: getattr(budget, field.name) for field in dataclasses.fields(TwoHandPools)},
                    objects=budget.objects,
                    tracks=budget.tracks,
                    loop=loop,
                )
            )
        return weights

    def _make_pairs(self, seed: int) -> None:
        """All of them, whatever time a network has."""
        for with_object in (False, True)[: 1 + bool(self._budget.objects)]:
            filling = self._budget.workers or available_cores()
            with self._budget.training(seed, with_object, filling, filling):
                pass

    def _folder(self, network: str, seed: int) -> Path:
        return self._budget.runs / f'{network}_{seed}_{self._digest}'

    def _measured(self, row: str, choice: Row | None, seed: int) -> Path:
        config = self._config
        weights = self._given.get((choice.network, seed), '') if choice else ''
        measured = config.pairs, config.evaluations, config.tests, config.solid
        options = *measured, config.sampling, config.tracks, choice, self._code
        files = [path.read_bytes() for path in (config.features, weights) if path and Path(path).is_file()]
        digest = hashlib.sha256(repr(options).encode() + b''.join(files)).hexdigest()[:8]
        name = ''.join(letter if letter.isalnum() else '_' for letter in row)
        return self._budget.runs / f'figures_{name}_{seed}_{self._digest}_{digest}.json'


def _given(option: str) -> tuple[tuple[str, int], Path]:
    """NETWORK,SEED=PATH → its parts."""
    name, equals, path = option.partition('=')
    network, _, seed = name.partition(',')
    if not (equals and path and network in NETWORKS and seed.isdigit()):
        raise UnknownRowError(
            f'--budget.given {option}: expected NETWORK,SEED=PATH with a network of {", ".join(NETWORKS)}'
        )
    return (network, int(seed)), Path(path)
