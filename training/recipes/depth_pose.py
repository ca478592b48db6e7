# SPDX-License-Identifier: Apache-2.0
"""Training of `depth_pose` on synthetic depth: the voting network that ships and the paper's posterior.

LSPS (Abdi et al., BMVC 2018): the pose VAE first (equation 1), then the posterior on the codes of the VAE (equation 7),
which is the paper's row "synthetic only".
"""

from __future__ import annotations

import dataclasses
import functools
import time
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch import Tensor

from hoi_ros.engines import Card
from hoi_ros.resources import models_dir
from training.data.pool import filled
from training.data.pool import generator_key
from training.data.pool import require_capacity
from training.data.pool import SamplePool
from training.data.real.depth_material import DepthMaterialOptions
from training.data.synthetic.depth_crops import augment
from training.data.synthetic.depth_crops import CropAugmentation
from training.data.synthetic.depth_crops import DepthPatches
from training.data.synthetic.depth_crops import PATCH_DTYPE
from training.loop.allotment import allot
from training.loop.allotment import Allotment
from training.loop.fitting import fit
from training.loop.fitting import is_first_process
from training.loop.fitting import LoopConfig
from training.loop.fitting import save_weights
from training.loop.start import say_start
from training.loop.start import warn_if_worse
from training.networks.depth_pose import LSPSRegressor
from training.networks.depth_pose import PoseVAE
from training.networks.depth_pose import Posterior
from training.networks.depth_pose import VotingPoseNet
from training.networks.weights import load_weights
from training.networks.weights import require_start
from training.provenance import provenance
from training.recipes.depth_pose_losses import DEFAULT
from training.recipes.depth_pose_losses import DepthPoseLosses
from training.recipes.depth_pose_losses import posterior_loss
from training.recipes.depth_pose_losses import vae_loss
from training.recipes.depth_pose_losses import voting_loss
from training.recipes.depth_pose_mistakes import MistakenPatches

_VALIDATION_PATCHES, _VALIDATION_MISTAKES = 1024, 256
"""Patches of the validation, and patches of false detections in it."""


@dataclasses.dataclass(frozen=True)
class DepthPoseRecipe(DepthMaterialOptions):
    """Trains a pose network of `depth_pose`."""

    network: Literal['voting', 'lsps'] = 'voting'
    """voting: the network that ships; lsps: the paper's."""
    cube: float = 0.27
    """Side of the cube around the hand, metres."""
    pool: Path = Path('runs/depth_patches.pool')
    """File of rendered patches; it grows to `capacity` and is reused."""
    capacity: int = 131_072
    """Patches in the pool."""
    workers: int = 0
    """Rendering processes of each pool; 0 chooses them: all cores until the training starts, then those that it
    leaves."""
    refresh: bool = True
    """Keep rendering once the pool is full, replacing the oldest patches."""
    mistakes: Path = Path('runs/depth_mistakes.pool')
    """File of patches of false detections of the hand finder."""
    mistakes_capacity: int = 12_288
    """Patches in that file."""
    mistakes_share: float = 0.1
    """Share of false detections in the samples of `voting`."""
    left_share: float = 0.5
    """Share of hands mirrored to left hands, which teach the side."""
    upright: float = 0.8
    """Share of hands that `voting` receives about upright; the others have any roll."""
    vae_steps: int = 60_000
    """Optimiser steps of the pose VAE of `lsps`."""
    losses: DepthPoseLosses = DEFAULT
    start: Path | None = None
    """Model folder whose network the training of `voting` starts from."""
    loop: LoopConfig = dataclasses.field(default_factory=lambda: LoopConfig(Path('runs/depth_pose')))


class Batches:
    """Draws augmented batches from the pool of patches and a share from the pool of mistakes, seeded by the step."""

    def __init__(
        self,
        pool: SamplePool,
        augmentation: CropAugmentation,
        batch: int,
        seed: int,
        left_share: float,
        mistakes: SamplePool | None = None,
        mistakes_share: float = 0.0,
    ) -> None:
        self._pool, self._augmentation, self._batch = pool, augmentation, batch
        self._seed, self._left_share = seed, left_share
        self._mistakes, self._mistaken = mistakes, round(batch * mistakes_share) if mistakes else 0

    def __call__(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Crops (B, 1, S, S), keypoints (B, 21, 3), hand (B,) and right (B,), all float32."""
        rng = np.random.default_rng([self._seed, 7, step])
        records = self._drawn(self._pool, self._batch - self._mistaken, rng)
        if self._mistaken:
            records = np.concatenate([records, self._drawn(self._mistakes, self._mistaken, rng)])
        right = rng.random(self._batch) >= self._left_share
        crops, keypoints = [], []
        for record, appears_right in zip(records, right):
            crop, points = augment(record, self._augmentation, rng)
            if not appears_right:
                crop, points = crop[:, ::-1], points * np.array([-1, 1, 1], np.float32)
            crops.append(crop)
            keypoints.append(points)
        return (
            torch.from_numpy(np.stack(crops)[:, None]),
            torch.from_numpy(np.stack(keypoints)),
            torch.from_numpy(records['hand'].astype(np.float32)),
            torch.from_numpy(right.astype(np.float32)),
        )

    @staticmethod
    def _drawn(pool: SamplePool, count: int, rng: np.random.Generator) -> np.ndarray:
        return pool.records[np.sort(rng.integers(pool.ready, size=count))]


def train(recipe: DepthPoseRecipe) -> None:
    """Trains, validates and saves the weights in `<out>/weights.pt`."""
    started = time.monotonic()
    shares = allot(recipe.loop.accelerator, recipe.loop.devices, recipe.workers, recipe.loop.threads)
    loop = dataclasses.replace(recipe.loop, threads=shares.threads).with_rate(
        1e-3, bool(recipe.start) and recipe.network == 'voting'
    )
    require_capacity(recipe.capacity)
    require_start(recipe.start, 'depth_pose')
    votes = recipe.network == 'voting'
    # The paper's network receives hands at any roll; the voting network mostly the upright crops of a second pass.
    augmentation = CropAugmentation(cube=recipe.cube, size=96 if votes else 128, upright=recipe.upright * votes)
    validate = Validation(validation_patches(recipe, loop, shares, started), augmentation, recipe.cube)
    pool = SamplePool(
        functools.partial(DepthPatches, loop.seed, material=recipe.material),
        PATCH_DTYPE,
        recipe.pool,
        recipe.material.key + generator_key(loop.seed, 'train', modules=[DepthPatches.__module__]),
        recipe.capacity,
        shares.filling,
        recipe.refresh,
        shares.beside,
    )
    mistakes: SamplePool | None = None
    try:
        pool.wait(min(4 * loop.batch, recipe.capacity), loop.batch, loop.after(0.4, started))
        if votes and recipe.mistakes_share:
            mistakes = SamplePool(
                functools.partial(MistakenPatches, loop.seed, material=recipe.material),
                PATCH_DTYPE,
                recipe.mistakes,
                recipe.material.key + _mistakes_key(loop.seed, 'train'),
                recipe.mistakes_capacity,
                shares.filling,
                recipe.refresh,
                shares.beside,
            )
            mistakes.wait(min(loop.batch, recipe.mistakes_capacity), 1, loop.after(0.5, started))
        # The paper's network learns from right hands alone.
        lefts = recipe.left_share * votes
        batches = Batches(pool, augmentation, loop.batch, loop.seed, lefts, mistakes, recipe.mistakes_share)
        if votes:
            network: nn.Module = VotingPoseNet()
            if recipe.start:
                untrained = load_weights(network, recipe.start, validate.crops[:256], partly=True)
                if untrained:
                    print(f'{recipe.start} lacks {", ".join(untrained)}: trained from scratch')
                say_start(recipe.start, network, loop, validate)
            progress = fit(
                network, loop, batches, functools.partial(voting_loss, losses=recipe.losses), validate, started
            )
        else:
            vae = train_vae(recipe, loop, pool, augmentation, started)
            posterior = Posterior()
            progress = fit(
                posterior,
                loop,
                batches,
                lambda forward, crops, *rest: posterior_loss(
                    forward, vae.to(crops.device), crops, *rest, losses=recipe.losses
                ),
                lambda module: validate(LSPSRegressor(module, vae)),
                started,
            )
            network = LSPSRegressor(posterior.cpu(), vae.cpu()).eval()
        figures = validate(network)
    finally:
        pool.close()
        if mistakes:
            mistakes.close()
    save_weights(
        network,
        loop,
        progress,
        figures,
        network=recipe.network,
        cube=recipe.cube,
        **provenance(recipe.start, recipe.material.files),
    )
    warn_if_worse(recipe.start, loop, figures)


def validation_patches(
    recipe: DepthPoseRecipe, loop: LoopConfig, shares: Allotment, started: float
) -> tuple[np.ndarray, np.ndarray]:
    """Records of the validation split: patches, and patches of false detections of the hand finder."""
    patches = filled(
        functools.partial(DepthPatches, split='validation', material=recipe.material),
        PATCH_DTYPE,
        recipe.pool.with_stem(f'{recipe.pool.stem}_validation'),
        recipe.material.key + generator_key(0, 'validation', modules=[DepthPatches.__module__]),
        _VALIDATION_PATCHES,
        shares.filling,
        loop.after(0.15, started),
    )
    mistakes = filled(
        functools.partial(MistakenPatches, split='validation', material=recipe.material),
        PATCH_DTYPE,
        recipe.mistakes.with_stem(f'{recipe.mistakes.stem}_validation'),
        recipe.material.key + _mistakes_key(0, 'validation'),
        _VALIDATION_MISTAKES,
        shares.filling,
        loop.after(0.25, started),
    )
    return patches, mistakes


def _mistakes_key(seed: int, split: str) -> str:
    finder = Card.load(models_dir() / 'hand_finder').sha256
    return f'finder {finder} ' + generator_key(seed, split, modules=[MistakenPatches.__module__])


class Validation:
    """Figures of a network on crops of the validation split.

    Args:
        parts: records of patches, and of false detections of the hand finder.
        augmentation: of the training; its shifts stay, its roll is small if the training is upright, and none
            otherwise.
        cube: side of the crop's cube, metres.
    """

    def __init__(self, parts: tuple[np.ndarray, np.ndarray], augmentation: CropAugmentation, cube: float) -> None:
        still = dataclasses.replace(
            augmentation,
            rotation=0.0,
            scale=0.0,
            fragments=(0.0, 0.0),
            upright=float(augmentation.upright > 0),
            roll=0.15,
        )
        records = [*parts[0], *parts[1]]
        cut = [augment(record, still, np.random.default_rng([1, index])) for index, record in enumerate(records)]
        self.crops = torch.from_numpy(np.stack([crop for crop, _ in cut])[:, None])
        self._keypoints = torch.from_numpy(np.stack([points for _, points in cut]))
        self._hands = np.array([record['hand'] for record in records])
        self._mistakes = np.arange(len(records)) >= len(parts[0])
        self._millimetres = cube * 500

    def __call__(self, network: nn.Module) -> dict[str, float]:
        outputs = self._run(network, self.crops)
        error = (outputs[0] - self._keypoints).norm(dim=-1).numpy()[self._hands] * self._millimetres
        figures = {'mean_joint_error_mm': float(error.mean()), 'within_40_mm': float((error.max(1) <= 40).mean())}
        if len(outputs) > 1:
            hands, sides = (output[:, 0].numpy() for output in outputs[2:])
            mirrored = self._run(network, self.crops.flip(-1))[3][:, 0].numpy()
            figures['hand_told'] = float(((hands > 0.5) == self._hands)[~self._mistakes].mean())
            figures['mistake_told'] = float((hands[self._hands][:, None] > hands[self._mistakes]).mean())
            figures['side_told'] = float((sides > mirrored)[self._hands].mean())
        return figures

    @staticmethod
    def _run(network: nn.Module, crops: Tensor) -> list[Tensor]:
        device = next(network.parameters()).device
        with torch.inference_mode():
            outputs = [network(part.to(device)) for part in crops.split(128)]
        parts = [output if isinstance(output, tuple) else (output,) for output in outputs]
        return [torch.cat(column).cpu() for column in zip(*parts)]


def train_vae(
    recipe: DepthPoseRecipe, loop: LoopConfig, pool: SamplePool, augmentation: CropAugmentation, started: float
) -> PoseVAE:
    """Trains the pose VAE (equation 1) on the keypoints of the pool, augmented like the crops, for a third of the
    minutes of the budget `loop`."""
    path = loop.out / 'vae.pt'
    vae = PoseVAE()
    if path.is_file():
        vae.load_state_dict(torch.load(path, weights_only=True))
        return vae.eval()
    pool.wait(min(20_000, recipe.capacity), loop.batch, loop.after(0.5, started))
    records = pool.records[: pool.ready]
    hands = np.flatnonzero(records['hand'])[:40_000]
    rng = np.random.default_rng([loop.seed, 11])
    points = torch.from_numpy(np.stack([augment(records[k], augmentation, rng)[1] for k in hands]))
    training, held = points[len(points) // 10 :], points[: len(points) // 10]
    config = dataclasses.replace(
        loop,
        out=loop.out / 'vae',
        steps=recipe.vae_steps,
        minutes=loop.minutes / 3,
        batch=64,
        precision='32-true',
        learning_rate=1e-3,
        weight_decay=0.0,
        every=5000,
    )

    def batch(step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([loop.seed, 13, step])
        chosen = training[rng.integers(len(training), size=config.batch)]
        turn = torch.from_numpy(rng.uniform(-np.pi, np.pi, config.batch).astype(np.float32))
        cosine, sine = turn.cos()[:, None], turn.sin()[:, None]
        x, y, z = chosen.unbind(-1)
        turned = torch.stack([cosine * x - sine * y, sine * x + cosine * y, z], -1)
        return turned, torch.from_numpy(rng.standard_normal((config.batch, 20), np.float32))

    def loss(network: nn.Module, keypoints: Tensor, noise: Tensor) -> dict[str, Tensor]:
        return vae_loss(network, keypoints, noise, recipe.losses)

    def validate(network: PoseVAE) -> dict[str, float]:
        with torch.inference_mode():
            known = held.to(next(network.parameters()).device)
            error = (network.decode(network.encode(known)[0]) - known).norm(dim=-1).mean()
        return {'vae_error_mm': float(error) * recipe.cube * 500}

    fit(vae, config, batch, loss, validate)
    if is_first_process():
        torch.save(vae.cpu().state_dict(), path)
    return vae.eval()
