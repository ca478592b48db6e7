# SPDX-License-Identifier: Apache-2.0
"""Pairs of hands from a trained network of `two_hand_prior`, whichever it is, made of noise or of noisy pairs."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import anchored
from hoi_ros.hand.pair import orthonormal
from hoi_ros.hand.pair import SIZE
from hoi_ros.stages.parts.diffusion import sample
from hoi_ros.stages.parts.object_points import grouped
from hoi_ros.stages.parts.object_points import UNIT
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from hoi_ros.stages.parts.two_hand_sampler import HandPairs
from hoi_ros.stages.parts.two_hand_sampler import ObjectFeature
from hoi_ros.stages.parts.two_hand_sampler import PAPER_STEPS
from hoi_ros.stages.parts.two_hand_sampler import SamplingConfig
from hoi_ros.stages.parts.two_hand_sampler import TwoHandSampler
from training.networks.two_hand_prior.choice import CASCADES
from training.networks.two_hand_prior.choice import COMMAND
from training.networks.two_hand_prior.choice import ENCODER
from training.networks.two_hand_prior.choice import NETWORKS
from training.networks.two_hand_prior.choice import two_hand_network
from training.networks.two_hand_prior.choice import TwoHandNetwork
from training.networks.two_hand_prior.choice import with_objects
from training.networks.two_hand_prior.joint import PAIR
from training.networks.two_hand_prior.object_encoder import ObjectEncoder
from training.networks.weights_file import fill
from training.networks.weights_file import read_weights
from training.networks.weights_file import require_hand
from training.networks.weights_file import WeightsError

_BATCH = 256
"""Pairs that are made together by a network of both hands."""


@dataclasses.dataclass(frozen=True)
class PairGenerator:
    """A trained network and the statistics of its numbers.

    Attributes:
        name: of the network.
        network: in evaluation mode.
        whitening: of its numbers.
        object_width: of the embedding of an object; 0 where the network takes none.
        encoder: of objects, in evaluation mode, if the network was trained with them.
        hand: the right hand of the pairs; the installed one by default.
    """

    name: TwoHandNetwork
    network: nn.Module
    whitening: PairWhitening
    object_width: int = 0
    encoder: ObjectEncoder | None = None
    hand: HandModel = dataclasses.field(default_factory=HandModel.load)

    @classmethod
    def load(cls, weights: Path, hand: HandModel | None = None) -> PairGenerator:
        """From the weights.pt of a training.

        Args:
            weights: the file.
            hand: the right hand of the pairs; the installed one by default.

        Raises:
            WeightsError: the file is missing, of another training, or of another hand.
        """
        kept, hand = read_weights(weights, COMMAND, 'network', 'whitening', 'object_width'), hand or HandModel.load()
        require_hand(kept, hand, weights)
        name, width = kept['network'], kept['object_width']
        if name not in NETWORKS:
            raise WeightsError(
                f'{weights} holds another network; expected the weights.pt of python -m training {COMMAND}'
            )
        network, encoder = two_hand_network(name, width), None
        fill(network, kept, weights, COMMAND)
        if kept.get(ENCODER):
            encoder = with_objects(name).encoder
            fill(encoder, {**kept, 'weights': kept[ENCODER]}, weights, COMMAND)
            encoder.eval()
        whitening = PairWhitening(**{field: tensor.numpy() for field, tensor in kept['whitening'].items()})
        return cls(name, network.eval(), whitening, width, encoder, hand)

    def feature(self, points: np.ndarray) -> ObjectFeature:
        """The embeddings of an object.

        Args:
            points: (512, 3) even points on its surface, metres, in its own frame: `object_points_of`.

        Raises:
            WeightsError: the network was trained without objects.
        """
        if self.encoder is None:
            raise WeightsError(f'the network {self.name} was trained without objects: train one with --objects')
        both = np.stack([points, points * np.array([-1, 1, 1])])
        with torch.inference_mode():
            inputs = _tensor(both / UNIT), *map(torch.from_numpy, grouped(both))
            return ObjectFeature(*self.encoder(*inputs).numpy())

    def generate(
        self,
        count: int,
        seed: int,
        steps: int = PAPER_STEPS,
        guidance: float = 0.1,
        anti_penetration: float = 0.0,
        held: ObjectFeature | None = None,
    ) -> HandPairs:
        """Samples pairs.

        Args:
            count: number of pairs.
            seed: the same seed gives the same pairs.
            steps: denoising steps; an autoencoder has none.
            guidance, anti_penetration: as of `SamplingConfig`, for networks that make one hand after the other; the
                others have neither.
            held: an object in both hands.

        Returns:
            Vectors (count, 64), in the frame of each left wrist or of the object.
        """
        if self.name in CASCADES:
            return self.sampler.pairs(count, seed, held, SamplingConfig(steps, guidance, anti_penetration))
        noise = np.random.default_rng(seed).standard_normal((count, PAIR), np.float32)
        parts = [self._together(noise[start : start + _BATCH], steps, held) for start in range(0, count, _BATCH)]
        return HandPairs(*(np.concatenate(hands) for hands in zip(*parts)))

    @functools.cached_property
    def sampler(self) -> TwoHandSampler:
        """The robot's sampling with the network of a cascade."""
        return TwoHandSampler(self.denoise, self.whitening, self.hand, self.object_width)

    def denoise(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the network of a cascade with the inputs and the output of the model folder, by name."""
        return {'clean': self._run(**inputs)}

    def _run(self, *inputs: np.ndarray, **named: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            by_name = {name: _tensor(part) for name, part in named.items()}
            return self.network(*map(_tensor, inputs), **by_name).numpy()

    def _together(self, noise: np.ndarray, steps: int, held: ObjectFeature | None) -> HandPairs:
        """Both hands at once, by a diffusion of 128 numbers or from latent ones."""
        count, seen = len(noise), self._seen(len(noise), held)
        if self.name == 'vae':
            with torch.inference_mode():
                latent = torch.from_numpy(noise[:, : self.network.latent])
                clean = self.network.decoded(latent, *map(torch.from_numpy, seen)).numpy()
        else:
            times = np.ones((count, 1), np.float32)
            clean = sample(lambda state, time: self._run(state, time * times, *seen), noise, steps)
        right, left = (self._hands(hands, held is not None) for hands in (clean[:, :SIZE], clean[:, SIZE:]))
        return HandPairs(right, anchored(left) if held is None else left)

    def _hands(self, clean: np.ndarray, about_object: bool) -> np.ndarray:
        """Vectors whose six numbers are columns of a rotation, from whitened ones."""
        return orthonormal(self.whitening.unwhiten(clean, about_object))

    def _seen(self, count: int, held: ObjectFeature | None) -> tuple[np.ndarray, ...]:
        """What a network that takes objects is given of one."""
        if not self.object_width:
            return ()
        own = np.zeros(self.object_width, np.float32) if held is None else held.own
        return np.tile(own.astype(np.float32), (count, 1)), np.full((count, 1), held is not None, np.float32)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
