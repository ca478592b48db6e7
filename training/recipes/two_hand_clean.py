# SPDX-License-Identifier: Apache-2.0
"""Trains a network that takes noisy, intersecting pairs of hands to clean ones.

A2P (CVPR 2026) learns a diffusion from intersecting pairs to clean ones; here one step does it, with the noise of
estimates on made pairs.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import nn
from torch import Tensor

from hoi_ros.hand.pair import PLACE
from hoi_ros.hand.pair import POSE
from hoi_ros.hand.pair import rotation_of
from hoi_ros.hand.pair import SHAPE
from hoi_ros.hand.pair import SIZE
from hoi_ros.hand.pair import with_root
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from training.data.two_hand_pools import TwoHandPools
from training.loop.allotment import allot
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.loop.fitting import save_weights
from training.networks.two_hand_prior.cleaner import PairCleaner
from training.networks.two_hand_prior.joint import PAIR
from training.provenance import provenance
from training.recipes.two_hand_samples import PairBatches
from training.recipes.two_hand_samples import whitening_of

VALIDATION_PAIRS = 1024
_RATE = 1e-3


@dataclasses.dataclass(frozen=True)
class PairNoise:
    """Standard deviations of the noise at level 1; estimates have about half of it."""

    place: float = 0.04
    """Of the right wrist about the left one, metres on each axis."""
    turn: float = 0.3
    """Of its rotation, radians on each axis."""
    fingers: float = 0.2
    """Of each number of the fingers of both hands, radians."""
    shape: float = 0.5

    def added(self, right: np.ndarray, left: np.ndarray, level: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(N, 128) noisy pairs.

        Args:
            right, left: (N, 64) vectors in the frame of each left wrist.
            level: (N, 1) of the noise, 0 to 1.
            rng: of the noise.
        """
        noisy = np.concatenate([right, left], 1)
        count, share = len(noisy), level.astype(np.float32)
        for hand in (noisy[:, :SIZE], noisy[:, SIZE:]):
            hand[:, POSE] += self.fingers * share * rng.standard_normal((count, 45), np.float32)
            hand[:, SHAPE] += self.shape * share * rng.standard_normal((count, 10), np.float32)
        turn = Rotation.from_rotvec(self.turn * level * rng.standard_normal((count, 3))).as_matrix()
        place = right[:, PLACE] + self.place * share * rng.standard_normal((count, 3), np.float32)
        noisy[:, :SIZE] = with_root(noisy[:, :SIZE], rotation_of(right) @ turn, place)
        return noisy


@dataclasses.dataclass(frozen=True)
class TwoHandCleanRecipe(TwoHandPools):
    """Trains a network that takes noisy, intersecting pairs of hands to clean ones."""

    noise: PairNoise = dataclasses.field(default_factory=PairNoise)
    """Of the pairs that it is given."""
    loop: LoopConfig = dataclasses.field(
        default_factory=lambda: LoopConfig(Path('runs/two_hand_prior_clean'), batch=256, every=2000)
    )


class NoisyPairs:
    """Batches of noisy pairs, their levels of noise and the clean ones, whitened; seeded by the step.

    Args:
        clean: draws pairs.
        whitening: of their numbers.
        noise: that is added.
        seed: of the noise.
        level: of the noise, 0 to 1; by default each pair has its own.
    """

    def __init__(
        self, clean: PairBatches, whitening: PairWhitening, noise: PairNoise, seed: int, level: float | None = None
    ) -> None:
        self._clean, self._whitening, self._noise, self._seed, self._level = clean, whitening, noise, seed, level

    def __call__(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 128), (B, 1) and (B, 128)."""
        rng = np.random.default_rng([self._seed, 59, step])
        batch = self._clean(step)
        right, left = (self._whitening.unwhiten(hands.numpy()) for hands in batch[:2])
        level = rng.random((len(right), 1)) if self._level is None else np.full((len(right), 1), self._level)
        noisy = self._noise.added(right, left, level, rng)
        whitened = np.concatenate([self._whitening.whiten(hands) for hands in np.split(noisy, 2, 1)], 1)
        return torch.from_numpy(whitened), torch.from_numpy(level).float(), torch.cat(batch[:2], 1)


def clean_loss(network: nn.Module, noisy: Tensor, level: Tensor, clean: Tensor) -> dict[str, Tensor]:
    """Mean square error of the numbers of both hands but the left root."""
    counted = slice(0, PAIR - 9)
    return {'clean': (network(noisy, level) - clean)[:, counted].square().mean()}


def train(recipe: TwoHandCleanRecipe) -> dict[str, float]:
    """Trains, validates, saves the weights in `<out>/weights.pt` and returns the figures of the validation."""
    started = time.monotonic()
    shares = allot(recipe.loop.accelerator, recipe.loop.devices, recipe.workers, recipe.loop.threads)
    loop = dataclasses.replace(recipe.loop, threads=shares.threads).with_rate(_RATE)
    torch.manual_seed(loop.seed)
    network = PairCleaner()
    held_out = recipe.held_out('validation', VALIDATION_PAIRS, until=loop.after(0.25, started))
    with recipe.training(loop.seed, False, shares.filling, shares.beside, loop.after(0.5, started)) as made:
        whitening = whitening_of(made(), loop.out)
        clean = PairBatches([(made, 1.0)], whitening, loop.batch, loop.seed)
        batches = NoisyPairs(clean, whitening, recipe.noise, loop.seed)
        pairs = PairBatches([(lambda: held_out, 1.0)], whitening, len(held_out), 0)
        validate = validation_of(whitening, NoisyPairs(pairs, whitening, recipe.noise, 0, 0.5)(0))
        progress = fit(network, loop, batches, clean_loss, validate, started)
    figures = validate(network)
    statistics = {name: torch.from_numpy(array) for name, array in dataclasses.asdict(whitening).items()}
    save_weights(network, loop, progress, figures, cleaned=statistics, **provenance(None))
    return figures


def validation_of(
    whitening: PairWhitening, held_out: tuple[Tensor, Tensor, Tensor]
) -> Callable[[nn.Module], dict[str, float]]:
    """A function that measures the error of the right wrist's place, mm, and of the fingers, radians, before and after.

    Args:
        whitening: of the numbers.
        held_out: a batch of `NoisyPairs`.
    """
    noisy, level, clean = held_out
    wanted = whitening.unwhiten(clean[:, :SIZE].numpy())

    def errors(pair: Tensor, name: str) -> dict[str, float]:
        off = whitening.unwhiten(pair[:, :SIZE].numpy(force=True)) - wanted
        place = np.linalg.norm(off[:, PLACE], axis=1).mean()
        return {f'{name}_place_mm': 1e3 * float(place), f'{name}_fingers': float(np.abs(off[:, POSE]).mean())}

    def validate(network: nn.Module) -> dict[str, float]:
        device = next(network.parameters()).device
        with torch.inference_mode():
            found = network(noisy.to(device), level.to(device))
        return {**errors(noisy, 'noisy'), **errors(found, 'clean')}

    return validate
