# SPDX-License-Identifier: Apache-2.0
"""The denoiser of one hand, alone or given the other hand, an object or both (InterHandGen, section 3.2)."""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor

from hoi_ros.hand.pair import ROOT
from hoi_ros.hand.pair import SIZE
from training.networks.two_hand_prior.trunk import DenoiserConfig
from training.networks.two_hand_prior.trunk import embedding
from training.networks.two_hand_prior.trunk import Trunk


def fingers_only(numbers: int = SIZE) -> Tensor:
    """(1, numbers) 1 for fingers and shape, 0 for the root, which are the last numbers."""
    mask = torch.ones(1, numbers)
    mask[:, numbers - SIZE + ROOT.start :] = 0
    return mask


class ConditionToken(nn.Module):
    """The token of a condition that may be absent; then it is a learned one."""

    def __init__(self, embedded: nn.Module, token: int) -> None:
        super().__init__()
        self.embedded = embedded
        self.absent = nn.Parameter(0.02 * torch.randn(1, token))

    def forward(self, condition: Tensor, present: Tensor) -> Tensor:
        """(B, token) of conditions (B, N) and whether (B, 1) each is present, 1 or 0."""
        return present * self.embedded(condition) + (1 - present) * self.absent


def object_token(config: DenoiserConfig) -> ConditionToken | None:
    """The token of an object's embedding, if the network takes one."""
    width = config.object_width
    return ConditionToken(nn.Linear(width, config.token), config.token) if width else None


class Denoiser(nn.Module):
    """Estimates the clean hand of a noisy one.

    With neither anchor nor object a hand has no root: the network neither sees nor estimates the last nine numbers,
    which are 0 then. The anchor's root counts with an object only.
    """

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        self.anchor = ConditionToken(embedding(SIZE, config), config.token)
        self.object = object_token(config)
        self.trunk = Trunk(config, SIZE, 1 + bool(config.object_width))
        self.register_buffer('fingers', fingers_only(), persistent=False)

    def forward(
        self,
        noisy: Tensor,
        time: Tensor,
        anchor: Tensor,
        has_anchor: Tensor,
        object: Tensor | None = None,
        has_object: Tensor | None = None,
    ) -> Tensor:
        """The interface of the model folder.

        Args:
            noisy: (B, 64) whitened right hands.
            time: (B, 1) times of the diffusion, 0 to 256.
            anchor: (B, 64) whitened left hands; any numbers where there is none.
            has_anchor: (B, 1) 1 or 0.
            object: (B, E) embeddings of objects; needed where the network takes objects.
            has_object: (B, 1) 1 or 0.

        Returns:
            (B, 64) whitened clean right hands.
        """
        if self.object is None:
            conditions, held = [self.anchor(anchor * self.fingers, has_anchor)], torch.zeros_like(has_anchor)
        else:
            held = has_object
            seen = anchor * self._numbers(held)
            conditions = [self.anchor(seen, has_anchor), self.object(object, held)]
        numbers = self._numbers(torch.maximum(has_anchor, held))
        return numbers * self.trunk(noisy * numbers, time, conditions)

    def _numbers(self, placed: Tensor) -> Tensor:
        """(B, 64) 1 for the numbers of hands that have (B, 1) a root or not, else 0."""
        return self.fingers + placed * (1 - self.fingers)


class SeparateDenoisers(nn.Module):
    """Two denoisers in place of one, for hands with an anchor and without: 'without shared network', Table 1."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        self.alone, self.anchored = Denoiser(config), Denoiser(config)

    def forward(
        self,
        noisy: Tensor,
        time: Tensor,
        anchor: Tensor,
        has_anchor: Tensor,
        object: Tensor | None = None,
        has_object: Tensor | None = None,
    ) -> Tensor:
        """As of `Denoiser`."""
        parts = [noisy, time, anchor, has_anchor, *(part for part in (object, has_object) if part is not None)]
        clean = torch.zeros_like(noisy)
        for network, rows in ((self.alone, has_anchor[:, 0] == 0), (self.anchored, has_anchor[:, 0] > 0)):
            if rows.any():
                clean[rows] = network(*(part[rows] for part in parts))
        return clean
