# SPDX-License-Identifier: Apache-2.0
"""Training of `depth_pose` on synthetic depth: the paper's posterior and the network that ships.

LSPS (Abdi et al., BMVC 2018): the pose VAE first (equation 1), then the posterior against the VAE's codes
(equation 7). This is the paper's row "synthetic only"; its image VAE-GANs and the mapping M belong beside these
two stages.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch import nn

from training.data.depth_crops import PATCH_DTYPE
from training.data.depth_crops import CropAugmentation
from training.data.depth_crops import DepthPatches
from training.data.depth_crops import augment
from training.data.pool import SamplePool
from training.data.pool import generator_key
from training.export.onnx_import import load_weights
from training.networks.depth_pose import LSPSRegressor
from training.networks.depth_pose import PoseVAE
from training.networks.depth_pose import Posterior
from training.networks.depth_pose import VotingConfig
from training.networks.depth_pose import VotingPoseNet
from training.recipes.loop import LoopConfig
from training.recipes.loop import fit
from training.recipes.loop import is_first_process
from training.recipes.loop import keep


@dataclasses.dataclass(frozen=True)
class DepthPoseRecipe:
    """Trains a pose network of `depth_pose`."""

    network: Literal['voting', 'lsps'] = 'voting'
    """voting: the network that ships; lsps: the paper's."""
    cube: float = 0.27
    """Side of the cube around the hand, metres."""
    pool: Path = Path('runs/depth_patches.pool')
    """File of rendered patches; it grows to `capacity` and is reused."""
    capacity: int = 131_072
    workers: int = 1
    """Processes that render."""
    refresh: bool = True
    """Whether they go on once the pool is full, replacing the oldest patches by new ones."""
    left_share: float = 0.5
    """Share of the hands shown as left ones, from which the network learns to tell right from left."""
    vae_steps: int = 60_000
    start: Path | None = None
    """Model folder whose network the training of `voting` goes on from."""
    loop: LoopConfig = dataclasses.field(default_factory=lambda: LoopConfig(Path('runs/depth_pose')))


class Batches:
    """Draws augmented batches from the pool of patches, seeded by the step."""

    def __init__(self, pool: SamplePool, augmentation: CropAugmentation, batch: int, seed: int,
                 left_share: float) -> None:
        self._pool, self._augmentation, self._batch = pool, augmentation, batch
        self._seed, self._left_share = seed, left_share

    def __call__(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """crops (B, 1, S, S), keypoints (B, 21, 3), hand (B,) and right (B,) as float."""
        rng = np.random.default_rng([self._seed, 7, step])
        records = self._pool.records[np.sort(rng.integers(self._pool.ready, size=self._batch))]
        right = rng.random(self._batch) >= self._left_share
        crops, keypoints = [], []
        for record, appears_right in zip(records, right):
            crop, points = augment(record, self._augmentation, rng)
            if not appears_right:
                crop, points = crop[:, ::-1], points * np.array([-1, 1, 1], np.float32)
            crops.append(crop)
            keypoints.append(points)
        return (torch.from_numpy(np.stack(crops)[:, None]), torch.from_numpy(np.stack(keypoints)),
                torch.from_numpy(records['hand'].astype(np.float32)), torch.from_numpy(right.astype(np.float32)))


def voting_loss(network: nn.Module, crops: Tensor, keypoints: Tensor, hand: Tensor, right: Tensor) -> dict[str, Tensor]:
    """Smooth L1 on the joints; the likelihood of their error under a Laplace spread; two verdicts.

    Hands shown as left ones count as well: a network that must label their fingers learns what tells the sides
    apart, and a crop cut for the wrong side is still read well enough to be cut again.
    """
    joints, spread, hand_probability, right_probability = network(crops)
    counted = hand[:, None]
    share = counted.sum().clamp(min=1) * joints.shape[1]
    difference = nn.functional.smooth_l1_loss(joints, keypoints, beta=0.02, reduction='none').sum(-1)
    error = (joints - keypoints).detach().norm(dim=-1)
    likelihood = error / spread + spread.log()
    verdict_right = nn.functional.binary_cross_entropy(right_probability[:, 0].clamp(1e-6, 1 - 1e-6), right,
                                                       reduction='none')
    return {'joints': 10 * (difference * counted).sum() / share,
            'spread': 0.05 * (likelihood * counted).sum() / share,
            'hand': 0.3 * nn.functional.binary_cross_entropy(hand_probability[:, 0].clamp(1e-6, 1 - 1e-6), hand),
            'right': (verdict_right * hand).mean()}


def vae_loss(vae: nn.Module, keypoints: Tensor, noise: Tensor) -> dict[str, Tensor]:
    """Equation 1 with the figures of PAPERS.md: L1 × 100, KL × 0.1."""
    mean, log_variance, decoded = vae(keypoints, noise)
    divergence = 0.5 * (mean ** 2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return {'reconstruction': 100 * (decoded - keypoints).abs().mean(), 'divergence': 0.1 * divergence}


def posterior_loss(posterior: nn.Module, vae: PoseVAE, crops: Tensor, keypoints: Tensor, hand: Tensor,
                   right: Tensor) -> dict[str, Tensor]:
    """Equation 7: λ7 = 10 times the distance between P(x) and the VAE's code of the same hand."""
    with torch.no_grad():
        codes = vae.encode(keypoints)[0]
    counted = hand * right
    distance = (posterior(crops).float() - codes).norm(dim=1)
    return {'posterior': 10 * (distance * counted).sum() / counted.sum().clamp(min=1)}


def _on_cpu(outputs: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
    return tuple(output.cpu() for output in outputs) if isinstance(outputs, tuple) else outputs.cpu()


def validation_batch(augmentation: CropAugmentation, count: int, cube_jitter: float = 0.01
                     ) -> tuple[Tensor, Tensor, np.ndarray]:
    """Unseen hands of the validation split, cut with the finder's uncertainty and without turning."""
    patches = DepthPatches(split='validation')
    still = dataclasses.replace(augmentation, rotation=0.0, scale=0.0, centre_jitter=cube_jitter, fragments=(0.0, 0.0))
    crops, keypoints, hands = [], [], []
    for index in range(count):
        record = patches[index]
        crop, points = augment(record, still, np.random.default_rng([1, index]))
        crops.append(crop)
        keypoints.append(points)
        hands.append(record['hand'])
    return torch.from_numpy(np.stack(crops)[:, None]), torch.from_numpy(np.stack(keypoints)), np.array(hands)


def train(recipe: DepthPoseRecipe) -> None:
    """Trains, validates and leaves the weights in `<out>/weights.pt`."""
    size = 96 if recipe.network == 'voting' else 128
    augmentation = CropAugmentation(cube=recipe.cube, size=size)
    pool = SamplePool(functools.partial(DepthPatches, recipe.loop.seed), PATCH_DTYPE, recipe.pool,
                      generator_key(recipe.loop.seed, 'train'), recipe.capacity, recipe.workers, recipe.refresh)
    try:
        pool.wait(4 * recipe.loop.batch)
        batches = Batches(pool, augmentation, recipe.loop.batch, recipe.loop.seed, recipe.left_share)
        crops, keypoints, hands = validation_batch(augmentation, 1024)
        millimetres = recipe.cube * 500

        def validate(network: nn.Module) -> dict[str, float]:
            device = next(network.parameters()).device
            with torch.inference_mode():
                outputs = [_on_cpu(network(part.to(device))) for part in crops.split(128)]
            joints = torch.cat([o[0] if isinstance(o, tuple) else o for o in outputs])
            error = (joints - keypoints).norm(dim=-1).numpy()[hands] * millimetres
            figures = {'mean_joint_error_mm': float(error.mean()),
                       'within_40_mm': float((error.max(1) <= 40).mean())}
            if isinstance(outputs[0], tuple):
                with torch.inference_mode():
                    mirrored = torch.cat([network(part.flip(-1).to(device))[3].cpu()
                                          for part in crops.split(128)])[:, 0].numpy()
                said = torch.cat([o[2] for o in outputs])[:, 0].numpy()
                sides = torch.cat([o[3] for o in outputs])[:, 0].numpy()
                figures['hand_told'] = float(((said > 0.5) == hands).mean())
                figures['side_told'] = float((sides[hands] > mirrored[hands]).mean())
            return figures

        if recipe.network == 'voting':
            network: nn.Module = VotingPoseNet(VotingConfig(size=size))
            if recipe.start:
                load_weights(network, recipe.start, crops[:256])
            progress = fit(network, recipe.loop, batches, voting_loss, validate)
        else:
            vae = train_vae(recipe, pool, augmentation)
            posterior = Posterior()
            progress = fit(posterior, recipe.loop, batches,
                           lambda forward, crops, *rest: posterior_loss(forward, vae.to(crops.device), crops, *rest),
                           lambda module: validate(LSPSRegressor(module, vae)))
            network = LSPSRegressor(posterior.cpu(), vae.cpu()).eval()
        figures = validate(network)
    finally:
        pool.close()
    keep(network, recipe.loop, progress, figures, network=recipe.network, cube=recipe.cube)


def train_vae(recipe: DepthPoseRecipe, pool: SamplePool, augmentation: CropAugmentation) -> PoseVAE:
    """The pose VAE (equation 1) on the keypoints of the pool, turned and moved as the crops are."""
    path = recipe.loop.out / 'vae.pt'
    vae = PoseVAE()
    if path.is_file():
        vae.load_state_dict(torch.load(path, weights_only=True))
        return vae.eval()
    pool.wait(min(20_000, recipe.capacity))
    records = pool.records[:pool.ready]
    hands = np.flatnonzero(records['hand'])[:40_000]
    rng = np.random.default_rng([recipe.loop.seed, 11])
    points = torch.from_numpy(np.stack([augment(records[k], augmentation, rng)[1] for k in hands]))
    learned, held = points[len(points) // 10:], points[:len(points) // 10]
    config = dataclasses.replace(recipe.loop, out=recipe.loop.out / 'vae', steps=recipe.vae_steps, minutes=20.0,
                                 batch=64, precision='32-true', learning_rate=1e-3, weight_decay=0.0, every=5000)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([recipe.loop.seed, 13, step])
        chosen = learned[rng.integers(len(learned), size=config.batch)]
        turn = torch.from_numpy(rng.uniform(-np.pi, np.pi, config.batch).astype(np.float32))
        cosine, sine = turn.cos()[:, None], turn.sin()[:, None]
        x, y, z = chosen.unbind(-1)
        turned = torch.stack([cosine * x - sine * y, sine * x + cosine * y, z], -1)
        return turned, torch.from_numpy(rng.standard_normal((config.batch, 20), np.float32))

    def loss(network: nn.Module, keypoints: Tensor, noise: Tensor) -> dict[str, Tensor]:
        return vae_loss(network, keypoints, noise)

    def validate(network: PoseVAE) -> dict[str, float]:
        with torch.inference_mode():
            known = held.to(next(network.parameters()).device)
            error = (network.decode(network.encode(known)[0]) - known).norm(dim=-1).mean()
        return {'vae_error_mm': float(error) * recipe.cube * 500}

    fit(vae, config, batch, loss, validate)
    if is_first_process():
        torch.save(vae.cpu().state_dict(), path)
    return vae.eval()
