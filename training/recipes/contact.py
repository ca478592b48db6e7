# SPDX-License-Identifier: Apache-2.0
"""Trains GCN-Contact and the networks that it is compared with on made grasps that are perturbed."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.hand.model import HandModel
from training.data.pool import generator_key
from training.data.pool import require_capacity
from training.data.pool import SamplePool
from training.data.public.contact_choice import ContactDataChoice
from training.data.public.contact_choice import require_training_data
from training.data.public.recorded import Source
from training.data.real.scans import scanned_objects
from training.data.real.scans import ScannedObjects
from training.data.synthetic.contact import ContactGrasps
from training.data.synthetic.contact import jittered
from training.data.synthetic.contact import perturb
from training.evaluation.contact import grasps_of
from training.evaluation.contact import NOISE
from training.evaluation.contact import NoisyGrasps
from training.evaluation.contact import predicted
from training.evaluation.contact_maps import contact_figures
from training.loop.allotment import allot
from training.loop.checkpoint import Progress
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.loop.fitting import save_weights
from training.networks.contact.bins import bin_of
from training.networks.contact.bins import BIN_WEIGHTS
from training.networks.contact.bins import prior_of
from training.networks.contact.choice import contact_network
from training.networks.contact.choice import ContactNetwork
from training.networks.contact.choice import start_from
from training.networks.contact.cloud import grasp_clouds
from training.networks.contact.gcn import GcnConfig
from training.provenance import provenance

VALIDATION_GRASPS, VALIDATION_STRIDE = 32, 8
"""Grasps of the validation at each level of noise, and the share of their points, one in so many."""
_RATE = 3e-3
"""Learning rate, three times the paper's: better in a short training."""
_REMOVED = 0.0, 0.25, 0.5, 0.75, 1.0
"""Powers of the bins' weights that are divided out of the probabilities; the best of the validation is kept."""


@dataclasses.dataclass(frozen=True)
class ContactRecipe(ContactDataChoice):
    """Trains a network of `contact`."""

    network: ContactNetwork = 'gcn'
    """gcn: GCN-Contact. The others are its baselines."""
    gcn: GcnConfig = dataclasses.field(default_factory=GcnConfig)
    """Choices of GCN-Contact."""
    hand_points: int = 0
    """Hand vertices that are nodes of the graph, drawn anew for each sample; 0 takes all."""
    object_points: int = 0
    """Object points that are nodes of the graph, likewise."""
    asked: int = 128
    """Points of each cloud that a step trains on, half of them on the hand; 0 takes all. GCN-Contact computes these
    alone, since it needs their own neighbours only; the baselines run on the whole cloud anyway."""
    bin_weights: tuple[float, ...] = BIN_WEIGHTS
    """Weights of the ten bins in the loss."""
    clean: float = 0.1
    """Share of grasps without noise; the noise of the others is between the small and the large level."""
    pool: Path = Path('runs/contact.pool')
    """File of records; it grows to `capacity` and is reused."""
    capacity: int = 16_384
    """Records in the pool."""
    workers: int = 0
    """Processes that make grasps; 0 chooses them."""
    refresh: bool = True
    """Keep making grasps once the pool is full, replacing the oldest records."""
    first: int = 512
    """Records that must be ready before the training starts."""
    scans: Path | None = None
    """Folder of scanned objects; half of the generated grasps hold those of its training split."""
    start: Path | None = None
    """weights.pt of an earlier training of the same network to start from."""
    loop: LoopConfig = dataclasses.field(default_factory=lambda: LoopConfig(Path('runs/contact'), batch=16, every=1000))


class Batches:
    """Draws perturbed grasps from records, seeded by the step.

    Args:
        records: returns the records that may be drawn.
        recipe: the choices of clouds and noise.
        hand: the right hand.
    """

    def __init__(self, records: Callable[[], np.ndarray], recipe: ContactRecipe, hand: HandModel) -> None:
        self._records, self._recipe, self._hand = records, recipe, hand

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """Pose, shape, translation, object points and normals, points of the cloud, those that are asked for, and
        their bins."""
        recipe = self._recipe
        rng = np.random.default_rng([recipe.loop.seed, 37, step])
        records = self._records()
        drawn = records[np.sort(rng.integers(len(records), size=recipe.loop.batch))]
        pose, translation = perturb(self._hand, drawn['pose'], drawn['translation'], 'mixed', rng)
        clean = rng.random(len(drawn)) < recipe.clean
        pose[clean], translation[clean] = drawn['pose'][clean], drawn['translation'][clean]
        points = jittered(drawn['object_points'], rng)
        surfaces = len(self._hand.template), points.shape[1]
        rows = some_of_both(rng, len(drawn), surfaces, (recipe.hand_points, recipe.object_points))
        counts = tuple(count or total for count, total in zip((recipe.hand_points, recipe.object_points), surfaces))
        asked = some_of_both(rng, len(drawn), counts, (recipe.asked // 2, recipe.asked - recipe.asked // 2))
        contact = np.concatenate([drawn['hand_contact'], drawn['object_contact']], 1)
        contact = np.take_along_axis(np.take_along_axis(contact, rows, 1), asked, 1)
        parts = pose, drawn['shape'], translation, points, drawn['object_normals']
        return (
            *(torch.from_numpy(np.array(part, np.float32)) for part in parts),
            torch.from_numpy(rows),
            torch.from_numpy(asked),
            bin_of(torch.from_numpy(contact.astype(np.float32))),
        )


def contact_loss(model: HandModel, weights: Sequence[float]) -> Callable[..., dict[str, Tensor]]:
    """The loss of `fit` for the batches of `Batches`: cross-entropy over the bins of both surfaces.

    Args:
        model: the right hand.
        weights: of the ten bins.
    """
    on_device = functools.cache(model.to_torch)

    def loss(network: nn.Module, *batch: Tensor) -> dict[str, Tensor]:
        *grasp, asked, bins = batch
        cloud = grasp_clouds(on_device(bins.device), *grasp)
        logits = network(cloud.points, cloud.features, asked).flatten(0, 1).float()
        return {'bins': F.cross_entropy(logits, bins.flatten(), torch.tensor(weights, device=logits.device))}

    return loss


def train(recipe: ContactRecipe) -> dict[str, float]:
    """Trains, validates, saves the weights in `<out>/weights.pt` and returns the figures of the validation."""
    started = time.monotonic()
    shares = allot(recipe.loop.accelerator, recipe.loop.devices, recipe.workers, recipe.loop.threads)
    loop = dataclasses.replace(recipe.loop, threads=shares.threads).with_rate(_RATE, bool(recipe.start))
    recipe = dataclasses.replace(recipe, loop=loop)
    require_training_data(recipe)
    require_capacity(recipe.capacity)
    torch.manual_seed(loop.seed)
    network = contact_network(recipe.network, recipe.gcn)
    if recipe.start:
        start_from(network, recipe.start)
    model = HandModel.load()
    until = loop.after(0.25, started)
    validation = grasps_of('validation', VALIDATION_GRASPS, recipe.pool, shares.filling, until, data=recipe)
    scans = scanned_objects(recipe.scans, 'train')
    source, path, refresh = _source(recipe, model, scans)
    pool = SamplePool(
        source.make,
        validation.dtype,
        path,
        source.key,
        source.size,
        shares.filling,
        refresh,
        shares.beside,
    )
    try:
        pool.wait(min(recipe.first, source.size), loop.batch, loop.after(0.5, started))
        progress, figures = train_network(
            network, recipe, model, lambda: pool.records[: pool.ready], validation, started
        )
    finally:
        pool.close()
    save_weights(
        network,
        loop,
        progress,
        figures,
        network=recipe.network,
        gcn=dataclasses.asdict(recipe.gcn),
        points=[recipe.hand_points, recipe.object_points],
        data=recipe.data,
        **provenance(recipe.start, [(scans.folder, scans.meshes)] if scans else ()),
    )
    return figures


def _source(recipe: ContactRecipe, model: HandModel, scans: ScannedObjects | None) -> tuple[Source, Path, bool]:
    """What fills the pool, the pool's file, and whether it is filled again and again."""
    if recipe.data != 'synthetic':
        return (
            recipe.recorded('train', recipe.capacity),
            recipe.pool.with_stem(f'{recipe.pool.stem}_{recipe.data}'),
            False,
        )
    make = functools.partial(ContactGrasps, recipe.loop.seed, 'train', scans)
    key = ScannedObjects.key(recipe.scans) + generator_key(recipe.loop.seed, 'train', model, [ContactGrasps.__module__])
    return Source(make, key, recipe.capacity), recipe.pool, recipe.refresh


def train_network(
    network: nn.Module,
    recipe: ContactRecipe,
    model: HandModel,
    records: Callable[[], np.ndarray],
    validation: np.ndarray,
    started: float | None = None,
) -> tuple[Progress, dict[str, float]]:
    """Trains a network in place.

    Args:
        network: in place.
        recipe: the choices, with a learning rate.
        model: the right hand.
        records: returns the records that may be drawn.
        validation: records of the validation.
        started: as of `fit`.

    Returns:
        The progress and the figures of the validation.
    """
    validate = validation_of(recipe, validation)
    batches = Batches(records, recipe, model)
    network.prior.copy_(prior_of(recipe.bin_weights, 0.5))
    progress = fit(network, recipe.loop, batches, contact_loss(model, recipe.bin_weights), validate, started)
    return progress, with_best_prior(network, recipe.bin_weights, validate)


def validation_of(recipe: ContactRecipe, validation: np.ndarray) -> Callable[[nn.Module], dict[str, float]]:
    """A function that measures the maps of a network in evaluation mode, at each level of noise.

    Args:
        recipe: the choice of nodes.
        validation: records.
    """
    grasps = {level: NoisyGrasps.of(validation, level) for level in NOISE}
    surfaces = tuple(validation[name].shape[1] for name in ('hand_contact', 'object_contact'))
    counts = recipe.hand_points, recipe.object_points
    rows = np.sort(some_of_both(np.random.default_rng(0), 1, surfaces, counts)[0])
    asked = np.arange(0, len(rows), VALIDATION_STRIDE)

    def validate(module: nn.Module) -> dict[str, float]:
        figures = {}
        for level, noisy in grasps.items():
            found = predicted(module, noisy, rows=rows, asked=asked)
            compared = contact_figures(found, noisy.truth.at(rows[asked]))
            figures |= {f'{level}_{name}': value for name, value in compared.items()}
        return figures

    return validate


def with_best_prior(
    network: nn.Module, weights: Sequence[float], validate: Callable[[nn.Module], dict[str, float]]
) -> dict[str, float]:
    """Chooses by the F1 of a validation how much of the bins' weights the network's prior takes back.

    Args:
        network: in place.
        weights: of the ten bins in its loss.
        validate: as of `validation_of`.

    Returns:
        The figures of the choice.
    """

    def score(removed: float) -> float:
        network.prior.copy_(prior_of(weights, removed))
        return _touched_f1(network, validate)

    network.prior.copy_(prior_of(weights, max(_REMOVED, key=score)))
    return validate(network)


def _touched_f1(network: nn.Module, validate: Callable[[nn.Module], dict[str, float]]) -> float:
    """F1 of touched points, the mean of the levels of noise."""
    figures = validate(network)
    return float(np.mean([figures[f'{level}_contact_f1'] for level in NOISE]))


def _some_rows(rng: np.random.Generator, items: int, total: int, count: int) -> np.ndarray:
    """(items, count) different rows of `total` for each item; all of them in order where `count` is 0."""
    if not 0 < count < total:
        return np.tile(np.arange(total), (items, 1))
    return rng.random((items, total)).argpartition(count, 1)[:, :count]


def some_of_both(rng: np.random.Generator, items: int, totals: tuple[int, int], counts: tuple[int, int]) -> np.ndarray:
    """(items, M) places in a cloud whose first `totals[0]` points are the hand's, as many of each surface as asked."""
    hand, thing = (_some_rows(rng, items, total, count) for total, count in zip(totals, counts))
    return np.concatenate([hand, totals[0] + thing], 1)
