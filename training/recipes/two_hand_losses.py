# SPDX-License-Identifier: Apache-2.0
"""Losses of the networks of `two_hand_prior`, and their validation at fixed times and noise."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch import Tensor

from hoi_ros.hand.pair import SIZE
from hoi_ros.stages.parts.diffusion import NOISE
from hoi_ros.stages.parts.diffusion import SIGNAL
from training.networks.two_hand_prior.choice import CASCADES
from training.networks.two_hand_prior.choice import TwoHandNetwork
from training.networks.two_hand_prior.denoiser import fingers_only
from training.networks.two_hand_prior.joint import PAIR
from training.recipes.two_hand_samples import Batch

VALIDATION_TIMES = 32, 96, 160, 208, 256
Loss = Callable[..., dict[str, Tensor]]


def loss_of(name: TwoHandNetwork) -> Loss:
    """The loss of `fit` for a network and the batches of `PairBatches`."""
    if name in CASCADES:
        return hand_loss
    return autoencoder_loss if name == 'vae' else pair_loss


def hand_loss(network: nn.Module, *parts: Tensor) -> dict[str, Tensor]:
    """Mean square error of the clean right hand, with an anchor and without: equation 6 for whitened numbers."""
    batch = Batch(*parts)
    noisy = at_time(batch.right, batch.noise[:, :SIZE], batch.time)
    clean = network(noisy, batch.time[:, None].float(), batch.left, batch.has_anchor)
    fingers = fingers_only().to(noisy)
    counted = fingers + batch.has_anchor * (1 - fingers)
    return {'clean': (counted * (clean - batch.right) ** 2).sum() / counted.sum()}


def pair_loss(network: nn.Module, *parts: Tensor) -> dict[str, Tensor]:
    """Mean square error of both clean hands; the left one has no root."""
    batch = Batch(*parts)
    pair, counted = torch.cat([batch.right, batch.left], 1), fingers_only(PAIR).to(batch.right)
    clean = network(at_time(pair, batch.noise, batch.time), batch.time[:, None].float())
    return {'clean': (counted * (clean - pair) ** 2).sum() / (len(pair) * counted.sum())}


def autoencoder_loss(network: nn.Module, *parts: Tensor) -> dict[str, Tensor]:
    """Negative evidence of an autoencoder whose variance of the output is the best one (Rybkin et al., "Simple and
    effective VAE training with calibrated decoders", ICML 2021), for each number."""
    batch = Batch(*parts)
    pair, counted = torch.cat([batch.right, batch.left], 1), fingers_only(PAIR).to(batch.right)
    again, mean, log_variance = network(pair, batch.noise[:, : network.latent])
    error = (counted * (again - pair) ** 2).sum() / (len(pair) * counted.sum())
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean() / counted.sum()
    return {'evidence': 0.5 * error.log() + divergence}


def at_time(clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Noisy samples (B, N) of clean ones and noise at times (B,): equation 3."""
    signal, share = (torch.from_numpy(levels).float().to(clean)[time][:, None] for levels in (SIGNAL, NOISE))
    return signal * clean + share * noise


def validation_of(name: TwoHandNetwork, held_out: Batch) -> Callable[[nn.Module], dict[str, float]]:
    """A function that measures a network in evaluation mode on held-out pairs: the loss, the mean of VALIDATION_TIMES.

    Args:
        name: of the network.
        held_out: pairs with noise; their times and anchors are replaced.

    Returns:
        The function; its figures are `alone` and `beside` of a cascade, without and with the anchor, else `loss`.
    """
    loss = loss_of(name)

    def measured(network: nn.Module, anchors: float) -> float:
        shown = torch.full_like(held_out.has_anchor, anchors)
        cases = [
            held_out._replace(time=torch.full_like(held_out.time, time), has_anchor=shown) for time in VALIDATION_TIMES
        ]
        with torch.inference_mode():
            device = next(network.parameters()).device
            losses = [sum(loss(network, *(part.to(device) for part in case)).values()) for case in cases]
        return float(sum(losses)) / len(losses)

    def validate(network: nn.Module) -> dict[str, float]:
        if name in CASCADES:
            return {'alone': measured(network, 0.0), 'beside': measured(network, 1.0)}
        return {'loss': measured(network, 1.0)}

    return validate
