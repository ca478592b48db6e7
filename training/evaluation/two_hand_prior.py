# SPDX-License-Identifier: Apache-2.0
"""How networks of `two_hand_prior` make pairs: the protocol of InterHandGen (section 4.1, supplement S.4.1)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from hoi_ros.hand.model import HandModel
from hoi_ros.stages.parts.two_hand_sampler import SamplingConfig
from training.data.public.pair_choice import HeldOutPairs
from training.data.real.two_hand_tracks import TwoHandTracks
from training.evaluation.figures import print_figures
from training.evaluation.figures import require_count
from training.evaluation.figures import require_split
from training.evaluation.figures import write_figures
from training.evaluation.two_hand_anchors import anchored_figures
from training.evaluation.two_hand_metrics import described_features
from training.evaluation.two_hand_metrics import Figures
from training.evaluation.two_hand_metrics import formatted_rows
from training.evaluation.two_hand_metrics import PairMetrics
from training.evaluation.two_hand_sources import load_sources
from training.evaluation.two_hand_sources import PairSource
from training.evaluation.two_hand_tables import ON_OBJECTS
from training.evaluation.two_hand_tables import print_tables
from training.networks.two_hand_prior.features import load_features


@dataclasses.dataclass(frozen=True)
class TwoHandPriorEvaluation(HeldOutPairs):
    """Prints how alike made pairs of hands and held-out ones are, and how far made hands pass through each other.

    With features that have learnt with objects (--with-object), the pairs are made on the objects of held-out ones."""

    weights: tuple[str, ...] = ('ours=runs/two_hand_prior/weights.pt',)
    """NAME=PATH of weights.pt of trainings or of model folders, a row each. The first one has a table of its steps."""
    features: Path = Path('runs/two_hand_features/weights.pt')
    """Of `train two_hand_features`."""
    pairs: int = 2000
    """Pairs that each network makes in an evaluation; the paper makes 10,000."""
    evaluations: int = 20
    tests: int = 3072
    """Pairs of the split; each evaluation compares with half of them."""
    split: str = 'test'
    """Of the held-out pairs; validation for ARCTIC, whose test split is not public."""
    solid: int = 500
    """Pairs of an evaluation whose penetration is measured, the first ones; 0 measures none."""
    sampling: SamplingConfig = dataclasses.field(default_factory=SamplingConfig)
    """Of all rows."""
    steps: tuple[int, ...] = (32, 16, 8, 4, 2)
    """Denoising steps of the first network, a row each."""
    tracks: Path | None = None
    """leap_tracks.npz: the tracked pairs of its test recording are a row, and their left hands anchors."""
    anchors: int = 24
    """Tracked left hands beside which right hands are sampled."""
    samples: int = 16
    """Beside each of them."""
    out: Path | None = None
    """JSON file for the figures."""
    ablation: bool = False
    """Print the tables of `ablate two_hand_prior`, which trains their rows, instead: those on objects, too, if they
    are there."""


def evaluate(config: TwoHandPriorEvaluation) -> dict[str, Any]:
    """Prints, writes and returns the figures: `rows` and `steps` by row and figure, a value for each evaluation."""
    if config.ablation:
        tables = {'tables': print_tables()}
        return tables | ({'on_objects': print_tables(ON_OBJECTS)} if ON_OBJECTS.is_file() else {})
    for name in ('pairs', 'evaluations', 'tests'):
        require_count(getattr(config, name), f'--{name}')
    require_split(config.split, ('validation', 'test'))
    hand = HandModel.load(config.hand)
    sources = load_sources(config.weights, hand)
    network = load_features(config.features, hand)
    config.require_recorded(network.with_object)
    tests = config.held_out(config.split, config.tests, network.with_object)
    tracked = TwoHandTracks(config.tracks, 'test', hand).records if config.tracks else None
    metrics = PairMetrics(network, tests, tracked, config.solid)
    figures: dict[str, Any] = {
        'features': described_features(config.features),
        'pairs': config.pairs,
        'held_out': metrics.sample,
        'evaluations': config.evaluations,
        'sampling': dataclasses.asdict(config.sampling),
    }
    pairs = 'pairs on objects' if network.with_object else 'pairs'
    print(
        f'{config.pairs} {pairs} in each of {config.evaluations} evaluations against {metrics.sample} held-out ones; '
        f'penetration of the first {config.solid}'
    )
    rows = {'held-out pairs': metrics.data(config.evaluations, config.pairs)}
    if tracked is not None:
        rows['tracked pairs'] = metrics.recording(config.evaluations)
    figures['rows'] = rows
    for name, source in sources.items():
        rows[name] = _row(name, source, config.sampling, config, metrics)
        write_figures(figures, config.out)
    print(formatted_rows(rows))
    name, source = next(iter(sources.items()), (None, None))
    if source and (config.steps or source.sampler):
        figures['steps'] = steps = _steps(name, source, config, metrics)
        print(f'\n{formatted_rows(steps)}')
    if tracked is not None and source and source.sampler:
        figures['anchored'] = anchored_figures(
            source.sampler, hand, tracked, tests, config.sampling, config.samples, config.anchors
        )
        print('\nright hands beside tracked left hands, distance of the joints from the tracked right hand, mm')
        print_figures(figures['anchored'])
    write_figures(figures, config.out)
    return figures


def _row(
    title: str, source: PairSource, sampling: SamplingConfig, config: TwoHandPriorEvaluation, metrics: PairMetrics
) -> Figures:
    """The figures of a network; its pairs are others in each evaluation."""
    return metrics.row(
        title,
        lambda number: source.pairs(config.pairs, number, sampling, metrics.objects(number)),
        config.evaluations,
    )


def _steps(name: str, source: PairSource, config: TwoHandPriorEvaluation, metrics: PairMetrics) -> dict[str, Figures]:
    """Rows of a network with other numbers of steps, and without each guidance."""
    ways = {f'{name}, {steps} steps': {'steps': steps} for steps in config.steps}
    if source.sampler:
        ways |= {
            f'{name}, no anti-penetration': {'anti_penetration': 0.0},
            f'{name}, no classifier-free guidance': {'guidance': 0.0},
            f'{name}, neither': {'anti_penetration': 0.0, 'guidance': 0.0},
        }
    return {
        title: _row(title, source, dataclasses.replace(config.sampling, **changes), config, metrics)
        for title, changes in ways.items()
    }
