# SPDX-License-Identifier: Apache-2.0
"""Trains the denoiser of `two_hand_prior` and the networks that it is compared with on pairs of hands."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hoi_ros.hand.model import HandModel
from training.data.pool import require_capacity
from training.data.public.pair_choice import PairPools
from training.data.real.two_hand_tracks import TwoHandTracks
from training.errors import TrainingError
from training.loop.allotment import allot
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.loop.fitting import save_weights
from training.networks.two_hand_prior.choice import ENCODER
from training.networks.two_hand_prior.choice import start_from
from training.networks.two_hand_prior.choice import two_hand_network
from training.networks.two_hand_prior.choice import TwoHandNetwork
from training.networks.two_hand_prior.choice import with_objects
from training.networks.two_hand_prior.with_objects import WithObjects
from training.provenance import provenance
from training.recipes.two_hand_losses import loss_of
from training.recipes.two_hand_losses import validation_of
from training.recipes.two_hand_objects import ObjectPairDraws
from training.recipes.two_hand_objects import SAMPLES
from training.recipes.two_hand_objects import without_objects
from training.recipes.two_hand_samples import PairBatches
from training.recipes.two_hand_samples import whitening_of

VALIDATION_PAIRS = 1024
_VALIDATION_OBJECTS = 128
_LEAST = 8
"""Objects of a batch, which the encoder is normalised over."""
_DROPPED = 0.1
"""Share of the pairs on objects whose object is not shown, as if there were none."""
_RATE = 1e-3
"""Learning rate, five times the paper's: better in a short training."""


@dataclasses.dataclass(frozen=True)
class TwoHandPriorRecipe(PairPools):
    """Trains a network of `two_hand_prior`."""

    network: TwoHandNetwork = 'small'
    """small: the denoiser that robots run; paper: the same at the paper's widths. The others are compared with it."""
    anchor_dropout: float = 0.5
    """Share of samples in which the other hand is not shown."""
    objects: float = 0.0
    """Share of pairs on objects in a batch, less than 1; 0 trains without objects. Eight objects are the least."""
    tracks: Path | None = None
    """leap_tracks.npz: tracked pairs of real hands that are added."""
    tracks_share: float = 0.05
    """Share of them in the pairs without objects of a batch."""
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
        on_objects: returns the pairs on objects that may be drawn.
        held_out_on_objects: those of the validation.
    """

    made: Callable[[], np.ndarray]
    held_out: np.ndarray
    tracked: np.ndarray | None = None
    on_objects: Callable[[], np.ndarray] | None = None
    held_out_on_objects: np.ndarray | None = None

    def sources(self, recipe: TwoHandPriorRecipe) -> list[tuple[Callable[[], np.ndarray], float]]:
        """Argument of `PairBatches`: the pairs that are drawn without objects."""
        free, tracked = 1 - recipe.objects, 0.0 if self.tracked is None else recipe.tracks_share
        sources = [(self.made, free * (1 - tracked))]
        if self.tracked is not None:
            sources.append((lambda: self.tracked, free * tracked))
        if self.on_objects is not None:
            sources.append((lambda: without_objects(self.on_objects()), _DROPPED * recipe.objects))
        return sources


class ShareError(TrainingError):
    """A share of a batch is out of its range."""


def train(recipe: TwoHandPriorRecipe) -> dict[str, float]:
    """Trains, validates, saves the weights in `<out>/weights.pt` and returns the figures of the validation.

    Raises:
        ShareError: the pairs on objects are no share of a batch.
        DatasetError: a folder does not hold the data set.
    """
    if recipe.data == 'arctic' and not recipe.objects:
        raise ShareError('--data arctic has pairs on objects, and --objects is 0: give their share of a batch')
    if not 0 <= recipe.objects < 1:
        raise ShareError(f'--objects {recipe.objects:g}: expected a share of 0 to less than 1')
    started = time.monotonic()
    shares = allot(recipe.loop.accelerator, recipe.loop.devices, recipe.workers, recipe.loop.threads)
    loop = dataclasses.replace(recipe.loop, threads=shares.threads).with_rate(_RATE, bool(recipe.start))
    recipe = dataclasses.replace(recipe, loop=loop)
    require_capacity(recipe.capacity)
    torch.manual_seed(loop.seed)
    network = with_objects(recipe.network) if recipe.objects else two_hand_network(recipe.network)
    if recipe.start:
        start_from(network, recipe.start)
    kinds = (False, True) if recipe.objects else (False,)
    held_out = [recipe.held_out('validation', VALIDATION_PAIRS, kind, loop.after(0.25, started)) for kind in kinds]
    tracked = TwoHandTracks(recipe.tracks, hand=HandModel.load(recipe.hand)).records if recipe.tracks else None
    with contextlib.ExitStack() as stack:
        until = loop.after(0.5, started)
        made = [
            stack.enter_context(recipe.training(loop.seed, kind, shares.filling, shares.beside, until))
            for kind in kinds
        ]
        pairs = PairRecords(
            made[0], held_out[0], tracked, *(part for parts in (made[1:], held_out[1:]) for part in parts)
        )
        return train_network(network, recipe, pairs, started)


def train_network(
    network: nn.Module, recipe: TwoHandPriorRecipe, pairs: PairRecords, started: float | None = None
) -> dict[str, float]:
    """Trains a network in place and writes its weights.

    Args:
        network: in place; with the encoder of objects if there are any.
        recipe: the choices, with a learning rate.
        pairs: what it draws from.
        started: as of `fit`.

    Returns:
        The figures of the validation.
    """
    loop, encoder = recipe.loop, network.encoder if isinstance(network, WithObjects) else None
    whitening = whitening_of(pairs.made(), loop.out, pairs.on_objects and pairs.on_objects())
    draws = held_out_on_objects = None
    if pairs.on_objects:
        if loop.batch <= _LEAST * SAMPLES:
            raise ShareError(f'--loop.batch {loop.batch}: expected more than {_LEAST * SAMPLES} pairs with --objects')
        objects = max(_LEAST, round(loop.batch * recipe.objects * (1 - _DROPPED) / SAMPLES))
        draws = ObjectPairDraws(pairs.on_objects, whitening, objects, loop.seed)
        count = min(_VALIDATION_OBJECTS, len(pairs.held_out_on_objects))
        validation = ObjectPairDraws(lambda: pairs.held_out_on_objects, whitening, count, 0, 0.0)
        held_out_on_objects = PairBatches([], whitening, SAMPLES * count, 0, held=validation)(0)
    batches = PairBatches(pairs.sources(recipe), whitening, loop.batch, loop.seed, recipe.anchor_dropout, draws)
    held_out = PairBatches([(lambda: pairs.held_out, 1.0)], whitening, len(pairs.held_out), 0)(0)
    validate = validation_of(recipe.network, held_out, held_out_on_objects)
    progress = fit(network, loop, batches, loss_of(recipe.network), validate, started)
    figures = validate(network)
    counted = {'made': pairs.made(), 'tracked': pairs.tracked, 'on_objects': pairs.on_objects and pairs.on_objects()}
    save_weights(
        network.network if encoder else network,
        loop,
        progress,
        figures,
        network=recipe.network,
        object_width=encoder.last.out_features if encoder else 0,
        whitening={name: torch.from_numpy(array) for name, array in dataclasses.asdict(whitening).items()},
        data=recipe.data,
        hand=HandModel.load(recipe.hand).digest(),
        pairs={name: 0 if records is None else len(records) for name, records in counted.items()},
        **{ENCODER: encoder and encoder.cpu().state_dict()},
        **provenance(recipe.start),
    )
    return figures
