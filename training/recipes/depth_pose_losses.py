# SPDX-License-Identifier: Apache-2.0
"""Losses of `depth_pose`: of the voting network, and of LSPS (Abdi et al., BMVC 2018, equations 1 and 7)."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn
from torch import Tensor

from training.networks.depth_pose import PoseVAE


@dataclasses.dataclass(frozen=True)
class DepthPoseLosses:
    """Weights of the terms."""

    joints: float = 10.0
    """voting: smooth L1 of the joints, half cubes."""
    spread: float = 0.05
    """voting: likelihood of the error of the joints."""
    hand: float = 0.3
    """voting: hand or no hand."""
    right: float = 1.0
    """voting: right hand or left hand."""
    decoded: float = 100.0
    """lsps: L1 of the joints that the pose VAE decodes, equation 1 with the weight of the public code."""
    divergence: float = 0.1
    """lsps: KL divergence of the pose VAE, equation 1 with the weight of the public code."""
    posterior: float = 10.0
    """lsps: λ7 of equation 7."""


DEFAULT = DepthPoseLosses()


def voting_loss(
    network: nn.Module,
    crops: Tensor,
    keypoints: Tensor,
    hand: Tensor,
    right: Tensor,
    losses: DepthPoseLosses = DEFAULT,
) -> dict[str, Tensor]:
    """Smooth L1 of the joints, likelihood of their error under a Laplace distribution, cross-entropy of hand and side.

    Joints of left hands count too: labelling their fingers teaches the difference between the sides, and the joints of
    a crop cut for the wrong side remain good enough to cut it again.
    """
    joints, spread, hand_probability, right_probability = network(crops)
    counted = hand[:, None]
    share = counted.sum().clamp(min=1) * joints.shape[1]
    difference = nn.functional.smooth_l1_loss(joints, keypoints, beta=0.02, reduction='none').sum(-1)
    error = (joints - keypoints).detach().norm(dim=-1)
    likelihood = error / spread + spread.log()
    verdict_right = nn.functional.binary_cross_entropy(
        right_probability[:, 0].clamp(1e-6, 1 - 1e-6), right, reduction='none'
    )
    return {
        'joints': losses.joints * (difference * counted).sum() / share,
        'spread': losses.spread * (likelihood * counted).sum() / share,
        'hand': losses.hand * nn.functional.binary_cross_entropy(hand_probability[:, 0].clamp(1e-6, 1 - 1e-6), hand),
        'right': losses.right * (verdict_right * hand).mean(),
    }


def vae_loss(vae: nn.Module, keypoints: Tensor, noise: Tensor, losses: DepthPoseLosses = DEFAULT) -> dict[str, Tensor]:
    """Equation 1."""
    mean, log_variance, decoded = vae(keypoints, noise)
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return {
        'reconstruction': losses.decoded * (decoded - keypoints).abs().mean(),
        'divergence': losses.divergence * divergence,
    }


def posterior_loss(
    posterior: nn.Module,
    vae: PoseVAE,
    crops: Tensor,
    keypoints: Tensor,
    hand: Tensor,
    right: Tensor,
    losses: DepthPoseLosses = DEFAULT,
) -> dict[str, Tensor]:
    """Equation 7: λ7 times the distance between P(x) and the code of the VAE for the same hand."""
    with torch.no_grad():
        codes = vae.encode(keypoints)[0]
    counted = hand * right
    distance = (posterior(crops).float() - codes).norm(dim=1)
    return {'posterior': losses.posterior * (distance * counted).sum() / counted.sum().clamp(min=1)}
