# SPDX-License-Identifier: Apache-2.0
"""Trains the network whose features compare pairs of hands: `evaluate two_hand_prior` measures with it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import ROOT
from training.data.pool import require_capacity
from training.data.public.pair_choice import PairPools
from training.loop.allotment import allot
from training.loop.checkpoint import Progress
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.loop.fitting import save_weights
from training.networks.two_hand_prior.features import keypoints_of
from training.networks.two_hand_prior.features import PairClouds
from training.networks.two_hand_prior.features import targets
from training.networks.two_hand_prior.features import TwoHandFeatures
from training.networks.two_hand_prior.features import views
from training.networks.two_hand_prior.features import with_outputs
from training.provenance import provenance

VALIDATION_PAIRS = 1024
_RATE = 2e-3
_JOINT_UNIT = 0.01
"""Metres of error of a joint that weigh as much as one standard deviation of an output."""
_BATCH = 256


@dataclasses.dataclass(frozen=True)
class TwoHandFeaturesRecipe(PairPools):
    """Trains the network whose features compare pairs of hands."""

    with_object: bool = False
    """Whether the hands hold an object, whose points the network is given."""
    loop: LoopConfig = dataclasses.field(
        default_factory=lambda: LoopConfig(Path('runs/two_hand_features'), 12_000, 25.0, 32, every=2000)
    )


class Batches:
    """Draws pairs from records, half of them mirrored, seeded by the step.

    Args:
        records: returns the records that may be drawn.
        recipe: batch size, seed and kind of record.
    """

    def __init__(self, records: Callable[[], np.ndarray], recipe: TwoHandFeaturesRecipe) -> None:
        self._records, self._recipe = records, recipe

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """Right and left hands (B, 64), targets (B, 54) and, with objects, their points (B, M, 3)."""
        loop = self._recipe.loop
        rng = np.random.default_rng([loop.seed, 53, step])
        records = self._records()
        drawn = records[np.sort(rng.integers(len(records), size=loop.batch))]
        return pair_tensors(drawn, self._recipe.with_object, rng.random(len(drawn)) < 0.5)


def pair_tensors(records: np.ndarray, with_object: bool, flipped: np.ndarray | None = None) -> tuple[Tensor, ...]:
    """What `Batches` returns, of records.

    Args:
        records: of pairs, or of pairs with an object.
        with_object: whether there is an object.
        flipped: (N,) bool, pairs that are replaced by their mirror image.
    """
    right, left = records['right'].copy(), records['left'].copy()
    points = [records['object_points'].copy()] if with_object else []
    if flipped is not None:
        right[flipped], left[flipped] = views(right[flipped], left[flipped], with_object)
        for cloud in points:
            cloud[flipped, :, 0] *= -1
    arrays = right, left, targets(right, left, with_object), *points
    return tuple(torch.from_numpy(np.ascontiguousarray(array, np.float32)) for array in arrays)


def train(recipe: TwoHandFeaturesRecipe) -> dict[str, float]:
    """Trains, validates, saves the weights in `<out>/weights.pt` and returns the figures of the validation."""
    started = time.monotonic()
    shares = allot(recipe.loop.accelerator, recipe.loop.devices, recipe.workers, recipe.loop.threads)
    loop = dataclasses.replace(recipe.loop, threads=shares.threads).with_rate(_RATE)
    recipe = dataclasses.replace(recipe, loop=loop)
    require_capacity(recipe.capacity)
    recipe.require_recorded(recipe.with_object)
    torch.manual_seed(loop.seed)
    network = TwoHandFeatures(recipe.with_object, HandModel.load(recipe.hand))
    held = recipe.with_object
    validation = recipe.held_out('validation', VALIDATION_PAIRS, held, loop.after(0.25, started))
    with recipe.training(loop.seed, held, shares.filling, shares.beside, loop.after(0.5, started)) as records:
        progress, figures = train_network(network, recipe, records, validation, started)
    entries = {'with_object': recipe.with_object, 'data': recipe.data, 'hand': network.hand.digest()}
    save_weights(network, loop, progress, figures, **entries, **provenance(None))
    return figures


def train_network(
    network: TwoHandFeatures,
    recipe: TwoHandFeaturesRecipe,
    records: Callable[[], np.ndarray],
    validation: np.ndarray,
    started: float | None = None,
) -> tuple[Progress, dict[str, float]]:
    """Trains a network in place.

    Args:
        network: in place.
        recipe: the choices.
        records: returns the records that may be drawn.
        validation: records of the validation.
        started: as of `fit`.

    Returns:
        The progress and the figures of the validation.
    """
    outputs = pair_tensors(records()[:4096], recipe.with_object)[2]
    network.mean.copy_(outputs.mean(0))
    network.deviation.copy_(outputs.std(0).clamp(min=1e-3))
    loss = feature_loss(recipe.with_object, network.hand)

    def validate(module: nn.Module) -> dict[str, float]:
        return {'mpjpe_mm': joint_error(module, validation, recipe.with_object)}

    progress = fit(network, recipe.loop, Batches(records, recipe), loss, validate, started)
    return progress, validate(network)


def feature_loss(with_object: bool, right_hand: HandModel) -> Callable[..., dict[str, Tensor]]:
    """The loss of `fit` for the batches of `Batches`: errors of the outputs in standard deviations, and of joints.

    Args:
        with_object: whether the hands hold an object.
        right_hand: of the pairs.
    """
    parts: dict[torch.device, tuple[PairClouds, HandModel]] = {}

    def loss(forward: nn.Module, right: Tensor, left: Tensor, wanted: Tensor, *things: Tensor) -> dict[str, Tensor]:
        if right.device not in parts:
            parts[right.device] = PairClouds(right_hand, right.device), right_hand.to_torch(right.device)
        clouds, hand = parts[right.device]
        outputs = forward(clouds(right, left), *things).float()
        predicted = keypoints_of(hand, *with_outputs(right, left, outputs, with_object))
        joints = (predicted - keypoints_of(hand, right, left)).square().sum(-1).add(1e-8).sqrt().mean() / _JOINT_UNIT
        return {'outputs': F.smooth_l1_loss(outputs / forward.deviation, wanted / forward.deviation), 'joints': joints}

    return loss


def joint_error(network: TwoHandFeatures, records: np.ndarray, with_object: bool) -> float:
    """Mean error of the joints of both hands, mm, with their true shapes.

    The pose of a hand is that of the view about its wrist, the right root that of the view about the left wrist.

    Args:
        network: in evaluation mode.
        records: of pairs.
        with_object: as of the network.
    """
    device = next(network.parameters()).device
    clouds, hand = network.clouds(device), network.hand.to_torch(device)
    errors = []
    with torch.inference_mode():
        for start in range(0, len(records), _BATCH):
            some = records[start : start + _BATCH]
            right, left, _, *things = (part.to(device) for part in pair_tensors(some, with_object))
            found = with_outputs(right, left, network(clouds(right, left), *things), with_object)
            flipped = pair_tensors(some, with_object, np.ones(len(some), bool))
            other_right, other_left, _, *things = (part.to(device) for part in flipped)
            outputs = network(clouds(other_right, other_left), *things)
            # The left hand of the mirror image is the right hand.
            other = with_outputs(other_right, other_left, outputs, with_object)[1]
            pose, root = other[:, : ROOT.start], found[0][:, ROOT]
            if with_object:
                root = torch.from_numpy(mirrored(other.numpy(force=True))[:, ROOT]).to(device)
            predicted = keypoints_of(hand, torch.cat([pose, root], 1), found[1])
            apart = (predicted - keypoints_of(hand, right, left)).norm(dim=-1)
            errors.append(apart.mean(-1).numpy(force=True))
    return 1e3 * float(np.concatenate(errors).mean())
