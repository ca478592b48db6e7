# SPDX-License-Identifier: Apache-2.0
"""Networks of two hands as sources of pairs: weights.pt of trainings, and model folders of robots."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hoi_ros.engines import Card
from hoi_ros.engines import load_engine
from hoi_ros.hand.model import HandModel
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from hoi_ros.stages.parts.two_hand_object import ObjectEmbedding
from hoi_ros.stages.parts.two_hand_sampler import HandPairs
from hoi_ros.stages.parts.two_hand_sampler import ObjectFeature
from hoi_ros.stages.parts.two_hand_sampler import SamplingConfig
from hoi_ros.stages.parts.two_hand_sampler import TwoHandSampler
from training.evaluation.figures import EvaluationError
from training.networks.two_hand_prior.choice import CASCADES
from training.networks.two_hand_prior.generation import PairGenerator

EACH = 8
"""Pairs that are made on an object."""
_MOST_OBJECTS = 2**16
"""Objects of an evaluation: those of two evaluations have different seeds."""


class ComparedPairs(NamedTuple):
    """Vectors (N, 64) of right and of left hands, in the frame of each left wrist, or of the object whose points
    (N, 512, 3) are given."""

    right: np.ndarray
    left: np.ndarray
    object_points: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class PairSource:
    """Makes pairs of hands.

    Attributes:
        generator: of a training's weights; None for a model folder.
        sampler: that robots use, of a network that makes one hand after the other; None for the others, which know
            neither guidance.
        embedded: the object of points (512, 3), metres, as the network takes it.
    """

    generator: PairGenerator | None
    sampler: TwoHandSampler | None
    embedded: Callable[[np.ndarray], ObjectFeature]

    @classmethod
    def load(cls, path: Path, hand: HandModel | None = None) -> PairSource:
        """From a weights.pt of `train two_hand_prior`, or from a model folder.

        Args:
            path: the file or the folder.
            hand: the right hand of the pairs; the installed one by default.

        Raises:
            WeightsError, EngineError: there is no such network, or it is of another hand.
        """
        hand = hand or HandModel.load()
        if path.is_dir():
            card = Card.load(path)
            specs = {spec.name: spec for spec in card.inputs}
            width = int(specs['object'].shape[-1]) if 'object' in specs else 0
            sampler = TwoHandSampler(load_engine(path), PairWhitening.load(path), hand, width)
            return cls(None, sampler, _encoder_beside(path, card, width))
        generator = PairGenerator.load(path, hand)
        return cls(generator, generator.sampler if generator.name in CASCADES else None, generator.feature)

    def pairs(self, count: int, seed: int, config: SamplingConfig, objects: np.ndarray | None = None) -> ComparedPairs:
        """Right and left hands (count, 64) in the frame of each left wrist, or of their objects.

        Args:
            count: number of pairs.
            seed: the same seed gives the same pairs.
            config: steps and guidances.
            objects: (M, 512, 3) points of objects, metres, the first of which are held by EACH pairs, or by more if
                there are too few of them.

        Raises:
            WeightsError, EvaluationError: the network takes no objects.
        """
        if objects is None:
            return ComparedPairs(*self._made(count, seed, config, None))
        used = objects[: -(-count // EACH)]
        each = -(-count // len(used))
        made = [
            self._made(each, _MOST_OBJECTS * seed + number, config, self.embedded(points))
            for number, points in enumerate(used)
        ]
        right, left = (np.concatenate(hands)[:count] for hands in zip(*made))
        return ComparedPairs(right, left, used.repeat(each, 0)[:count])

    def _made(self, count: int, seed: int, config: SamplingConfig, held: ObjectFeature | None) -> HandPairs:
        if self.sampler:
            return self.sampler.pairs(count, seed, held, config)
        return self.generator.generate(count, seed, config.steps, held=held)


def _encoder_beside(path: Path, card: Card, width: int) -> Callable[[np.ndarray], ObjectFeature]:
    """The encoder of objects beside a model folder, which is loaded once an object is given."""

    @functools.cache
    def encoder() -> ObjectEmbedding:
        if not width:
            raise EvaluationError(f'{path}: the network takes no objects, and the features have learnt with objects')
        return ObjectEmbedding(card, path.parent, 'auto', None)

    return lambda points: encoder().feature(points)


def load_sources(named: Sequence[str], hand: HandModel | None = None) -> dict[str, PairSource]:
    """The sources of options NAME=PATH, in their order, and the right hand of their pairs.

    Raises:
        EvaluationError: an option is not of that form, or a name comes twice.
        WeightsError, EngineError: as `PairSource.load`.
    """
    paths: dict[str, Path] = {}
    for option in named:
        name, equals, path = option.partition('=')
        if not (name and equals and path):
            raise EvaluationError(f'--weights {option}: expected NAME=PATH of a weights.pt or of a model folder')
        if name in paths:
            raise EvaluationError(f'--weights names {name} twice: give each network a name of its own')
        paths[name] = Path(path)
    return {name: PairSource.load(path, hand) for name, path in paths.items()}
