# SPDX-License-Identifier: Apache-2.0
"""Trains the denoiser of `two_hand_prior` and the networks that it is compared with on pairs of hands."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.data.pool import require_capacity
from training.data.real.two_hand_tracks import TwoHandTracks
from training.data.two_hand_pools import TwoHandPools
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


@dataclasses.dataclass(frozen=True)
class TwoHandPriorRecipe(TwoHandPools):
    """Trains a network of `two_hand_prior`."""

    network: TwoHandNetwork = 'small'
    """small: the denoiser that robots run; paper: the same at the paper's widths. The others are compared with it."""
    anchor_dropout: float = 0.5
    """Share of samples in which the other hand is not shown."""
    tracks: Path | None = None
    """leap_tracks.npz: tracked pairs of real hands that are added."""
    tracks_share: float = 0.05
    """Share of them in a batch."""
    start: Path | None = None
    """weights.pt of an earlier training of the same network to start from."""
    loop: LoopConfig = dataclasses.field(
        default_factory=lambda: LoopConfig(Path('runs/two_hand_prior'), batch=256, every=2000, steps=80_000)
    )


@dataclasses.dataclass(frozen=True)
class PairRecords:
    """What a training draws from.

    Attributes:
        made: returns the made pairs that may be drawn.
        held_out: pairs of the validation.
        tracked: pairs of real hands.
        tracked_share: of a batch.
    """

    made: Callable[[], np.ndarray]
    held_out: np.ndarray
    tracked: np.ndarray | None = None
    tracked_share: float = 0.0

    @property
    def sources(self) -> list[tuple[Callable[[], np.ndarray], float]]:
        """Arguments of `PairBatches`."""
        if self.tracked is None:
            return [(self.made, 1.0)]
        return [(self.made, 1 - self.tracked_share), (lambda: self.tracked, self.tracked_share)]


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
    tracked = TwoHandTracks(recipe.tracks).records if recipe.tracks else None
    held_out = recipe.held_out('validation', VALIDATION_PAIRS, until=loop.after(0.25, started))
    pool = recipe.training(loop.seed, False, shares.filling, shares.beside, loop.after(0.5, started))
    with pool as made:
        pairs = PairRecords(made, held_out, tracked, recipe.tracks_share)
        return train_network(network, recipe, pairs, started)


def train_network(
    network: nn.Module, recipe: TwoHandPriorRecipe, pairs: PairRecords, started: float | None = None
) -> dict[str, float]:
    """Trains a network in place and writes its weights.

    Args:
        network: in place.
        recipe: the choices, with a learning rate.
        pairs: what it draws from.
        started: as of `fit`.

    Returns:
        The figures of the validation.
    """
    loop = recipe.loop
    whitening = whitening_of(pairs.made(), loop.out)
    batches = PairBatches(pairs.sources, whitening, loop.batch, loop.seed, recipe.anchor_dropout)
    held_out = PairBatches([(lambda: pairs.held_out, 1.0)], whitening, len(pairs.held_out), 0)(0)
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
        pairs={'made': len(pairs.made()), 'tracked': 0 if pairs.tracked is None else len(pairs.tracked)},
        **provenance(recipe.start),
    )
    return figures
