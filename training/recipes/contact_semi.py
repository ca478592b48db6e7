# SPDX-License-Identifier: Apache-2.0
"""The semi-supervised stage of S²Contact (Tse et al., ECCV 2022, section 3.2).

A student and its teacher, the moving average of the student, start from a supervised training. The student learns from
few labelled grasps, from the teacher's contact maps of unlabelled ones that pass the filters, and to give the same
contact under transformations (equation 6). The teacher is the result.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.hand.model import HandModel
from training.data.pool import filled
from training.data.pool import generator_key
from training.data.pool import require_capacity
from training.data.real.scans import ScannedObjects
from training.data.synthetic.contact import ContactGrasps
from training.data.synthetic.contact import perturb
from training.errors import TrainingError
from training.evaluation.contact import grasps_of
from training.loop.allotment import allot
from training.loop.checkpoint import Progress
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.loop.fitting import save_weights
from training.networks.contact.bins import bin_of
from training.networks.contact.bins import BIN_WEIGHTS
from training.networks.contact.bins import decoded
from training.networks.contact.choice import gcn_of
from training.networks.contact.choice import load_contact_network
from training.networks.contact.cloud import Cloud
from training.networks.contact.cloud import grasp_clouds
from training.networks.contact.cloud import transformed
from training.networks.weights_file import read_weights
from training.provenance import provenance
from training.recipes.contact import Batches
from training.recipes.contact import ContactRecipe
from training.recipes.contact import some_of_both
from training.recipes.contact import VALIDATION_GRASPS
from training.recipes.contact import validation_of
from training.recipes.contact import with_best_prior
from training.recipes.contact_pseudo import PseudoLabelConfig
from training.recipes.contact_pseudo import PseudoLabels
from training.recipes.contact_unlabelled import generated
from training.recipes.contact_unlabelled import of_file
from training.recipes.contact_unlabelled import Unlabelled

_RATE = 3e-4
"""Learning rate, a tenth of that of the supervised training."""


class NoUnlabelledGraspsError(TrainingError):
    """There is nothing to learn from without labels."""


@dataclasses.dataclass(frozen=True)
class SemiWeights:
    """Weights of equation 6, which gives the first two 1 and leaves the third open."""

    supervised: float = 1.0
    unsupervised: float = 1.0
    """Of the pseudo-labels."""
    consistency: float = 1.0
    """λ_c, of the difference between the contact of student and teacher (equation 3)."""


@dataclasses.dataclass(frozen=True)
class StudentConfig:
    """What the student sees of an unlabelled grasp."""

    scale: float = 0.2
    """Greatest change of its size."""
    mirrored: float = 0.2
    """Share that is mirrored. Rotations do nothing: the palm gives the axes."""
    perturbed: bool = False
    """Where the pseudo-label is kept, show the refined hand, moved at random, in place of the estimate. Contact belongs
    to places on the surfaces, so that it stays."""


@dataclasses.dataclass(frozen=True)
class ContactSemiRecipe:
    """Trains a network of `contact` further, with few labelled and with unlabelled grasps."""

    start: Path = Path('runs/contact/weights.pt')
    """weights.pt of the supervised training."""
    labelled: int = 1024
    """Labelled grasps: generated ones of the seed of the supervised training, the first ones of it where that had no
    scanned objects."""
    pool: Path = Path('runs/contact_labelled.pool')
    """File of the labelled grasps. The unlabelled ones are kept beside it, as <name>_unlabelled_<seed>.pool."""
    unlabelled: int = 256
    """Generated grasps of the split `held_out` without labels."""
    scans: Path | None = None
    """Folder of scanned objects; half of the unlabelled grasps hold held-out ones."""
    grasps: Path | None = None
    """JSON lines of further unlabelled grasps, such as estimates of `reconstruction`: each has `object`, `joints`,
    `side` and optionally `object_pose`, as `python -m hoi_ros.replay --grasps` reads them."""
    pseudo: PseudoLabelConfig = dataclasses.field(default_factory=PseudoLabelConfig)
    student: StudentConfig = dataclasses.field(default_factory=StudentConfig)
    weights: SemiWeights = dataclasses.field(default_factory=SemiWeights)
    asked: int = 128
    """As of `train contact`."""
    bin_weights: tuple[float, ...] = BIN_WEIGHTS
    """As of `train contact`."""
    clean: float = 0.1
    """As of `train contact`, of the labelled grasps."""
    workers: int = 0
    """Processes that make grasps; 0 chooses them."""
    loop: LoopConfig = dataclasses.field(
        default_factory=lambda: LoopConfig(Path('runs/contact_semi'), steps=2000, batch=8, every=500, averaging=0.99)
    )
    """`batch` counts labelled grasps; as many unlabelled ones come with them."""

    def supervised(self) -> ContactRecipe:
        """The choices that labelled batches and the validation share with `train contact`.

        Raises:
            WeightsError: the start is missing or of another training.
        """
        kept = read_weights(self.start, 'train contact', 'network', 'gcn', 'points')
        hand_points, object_points = kept['points']
        return ContactRecipe(
            kept['network'],
            gcn_of(kept, self.start),
            hand_points,
            object_points,
            self.asked,
            self.bin_weights,
            self.clean,
            loop=self.loop,
        )


class SemiLoss:
    """Equation 6: a loss for `fit` with the batches of `Batches` and the number of the step.

    Args:
        recipe: the choices.
        shared: those shared with `train contact`.
        pseudo: the unlabelled grasps and their labels, renewed in place.
        hand: the right hand.
    """

    def __init__(self, recipe: ContactSemiRecipe, shared: ContactRecipe, pseudo: PseudoLabels, hand: HandModel) -> None:
        self._recipe, self._shared, self._pseudo, self._hand = recipe, shared, pseudo, hand
        self._on_device = functools.cache(hand.to_torch)
        self._teacher: nn.Module
        self._turn = -1

    def taught_by(self, teacher: nn.Module) -> None:
        """Sets the network, in evaluation mode, that gives the unlabelled grasps their contact."""
        self._teacher = teacher

    def __call__(self, network: nn.Module, *batch: Tensor) -> dict[str, Tensor]:
        """The terms of equation 6."""
        *labelled, asked, bins, step = batch
        recipe, weights, device = self._recipe, self._recipe.weights, bins.device
        cloud = grasp_clouds(self._on_device(device), *labelled)
        if weights.unsupervised == weights.consistency == 0:
            return {'supervised': weights.supervised * self._entropy(network(*cloud, asked), bins).mean()}
        turn = int(step) // recipe.pseudo.every
        if turn != self._turn:
            self._pseudo.turn(self._teacher, turn)
            if self._turn < 0:
                self._say()
            self._turn = turn
        drawn = self._drawn(int(step), device)
        shown = transformed(drawn.shown, drawn.scale, drawn.mirrored)
        parts = (torch.cat(pair) for pair in zip((*cloud, asked), (*shown, drawn.asked)))
        logits, others = network(*parts).float().split([len(asked), len(drawn.asked)])
        with torch.no_grad():
            taught = decoded(self._teacher(*drawn.cloud, drawn.asked).float(), self._teacher.prior)
        apart = (decoded(others, self._teacher.prior) - taught).abs().mean()
        pseudo = (self._entropy(others, drawn.bins) * drawn.kept[:, None]).mean()
        return {
            'supervised': weights.supervised * self._entropy(logits, bins).mean(),
            'unsupervised': weights.unsupervised * pseudo,
            'consistency': weights.consistency * apart,
        }

    def _entropy(self, logits: Tensor, bins: Tensor) -> Tensor:
        """(B, M) weighted cross-entropy, whose mean is about that of `contact_loss`."""
        weights = torch.tensor(self._recipe.bin_weights, device=logits.device)
        entropy = F.cross_entropy(logits.float().flatten(0, 1), bins.flatten(), weights, reduction='none')
        return entropy.unflatten(0, bins.shape) / weights[bins].mean()

    def _drawn(self, step: int, device: torch.device) -> _Drawn:
        """Unlabelled grasps of a step; half of them have a label, if any has."""
        recipe, pseudo = self._recipe, self._pseudo
        rng = np.random.default_rng([recipe.loop.seed, 47, step])
        count, kept = recipe.loop.batch, np.flatnonzero(pseudo.kept)
        numbers = rng.integers(len(pseudo.kept), size=count)
        if len(kept):
            numbers[: count // 2] = rng.choice(kept, count // 2)
        estimates, known = pseudo.unlabelled.estimates[numbers], pseudo.kept[numbers]
        surfaces = len(self._hand.template), estimates['object_points'].shape[1]
        nodes = self._shared.hand_points or surfaces[0], self._shared.object_points or surfaces[1]
        rows = some_of_both(rng, count, surfaces, nodes)
        asked = some_of_both(rng, count, nodes, (recipe.asked // 2, recipe.asked - recipe.asked // 2))
        contact = np.take_along_axis(np.take_along_axis(pseudo.contact[numbers], rows, 1), asked, 1)
        scale = 1 + recipe.student.scale * rng.uniform(-1, 1, count)
        mirrored = rng.random(count) < recipe.student.mirrored

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.array(array, np.float32)).to(device)

        def clouds(pose: np.ndarray, translation: np.ndarray) -> Cloud:
            hand = tensor(pose), tensor(estimates['shape']), tensor(translation)
            thing = tensor(estimates['object_points']), tensor(estimates['object_normals'])
            return grasp_clouds(self._on_device(device), *hand, *thing, torch.from_numpy(rows).to(device))

        cloud = shown = clouds(estimates['pose'], estimates['translation'])
        if recipe.student.perturbed:
            pose, translation = perturb(self._hand, pseudo.pose[numbers], pseudo.translation[numbers], 'mixed', rng)
            pose = np.where(known[:, None], pose, estimates['pose'])
            shown = clouds(pose, np.where(known[:, None], translation, estimates['translation']))
        return _Drawn(
            cloud,
            shown,
            torch.from_numpy(asked).to(device),
            bin_of(tensor(contact)),
            tensor(known),
            tensor(scale),
            torch.from_numpy(mirrored).to(device),
        )

    def _say(self) -> None:
        shares = self._pseudo.rejected()
        kept = shares.pop('kept')
        rejected = ', '.join(f'{name} {share:.0%}' for name, share in shares.items())
        print(f'{len(self._pseudo.kept)} unlabelled grasps: {kept:.0%} of the labels are kept; rejected by {rejected}')


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """Unlabelled grasps of a step: what the teacher and what the student sees, the points (B, M) that are asked for,
    their bins (B, M), whether these are kept (B,), and the student's transformation: scale (B,) and mirrored (B,)."""

    cloud: Cloud
    shown: Cloud
    asked: Tensor
    bins: Tensor
    kept: Tensor
    scale: Tensor
    mirrored: Tensor


def train(recipe: ContactSemiRecipe) -> dict[str, float]:
    """Trains, validates, saves the weights in `<out>/weights.pt` and returns the figures of the validation.

    Raises:
        NoUnlabelledGraspsError: neither generated grasps nor a file of them is asked for.
        GraspFileError, WeightsError: a file is missing or damaged.
    """
    started = time.monotonic()
    shares = allot(recipe.loop.accelerator, recipe.loop.devices, recipe.workers, recipe.loop.threads)
    loop = dataclasses.replace(recipe.loop, threads=shares.threads).with_rate(_RATE)
    recipe = dataclasses.replace(recipe, loop=loop)
    require_capacity(recipe.labelled, loop.batch, '--loop.batch')
    shared = recipe.supervised()
    if not recipe.unlabelled and not recipe.grasps:
        raise NoUnlabelledGraspsError('--unlabelled is 0 and there is no --grasps FILE: give one of them')
    model = HandModel.load()
    validation = grasps_of('validation', VALIDATION_GRASPS, recipe.pool, shares.filling)
    seed = read_weights(recipe.start, 'train contact').get('seed', 0)
    make = functools.partial(ContactGrasps, seed, 'train')
    key = generator_key(seed, 'train', model, [ContactGrasps.__module__])
    records = filled(make, make().dtype, recipe.pool, key, recipe.labelled, shares.filling)
    unlabelled = unlabelled_of(recipe, shares.filling)
    network = load_contact_network(recipe.start)
    progress, figures = train_network(network, recipe, shared, records, validation, unlabelled, started)
    real = [(recipe.scans, ScannedObjects(recipe.scans, 'held_out').meshes)] if recipe.scans else []
    save_weights(
        network,
        loop,
        progress,
        figures,
        network=shared.network,
        gcn=dataclasses.asdict(shared.gcn),
        points=[shared.hand_points, shared.object_points],
        data=read_weights(recipe.start, 'train contact').get('data', shared.data),
        **provenance(recipe.start, real),
    )
    return figures


def unlabelled_of(recipe: ContactSemiRecipe, workers: int) -> Unlabelled:
    """The unlabelled grasps that a recipe asks for, of at least one source."""
    found = [of_file(recipe.grasps)] if recipe.grasps else []
    if recipe.unlabelled:
        found.append(generated(recipe.unlabelled, recipe.loop.seed, recipe.scans, recipe.pool, workers))
    return found[0] if len(found) == 1 else found[0].and_also(found[1])


def train_network(
    network: nn.Module,
    recipe: ContactSemiRecipe,
    shared: ContactRecipe,
    records: np.ndarray,
    validation: np.ndarray,
    unlabelled: Unlabelled,
    started: float | None = None,
) -> tuple[Progress, dict[str, float]]:
    """Trains a network in place.

    Args:
        network: with the weights of the supervised training.
        recipe: the choices, with a learning rate.
        shared: `recipe.supervised()`.
        records: the labelled grasps.
        validation: records of the validation.
        unlabelled: grasps without labels.
        started: as of `fit`.

    Returns:
        The progress and the figures of the validation.
    """
    model = HandModel.load()
    shared = dataclasses.replace(shared, loop=recipe.loop)
    batches, validate = Batches(lambda: records, shared, model), validation_of(shared, validation)
    pseudo = PseudoLabels(unlabelled, recipe.pseudo, (shared.hand_points, shared.object_points))
    loss = SemiLoss(recipe, shared, pseudo, model)

    def batch(step: int) -> tuple[Tensor, ...]:
        return (*batches(step), torch.tensor(step))

    progress = fit(network, recipe.loop, batch, loss, validate, started, loss.taught_by)
    return progress, with_best_prior(network, recipe.bin_weights, validate)
