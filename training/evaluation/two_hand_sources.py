# SPDX-License-Identifier: Apache-2.0
"""Networks of two hands as sources of pairs: weights.pt of trainings, and model folders of robots."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hoi_ros.engines import Card
from hoi_ros.engines import load_engine
from hoi_ros.hand.model import HandModel
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from hoi_ros.stages.parts.two_hand_sampler import HandPairs
from hoi_ros.stages.parts.two_hand_sampler import SamplingConfig
from hoi_ros.stages.parts.two_hand_sampler import TwoHandSampler
from training.evaluation.figures import EvaluationError
from training.networks.two_hand_prior.choice import CASCADES
from training.networks.two_hand_prior.generation import PairGenerator


@dataclasses.dataclass(frozen=True)
class PairSource:
    """Makes pairs of hands.

    Attributes:
        generator: of a training's weights; None for a model folder.
        sampler: that robots use, of a network that makes one hand after the other; None for the others, which know
            neither guidance.
    """

    generator: PairGenerator | None
    sampler: TwoHandSampler | None

    @classmethod
    def load(cls, path: Path) -> PairSource:
        """From a weights.pt of `train two_hand_prior`, or from a model folder.

        Raises:
            WeightsError, EngineError: there is no such network.
        """
        if path.is_dir():
            specs = {spec.name: spec for spec in Card.load(path).inputs}
            width = int(specs['object'].shape[-1]) if 'object' in specs else 0
            return cls(None, TwoHandSampler(load_engine(path), PairWhitening.load(path), HandModel.load(), width))
        generator = PairGenerator.load(path)
        return cls(generator, generator.sampler if generator.name in CASCADES else None)

    def pairs(self, count: int, seed: int, config: SamplingConfig) -> HandPairs:
        """Right and left hands (count, 64) in the frame of each left wrist.

        Args:
            count: number of pairs.
            seed: the same seed gives the same pairs.
            config: steps and guidances.
        """
        if self.sampler:
            return self.sampler.pairs(count, seed, config=config)
        return HandPairs(*self.generator.generate(count, seed, config.steps))


def load_sources(named: Sequence[str]) -> dict[str, PairSource]:
    """The sources of options NAME=PATH, in their order.

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
    return {name: PairSource.load(path) for name, path in paths.items()}
