# SPDX-License-Identifier: Apache-2.0
"""Pairs of hands from a trained network of `two_hand_prior`, whichever it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair import ROOT
from hoi_ros.hand.pair import rotation_of
from hoi_ros.hand.pair import SIZE
from hoi_ros.hand.pair import with_root
from hoi_ros.stages.parts.diffusion import sample
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from training.networks.two_hand_prior.choice import CASCADES
from training.networks.two_hand_prior.choice import load_two_hand_network
from training.networks.two_hand_prior.choice import TwoHandNetwork
from training.networks.two_hand_prior.joint import PAIR


class Pairs(NamedTuple):
    """Vectors (N, 64) of right and left hands, in the frame of each left wrist or of their object."""

    right: np.ndarray
    left: np.ndarray


class Held(NamedTuple):
    """Embeddings (E,) of an object and of its mirror image."""

    own: np.ndarray
    mirrored: np.ndarray


@dataclasses.dataclass(frozen=True)
class PairGenerator:
    """A trained network and the statistics of its numbers.

    Attributes:
        name: of the network.
        network: in evaluation mode.
        whitening: of its numbers.
        object_width: of the embedding of an object; 0 where the network takes none.
    """

    name: TwoHandNetwork
    network: nn.Module
    whitening: PairWhitening
    object_width: int = 0

    @classmethod
    def load(cls, weights: Path) -> PairGenerator:
        """From the weights.pt of a training.

        Raises:
            WeightsError: the file is missing or of another training.
        """
        trained = load_two_hand_network(weights)
        return cls(trained.name, trained.network, PairWhitening(**trained.whitening), trained.object_width)

    def generate(
        self, count: int, seed: int, steps: int = 32, guidance: float = 0.1, held: Held | None = None, batch: int = 256
    ) -> Pairs:
        """Samples pairs.

        Args:
            count: number of pairs.
            seed: the same seed gives the same pairs.
            steps: denoising steps; an autoencoder has none.
            guidance: weight of the classifier-free guidance of networks that make one hand after the other.
            held: an object in both hands.
            batch: pairs that are made together.
        """
        noise = np.random.default_rng(seed).standard_normal((count, 2, SIZE), np.float32)
        make = self._one_by_one if self.name in CASCADES else self._together
        parts = [make(noise[start : start + batch], steps, guidance, held) for start in range(0, count, batch)]
        return Pairs(*(np.concatenate(hands) for hands in zip(*parts)))

    def denoise(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the network of a cascade with the inputs and the output of the model folder, by name."""
        return {'clean': self._run(**inputs)}

    def _run(self, *inputs: np.ndarray, **named: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            by_name = {name: _tensor(part) for name, part in named.items()}
            return self.network(*map(_tensor, inputs), **by_name).numpy()

    def _one_by_one(self, noise: np.ndarray, steps: int, guidance: float, held: Held | None) -> Pairs:
        """The left hand, as the mirror image of a right one, then the right hand beside it."""
        count, about_object = len(noise), held is not None
        ones = np.ones((count, 1), np.float32)
        seen, seen_mirrored = self._seen(count, held), self._seen(count, Held(held[1], held[0]) if held else None)
        nobody = np.zeros((count, SIZE), np.float32)

        def alone(state: np.ndarray, time: int) -> np.ndarray:
            return self._run(state, time * ones, nobody, 0 * ones, *seen_mirrored)

        first = self.whitening.unwhiten(sample(alone, noise[:, 0], steps), about_object)
        left = mirrored(first) if held else anchored(first)
        anchor = self.whitening.whiten(left, about_object)
        guided = slice(0, SIZE if held else ROOT.start)

        def beside(state: np.ndarray, time: int) -> np.ndarray:
            clean = self._run(state, time * ones, anchor, ones, *seen)
            if guidance:
                free = self._run(state, time * ones, anchor, 0 * ones, *seen)
                clean[:, guided] += guidance * (clean - free)[:, guided]
            return clean

        return Pairs(self._hands(sample(beside, noise[:, 1], steps), about_object), left)

    def _together(self, noise: np.ndarray, steps: int, guidance: float, held: Held | None) -> Pairs:
        """Both hands at once, by a diffusion of 128 numbers or from latent ones."""
        count, seen = len(noise), self._seen(len(noise), held)
        noise = noise.reshape(count, PAIR)
        if self.name == 'vae':
            with torch.inference_mode():
                latent = torch.from_numpy(noise[:, : self.network.latent])
                clean = self.network.decoded(latent, *map(torch.from_numpy, seen)).numpy()
        else:
            times = np.ones((count, 1), np.float32)
            clean = sample(lambda state, time: self._run(state, time * times, *seen), noise, steps)
        right = self._hands(clean[:, :SIZE], held is not None)
        if held is None:
            return Pairs(right, anchored(self.whitening.unwhiten(clean[:, SIZE:])))
        return Pairs(right, mirrored(self.whitening.unwhiten(clean[:, SIZE:], True)))

    def _hands(self, clean: np.ndarray, about_object: bool) -> np.ndarray:
        """Vectors whose six numbers are columns of a rotation, from whitened ones."""
        hands = self.whitening.unwhiten(clean, about_object)
        return with_root(hands, rotation_of(hands), hands[:, ROOT][:, 6:])

    def _seen(self, count: int, held: Held | None) -> tuple[np.ndarray, ...]:
        """What a network that takes objects is given of one."""
        if not self.object_width:
            return ()
        own = np.zeros(self.object_width, np.float32) if held is None else held.own
        return np.tile(own.astype(np.float32), (count, 1)), np.full((count, 1), held is not None, np.float32)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
