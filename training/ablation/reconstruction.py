# SPDX-License-Identifier: Apache-2.0
"""Ablation of `reconstruction`: the variants of tables 6 and 7 (Tse et al., CVPR 2022) trained with one budget."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import Any
from typing import Literal

import numpy as np
import torch

from hoi_ros.engines.card import file_sha256
from training.cores import available_cores
from training.data.hand_object import HandObjectSample
from training.data.pool import generator_key
from training.data.pool import SamplePool
from training.data.synthetic.objects import FAMILIES
from training.data.synthetic.rgb_crop_views import RgbAugmentation
from training.data.synthetic.rgb_crops import RgbCrops
from training.evaluation.figures import write_figures
from training.evaluation.reconstruction import evaluate_network
from training.evaluation.reconstruction import reader_of
from training.evaluation.reconstruction import unseen_samples
from training.loop.fitting import LoopConfig
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import COMPACT
from training.networks.reconstruction_config import ReconstructionConfig
from training.networks.reconstruction_weights import start_from
from training.recipes.reconstruction import train_network
from training.recipes.reconstruction_losses import ReconstructionLosses

_VALIDATION_CROPS = 128
"""Crops of the validation of each run."""
_COLUMNS = ('joint_error_mm', 'object_chamfer_mm2', 'penetration_mm', 'intersection_cm3')
"""Figures of the table."""


@dataclasses.dataclass(frozen=True)
class AblationBudget:
    """Budget of each row, the same for all."""

    seeds: tuple[int, ...] = (0, 1)
    steps: int = 4000
    batch: int = 32
    optimizer: Literal['adamw', 'muon'] = 'adamw'
    learning_rate: float = 5e-4
    network: ReconstructionConfig = COMPACT
    start: Path | None = None
    """weights.pt of a training of the hand alone (--branch hand) with that network, from which every row starts.
    None of these weights was trained with an exchange."""
    rows: tuple[str, ...] = ()
    """Names of the rows; all by default."""
    records: int = 20_480
    """Training crops of all rows."""
    records_seed: int = 0
    """Seed of these crops."""
    pool: Path = Path('runs/ablation.pool')
    workers: int = 0
    """Rendering processes; 0 takes all cores."""
    threads: int = 0
    """CPU threads; 0 takes all cores, since nothing is rendered beside the training."""
    precision: str = 'auto'
    """As of `train reconstruction`."""
    runs: Path = Path('runs/ablation')
    """Folder of checkpoints and of the figures of finished runs."""


@dataclasses.dataclass(frozen=True)
class ReconstructionAblation:
    """Trains the variants of the paper's tables 6 and 7 on the same crops and prints the tables."""

    samples: int = 1000
    """Images of each test split."""
    splits: tuple[str, ...] = ('test', 'held_out')
    """Splits of the synthetic scenes, as in `evaluate reconstruction`."""
    budget: AblationBudget = dataclasses.field(default_factory=AblationBudget)
    out: Path | None = None
    """JSON file for the figures, written after every row."""


_EXCHANGES: dict[str, dict[str, Any]] = {
    **{f'attention, P = {count}': {'iterations': count} for count in (1, 2, 3, 4, 5)},
    **{
        f'{name}, P = {count}': {'iterations': count, 'exchange': name.lower()}
        for name in ('GCN', 'spiral')
        for count in (1, 2)
    },
}
ROWS: dict[str, dict[str, Any]] = {
    'baseline, no exchange': {'iterations': 0, 'association': False},
    **_EXCHANGES,
    **{f'{name}, without L_asso': {**changes, 'association': False} for name, changes in _EXCHANGES.items()},
    'attention, P = 2, every vertex a neighbour': {'iterations': 2, 'threshold': None},
    **{f'late exchange (table 7*), P = {count}': {'iterations': count, 'exchange': 'late'} for count in (1, 2, 3)},
}
"""The variants of tables 6 and 7: changed fields of the network's configuration, and whether L_asso is minimised."""


def ablate(config: ReconstructionAblation) -> dict[str, Any]:
    """Trains every row with every seed on the same crops for the same steps and prints mean and range.

    Runs that finished earlier with the same budget are read from their folder instead of repeated.

    Raises:
        SystemExit: a row has an unknown name, or the start was trained with an exchange.
    """
    budget = config.budget
    names = budget.rows or tuple(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        raise SystemExit(f'unknown row {unknown[0]!r}; the rows are {", ".join(map(repr, ROWS))}')
    if budget.start and start_from(ReconstructionNet(budget.network), budget.start) != 'hand':
        raise SystemExit(
            f'{budget.start} was trained with an exchange: use weights of --branch hand, so that all rows start alike'
        )
    size = budget.network.size
    crops = functools.partial(RgbCrops, budget.records_seed, 'train', round(size * 1.3))
    pool = SamplePool(
        crops,
        crops().dtype,
        budget.pool,
        _key(budget),
        budget.records,
        budget.workers or available_cores(),
        refresh=False,
    )
    try:
        pool.wait(budget.records)
        held = RgbCrops(0, 'validation', round(size * 1.3))
        validation = np.stack([held[index] for index in range(_VALIDATION_CROPS)])
        test = [list(unseen_samples(split, config.samples, size)) for split in config.splits]
        table: dict = {}
        paths = {'pool': str(budget.pool), 'runs': str(budget.runs), 'start': budget.start and str(budget.start)}
        figures = {'budget': dataclasses.asdict(budget) | paths, 'samples': config.samples, 'rows': table}
        for name in names:
            runs = [_run(config, name, ROWS[name], seed, pool.records, validation, test) for seed in budget.seeds]
            table[name] = {
                split: {column: [run[split][column] for run in runs] for column in _COLUMNS} for split in config.splits
            }
            for split in config.splits:
                print(
                    f'{name:45} {split:9}'
                    + ''.join(
                        f'  {column} {np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})'
                        for column, values in table[name][split].items()
                    ),
                    flush=True,
                )
            write_figures(figures, config.out)
    finally:
        pool.close()
    return figures


def _key(budget: AblationBudget) -> str:
    """Of the records of a training."""
    return generator_key(budget.records_seed, 'ablation', modules=[RgbCrops.__module__])


def _run(
    config: ReconstructionAblation,
    name: str,
    changes: dict[str, Any],
    seed: int,
    records: np.ndarray,
    validation: np.ndarray,
    test: list[list[HandObjectSample]],
) -> dict[str, dict[str, float]]:
    budget = config.budget
    changes = dict(changes)
    association = changes.pop('association', True)
    torch.manual_seed(seed)
    network = ReconstructionNet(dataclasses.replace(budget.network, **changes))
    if budget.start:
        start_from(network, budget.start)
    losses = ReconstructionLosses(classes=len(FAMILIES))
    if not association:
        losses = dataclasses.replace(losses, association=0.0)
    folder = ''.join(letter if letter.isalnum() else '_' for letter in name)
    # A run resumes from its own checkpoint, never from one of another budget, other data, losses or initial weights.
    alike = dataclasses.replace(budget, seeds=(), rows=(), workers=0, threads=0, pool=Path(), runs=Path())
    told = [repr((alike, losses, changes)), _key(budget)]
    told += [file_sha256(budget.start)] if budget.start else []
    digest = hashlib.sha256('\n'.join(told).encode()).hexdigest()[:8]
    loop = LoopConfig(
        budget.runs / f'{folder}_{seed}_{digest}',
        steps=budget.steps,
        minutes=1e6,
        batch=budget.batch,
        optimizer=budget.optimizer,
        learning_rate=budget.learning_rate,
        seed=seed,
        threads=budget.threads or available_cores(),
        precision=budget.precision,
    )
    finished = loop.out / f'{config.samples}_{"_".join(config.splits)}.json'
    if finished.is_file():
        return json.loads(finished.read_text())
    train_network(network, losses, loop, RgbAugmentation(size=budget.network.size), lambda: records, validation)
    reader = reader_of(network.cpu().eval())
    figures = {split: evaluate_network(reader, samples) for split, samples in zip(config.splits, test)}
    finished.parent.mkdir(parents=True, exist_ok=True)
    finished.write_text(json.dumps(figures))
    return figures
