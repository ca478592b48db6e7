# SPDX-License-Identifier: Apache-2.0
"""Trains the network that places misplaced hands, from what `depth_pose` makes of simulated pairs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import HandParameters
from hoi_ros.hand.pair import in_frame
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import parameters_of
from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import rotation_of
from hoi_ros.hand.pair import vector_of
from hoi_ros.stages.parts.pair_cleaner import confidences_of
from hoi_ros.stages.parts.pair_cleaner import MISPLACED
from hoi_ros.stages.parts.pair_cleaner import view_of
from training.data.two_hand_pools import HeldOutPools
from training.evaluation.figures import EvaluationError
from training.evaluation.two_hand_estimates import estimates_of
from training.loop.allotment import allot
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.loop.fitting import save_weights
from training.networks.two_hand_prior.cleaner import PairCleanerNetwork
from training.networks.two_hand_prior.posing import rotation_matrix
from training.provenance import provenance

_RATE = 3e-3
_UNIT = 0.01
"""Metres of error that count 1."""


@dataclasses.dataclass(frozen=True)
class TwoHandCleanRecipe(HeldOutPools):
    """Trains the network that places misplaced hands, from what `depth_pose` makes of simulated pairs."""

    frames: int = 4000
    """Simulated frames of pairs of the training split, in which `depth_pose` estimates both hands: a second each."""
    validation_frames: int = 300
    estimates: Path = Path('runs/two_hand_estimates.npz')
    """File that keeps the estimates; those of the validation split are beside it, as <name>_validation.npz."""
    models: Path = Path('models')
    """Folder of `depth_pose`."""
    loop: LoopConfig = dataclasses.field(
        default_factory=lambda: LoopConfig(
            Path('runs/two_hand_clean'), 3000, 180.0, 256, weight_decay=0.05, averaging=0.99, every=1000
        )
    )


class ObservedPairs(NamedTuple):
    """N pairs, the right hand first.

    Attributes:
        observed, true: (N, 2, 64) vectors in the camera's frame.
        confidences: (N, 2, 3) of the observations.
    """

    observed: np.ndarray
    true: np.ndarray
    confidences: np.ndarray

    @property
    def misplaced(self) -> np.ndarray:
        """(N, 2) whether a hand is not where it was observed."""
        return np.linalg.norm((self.observed - self.true)[..., PLACE], axis=-1) > MISPLACED

    def mirrored(self) -> ObservedPairs:
        """The mirror images."""
        hands = (mirrored(part[:, ::-1]) for part in (self.observed, self.true))
        return ObservedPairs(*hands, self.confidences[:, ::-1])


class Views(NamedTuple):
    """What the network learns from, (N, ...); lengths in metres, in the frame of the left wrist as it was observed.

    Attributes:
        pair: (N, 30) its input.
        observed: (N, 2, 21, 3) keypoints of the observed hands about their wrists.
        true: (N, 2, 21, 3) keypoints of the true hands.
        misplaced: (N, 2) 1 or 0.
    """

    pair: Tensor
    observed: Tensor
    true: Tensor
    misplaced: Tensor


def observed_pairs(rows: np.ndarray, path: Path) -> ObservedPairs:
    """The pairs of rows of ESTIMATE_DTYPE, of a file, of which both hands were found.

    Raises:
        EvaluationError: there are none.
    """
    found, right = rows[rows['found'].all(1)], HandModel.load()
    if not len(found):
        raise EvaluationError(f'{path}: both hands were found in none of {len(rows)} frames: give more --frames')
    names = 'pose', 'shape', 'translation'
    hands = [
        np.stack(
            [
                vector_of(model, HandParameters(*(found[kind + name][:, place] for name in names)))
                for place, model in enumerate((right, right.mirrored()))
            ],
            1,
        )
        for kind in ('', 'true_')
    ]
    return ObservedPairs(*hands, confidences_of(found['score'], found['side_score'], found['joint_scores']))


def views_of(pairs: ObservedPairs) -> Views:
    """Of pairs, and then of their mirror images."""
    right = HandModel.load()
    models = right, right.mirrored()

    def keypoints(hands: np.ndarray) -> np.ndarray:
        """(N, 2, 21, 3) of vectors (N, 2, 64)."""
        sides = [
            np.stack([model.forward(*parameters_of(model, hand), vertices=False).keypoints for hand in hands[:, place]])
            for place, model in enumerate(models)
        ]
        return np.stack(sides, 1)

    parts = []
    for some in (pairs, pairs.mirrored()):
        left = some.observed[:, 1]
        wanted = in_frame(some.true, rotation_of(left)[:, None], left[:, None, PLACE])
        view = view_of(some.observed[:, 0], left, keypoints(some.observed), some.confidences)
        parts.append((view, keypoints(anchored(some.observed)), keypoints(wanted), some.misplaced))
    return Views(*(torch.from_numpy(np.concatenate(part).astype(np.float32)) for part in zip(*parts)))


def clean_loss(network: nn.Module, *parts: Tensor) -> dict[str, Tensor]:
    """The loss of `fit`: distances of the keypoints of both hands and of the wrists' relative place, and the cross
    entropy of which hand is misplaced. Of a mixture, distances that are not squared take the median, not the mean."""
    views = Views(*parts)
    roots, misplaced = network(views.pair)
    off = placed(roots, views.observed) - views.true
    return {
        'keypoints': _lengths(off).mean() / _UNIT,
        'relative_root': _lengths(off[:, 0, 0] - off[:, 1, 0]).mean() / _UNIT,
        'misplaced': F.binary_cross_entropy_with_logits(misplaced, views.misplaced),
    }


def placed(roots: Tensor, keypoints: Tensor) -> Tensor:
    """(B, 2, 21, 3) keypoints about wrists, (B, 2, 21, 3), at roots (B, 18) of a right and a left hand."""
    roots = roots.unflatten(1, (2, 9))
    return keypoints @ rotation_matrix(roots[..., :6]).transpose(-1, -2) + roots[..., None, 6:]


def _lengths(vectors: Tensor) -> Tensor:
    return vectors.square().sum(-1).add(1e-8).sqrt()


def train(recipe: TwoHandCleanRecipe) -> dict[str, float]:
    """Trains, validates, saves the weights in `<out>/weights.pt` and returns the figures of the validation."""
    started = time.monotonic()
    shares = allot(recipe.loop.accelerator, recipe.loop.devices, recipe.workers, recipe.loop.threads)
    loop = dataclasses.replace(recipe.loop, threads=shares.threads).with_rate(_RATE)
    beside = recipe.estimates.with_stem(f'{recipe.estimates.stem}_validation')
    observed = []
    for split, frames, path, end in (
        ('validation', recipe.validation_frames, beside, 0.2),
        ('train', recipe.frames, recipe.estimates, 0.9),
    ):
        records = recipe.held_out(split, frames, until=loop.after(end / 2, started))
        observed.append(observed_pairs(estimates_of(records, path, recipe.models, loop.after(end, started)), path))
    held, learned = (views_of(pairs) for pairs in observed)
    torch.manual_seed(loop.seed)
    network = PairCleanerNetwork()
    network.mean.copy_(learned.pair.mean(0))
    network.deviation.copy_(learned.pair.std(0).clamp(min=1e-3))
    validate = validation_of(held)

    def batch(step: int) -> tuple[Tensor, ...]:
        rng = torch.Generator().manual_seed(loop.seed * 2**40 + step)
        rows = torch.randint(len(learned.pair), (loop.batch,), generator=rng)
        return tuple(part[rows] for part in learned)

    progress = fit(network, loop, batch, clean_loss, validate, started)
    figures, count = validate(network), len(learned.pair) // 2
    misplaced = int(learned.misplaced[:count].any(1).sum())
    save_weights(
        network, loop, progress, figures, pairs={'observed': count, 'misplaced': misplaced}, **provenance(None)
    )
    return figures


def validation_of(views: Views) -> Callable[[nn.Module], dict[str, float]]:
    """A function that measures the relative root error of pairs with a misplaced hand, mm, as observed and as the
    network has it, and how often it tells whether a hand is misplaced."""
    some = views.misplaced.any(1)
    true = views.true[:, 0, 0] - views.true[:, 1, 0]

    def error(apart: Tensor) -> float:
        return 1e3 * float(_lengths(apart - true)[some].mean())

    def validate(network: nn.Module) -> dict[str, float]:
        with torch.inference_mode():
            roots, misplaced = (part.cpu() for part in network(views.pair.to(next(network.parameters()).device)))
        return {
            'observed_root_mm': error(views.pair[:, 6:9]),
            'clean_root_mm': error(roots[:, 6:9] - roots[:, 15:18]),
            'told': float(((misplaced > 0) == (views.misplaced > 0)).float().mean()),
        }

    return validate
