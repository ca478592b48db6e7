# SPDX-License-Identifier: Apache-2.0
"""Losses of the networks of `two_hand_prior`, and their validation at fixed times and noise."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

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
from training.recipes.two_hand_samples import parts_of

VALIDATION_TIMES = 32, 96, 160, 208, 256
FREE_NATS = 0.05
Loss = Callable[..., dict[str, Tensor]]


def loss_of(name: TwoHandNetwork) -> Loss:
    """The loss of `fit` for a network and the batches of `PairBatches`."""
    if name in CASCADES:
        return hand_loss
    return autoencoder_loss if name == 'vae' else pair_loss


def hand_loss(network: nn.Module, *parts: Tensor) -> dict[str, Tensor]:
    """Mean square error of the clean right hand, with an anchor and without: equation 6 for whitened numbers."""
    batch, held, on_object = parts_of(parts)
    noisy = at_time(batch.right, batch.noise[:, :SIZE], batch.time)
    clean = network(noisy, batch.time[:, None].float(), batch.left, batch.has_anchor, **held)
    counted = _counted(SIZE, torch.maximum(batch.has_anchor, on_object))
    return {'clean': (counted * (clean - batch.right) ** 2).sum() / counted.sum()}


def pair_loss(network: nn.Module, *parts: Tensor) -> dict[str, Tensor]:
    """Mean square error of both clean hands; the left one has no root, but on an object."""
    batch, held, on_object = parts_of(parts)
    pair, counted = torch.cat([batch.right, batch.left], 1), _counted(PAIR, on_object)
    clean = network(at_time(pair, batch.noise, batch.time), batch.time[:, None].float(), **held)
    return {'clean': (counted * (clean - pair) ** 2).sum() / counted.sum()}


def autoencoder_loss(network: nn.Module, *parts: Tensor) -> dict[str, Tensor]:
    """Negative evidence of an autoencoder for each number, whose variance of the output is the best one (Rybkin et al.,
    "Simple and effective VAE training with calibrated decoders", ICML 2021), with FREE_NATS for each latent number
    (Kingma et al., 2016), so that they come into use."""
    batch, held, on_object = parts_of(parts)
    pair, counted = torch.cat([batch.right, batch.left], 1), _counted(PAIR, on_object)
    again, mean, log_variance = network(pair, batch.noise[:, : network.latent], **held)
    error = (counted * (again - pair) ** 2).sum() / counted.sum()
    divergence = (0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean(0)).clamp(min=FREE_NATS).sum()
    return {'evidence': 0.5 * error.log() + divergence * len(pair) / counted.sum()}


def _counted(numbers: int, placed: Tensor) -> Tensor:
    """(B, numbers) 1 for the numbers that count of samples that have (B, 1) a root or not, else 0."""
    fingers = fingers_only(numbers).to(placed)
    return fingers + placed * (1 - fingers)


def at_time(clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Noisy samples (B, N) of clean ones and noise at times (B,): equation 3."""
    signal, share = (torch.from_numpy(levels).float().to(clean)[time][:, None] for levels in (SIGNAL, NOISE))
    return signal * clean + share * noise


def validation_of(
    name: TwoHandNetwork, held_out: Sequence[Tensor], on_objects: Sequence[Tensor] | None = None
) -> Callable[[nn.Module], dict[str, float]]:
    """A function that measures a network in evaluation mode on held-out pairs: the loss, the mean of VALIDATION_TIMES.

    Args:
        name: of the network.
        held_out: a batch of pairs; its times and anchors are replaced.
        on_objects: one of pairs on objects.

    Returns:
        The function; its figures are `alone` and `beside` of a cascade, without and with the anchor, else `loss`, and
        the same with `_on_object` of pairs on objects.
    """
    loss = loss_of(name)

    def measured(network: nn.Module, parts: Sequence[Tensor], anchors: float) -> float:
        batch = Batch(*parts[: len(Batch._fields)])
        shown = batch._replace(has_anchor=torch.full_like(batch.has_anchor, anchors))
        cases = [
            (*shown._replace(time=torch.full_like(batch.time, time)), *parts[len(batch) :]) for time in VALIDATION_TIMES
        ]
        with torch.inference_mode():
            device = next(network.parameters()).device
            losses = [sum(loss(network, *(part.to(device) for part in case)).values()) for case in cases]
        return float(sum(losses)) / len(losses)

    def validate(network: nn.Module) -> dict[str, float]:
        figures = {}
        for parts, where in ((held_out, ''), (on_objects, '_on_object')):
            if parts is not None:
                ways = {'alone': 0.0, 'beside': 1.0} if name in CASCADES else {'loss': 1.0}
                figures |= {f'{way}{where}': measured(network, parts, anchors) for way, anchors in ways.items()}
        return figures

    return validate
