# SPDX-License-Identifier: Apache-2.0
"""Trains the denoiser of `two_hand_prior` and the networks that it is compared with on pairs of hands."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hoi_ros.hand.model import HandModel
from training.data.pool import filled
from training.data.pool import generator_key
from training.data.pool import made_in
from training.data.pool import PoolError
from training.data.pool import require_capacity
from training.data.pool import SamplePool
from training.data.pool import Samples
from training.data.synthetic.two_hands.records import PAIR_DTYPE
from training.loop.allotment import allot
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.loop.fitting import save_weights
from training.networks.two_hand_prior.choice import start_from
from training.networks.two_hand_prior.choice import two_hand_network
from training.networks.two_hand_prior.choice import TwoHandNetwork
from training.provenance import provenance
from training.recipes.two_hand_losses import loss_of
from training.recipes.two_hand_losses import validation_of
from training.recipes.two_hand_samples import PairBatches
from training.recipes.two_hand_samples import whitening_of

VALIDATION_PAIRS = 1024
_RATE = 1e-3
"""Learning rate, five times the paper's: better in a short training."""
_PAIRS = 'training.data.synthetic.two_hands.generator'
_TRACKS = 'training.data.real.two_hand_tracks'


@dataclasses.dataclass(frozen=True)
class TwoHandPriorRecipe:
    """Trains a network of `two_hand_prior`."""

    network: TwoHandNetwork = 'small'
    """small: the denoiser that robots run; paper: the same at the paper's widths. The others are compared with it."""
    anchor_dropout: float = 0.5
    """Share of samples in which the other hand is not shown."""
    pool: Path = Path('runs/two_hand_prior.pool')
    """File of pairs; it grows to `capacity` and is reused."""
    capacity: int = 65_536
    """Pairs in the pool."""
    workers: int = 0
    """Processes that make pairs; 0 chooses them."""
    refresh: bool = True
    """Keep making pairs once the pool is full, replacing the oldest ones."""
    first: int = 16_384
    """Pairs that must be ready before the training starts."""
    as_it_is: bool = False
    """Train on the pairs in the files of the pool, whatever made them; none is made."""
    tracks: Path | None = None
    """leap_tracks.npz: tracked pairs of real hands that are added."""
    tracks_share: float = 0.05
    """Share of them in a batch."""
    start: Path | None = None
    """weights.pt of an earlier training of the same network to start from."""
    loop: LoopConfig = dataclasses.field(
        default_factory=lambda: LoopConfig(Path('runs/two_hand_prior'), batch=256, every=2000, steps=80_000)
    )


def train(recipe: TwoHandPriorRecipe) -> dict[str, float]:
    """Trains, validates, saves the weights in `<out>/weights.pt` and returns the figures of the validation."""
    started = time.monotonic()
    shares = allot(recipe.loop.accelerator, recipe.loop.devices, recipe.workers, recipe.loop.threads)
    loop = dataclasses.replace(recipe.loop, threads=shares.threads).with_rate(_RATE, bool(recipe.start))
    recipe = dataclasses.replace(recipe, loop=loop)
    require_capacity(recipe.capacity)
    torch.manual_seed(loop.seed)
    network = two_hand_network(recipe.network)
    if recipe.start:
        start_from(network, recipe.start)
    with PairPools(recipe, shares.filling, shares.beside, started) as pools:
        return train_network(network, recipe, pools, started)


class PairPools:
    """The records of a training: a pool that grows, validation records and tracked ones.

    Args:
        recipe: the choices.
        filling: processes that make pairs before the training.
        beside: and beside it.
        started: `time.monotonic()` when the command began.

    Raises:
        PoolError: there are too few pairs.
    """

    def __init__(self, recipe: TwoHandPriorRecipe, filling: int, beside: int, started: float) -> None:
        self._pool = None
        validation = recipe.pool.with_stem(f'{recipe.pool.stem}_validation')
        if recipe.as_it_is:
            records = _kept(recipe.pool)
            self.train: Callable[[], np.ndarray] = lambda: records
            self.validation = _kept(validation)
        else:
            seed, model = recipe.loop.seed, HandModel.load()
            key = functools.partial(generator_key, hand=model, modules=[_PAIRS])
            until = recipe.loop.after(0.25, started)
            make = functools.partial(_stream, 0, 'validation')
            self.validation = filled(
                make, PAIR_DTYPE, validation, key(0, 'validation'), VALIDATION_PAIRS, filling, until
            )
            self._pool = pool = SamplePool(
                functools.partial(_stream, seed, 'train'),
                PAIR_DTYPE,
                recipe.pool,
                key(seed, 'train'),
                recipe.capacity,
                filling,
                recipe.refresh,
                beside,
            )
            pool.wait(min(recipe.first, recipe.capacity), 1, recipe.loop.after(0.5, started))
            self.train = lambda: pool.records[: pool.ready]
        self.sources = [(self.train, 1.0)]
        if recipe.tracks:
            tracks = importlib.import_module(_TRACKS).TwoHandTracks(recipe.tracks, 'train').records
            self.sources = [(self.train, 1 - recipe.tracks_share), (lambda: tracks, recipe.tracks_share)]

    def __enter__(self) -> PairPools:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.close()


def _stream(seed: int, split: str) -> Samples:
    """The made pairs, in a worker."""
    return importlib.import_module(_PAIRS).PairInteractions(seed, split)


def _kept(path: Path) -> np.ndarray:
    """The records in the file of a pool."""
    count = made_in(path)
    if not count:
        raise PoolError(f'{path}: no pairs in it, and --as-it-is makes none: name another --pool, or leave it out')
    return np.array(np.memmap(path, PAIR_DTYPE, 'r')[:count])


def train_network(
    network: nn.Module, recipe: TwoHandPriorRecipe, pools: PairPools, started: float | None = None
) -> dict[str, float]:
    """Trains a network in place and writes its weights.

    Args:
        network: in place.
        recipe: the choices, with a learning rate.
        pools: the records.
        started: as of `fit`.

    Returns:
        The figures of the validation.
    """
    loop = recipe.loop
    whitening = whitening_of(pools.train(), loop.out)
    batches = PairBatches(pools.sources, whitening, loop.batch, loop.seed, recipe.anchor_dropout)
    held_out = PairBatches([(lambda: pools.validation, 1.0)], whitening, VALIDATION_PAIRS, 0)(0)
    validate = validation_of(recipe.network, held_out)
    progress = fit(network, loop, batches, loss_of(recipe.network), validate, started)
    figures = validate(network)
    save_weights(
        network,
        loop,
        progress,
        figures,
        network=recipe.network,
        object_width=0,
        whitening={name: torch.from_numpy(array) for name, array in dataclasses.asdict(whitening).items()},
        **provenance(recipe.start),
    )
    return figures
