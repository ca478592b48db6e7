# SPDX-License-Identifier: Apache-2.0
"""Figures of made pairs of hands, their tables, and the anchors' distances."""

import json
from pathlib import Path

import numpy as np
import pytest

from hoi_ros.hand import HandModel
from hoi_ros.hand.pair import PLACE
from hoi_ros.stages.parts.two_hand_sampler import HandPairs
from hoi_ros.stages.parts.two_hand_sampler import SamplingConfig
from tests.training.two_hand_pairs import random_pairs
from tests.training.two_hand_pairs import random_pairs_on_objects
from tests.training.two_hand_pairs import untrained_features
from training.ablation.two_hand_prior import ablate
from training.ablation.two_hand_prior import TwoHandBudget
from training.ablation.two_hand_prior import TwoHandPriorAblation
from training.data.pool import PoolError
from training.evaluation.figures import EvaluationError
from training.evaluation.two_hand_anchors import anchored_figures
from training.evaluation.two_hand_metrics import described_features
from training.evaluation.two_hand_metrics import formatted_rows
from training.evaluation.two_hand_metrics import PairMetrics
from training.evaluation.two_hand_sources import EACH
from training.evaluation.two_hand_sources import load_sources
from training.evaluation.two_hand_sources import PairSource
from training.evaluation.two_hand_tables import print_tables
from training.networks.two_hand_prior.features import load_features


def test_the_data_is_nearer_to_itself_than_other_pairs(tmp_path: Path) -> None:
    features, held_out = untrained_features(tmp_path), random_pairs(60)
    network = load_features(features)
    metrics = PairMetrics(network, held_out, held_out[:20], 2)
    data, tracked = metrics.data(2, 30), metrics.recording(1)
    moved = held_out['right'].copy()
    moved[:, PLACE] += 0.2
    made = metrics.row('moved', lambda number: HandPairs(moved, held_out['left']), 2)
    assert max(data['fhid']) < 0.2 * min(made['fhid']) and max(data['khid']) < min(made['khid'])
    assert min(data['recall']) > 0.7 and max(made['recall']) < 0.2 and max(made['penetration_mm3']) == 0
    assert tracked['tracked_recall'] == [1.0] and data == {
        **metrics.data(2, 99),
        'pairs_a_second': data['pairs_a_second'],
    }
    # Fewer pairs are compared where networks make fewer, whose distances grow with it.
    assert min(metrics.data(2, 12)['fhid']) > max(data['fhid'])
    table = formatted_rows({'data': data, 'moved': made})
    assert table.splitlines()[0].startswith('| | FHID |') and ' ± ' in table
    assert len(described_features(features)['sha256']) == 64
    broken = HandPairs(moved * np.nan, held_out['left'])
    with pytest.raises(EvaluationError, match='broken: made hands have numbers that are not finite'):
        metrics.row('broken', lambda number: broken, 1)
    with pytest.raises(EvaluationError, match='11 held-out pairs'):
        PairMetrics(network, held_out[:11], None, 0)


def test_pairs_on_objects_are_compared_on_the_objects_of_held_out_ones(tmp_path: Path) -> None:
    features, held_out = untrained_features(tmp_path, True), random_pairs_on_objects(24)
    metrics = PairMetrics(load_features(features), held_out, None, 0)

    def number_of(points: np.ndarray) -> int:
        return int(np.abs(held_out['object_points'] - points).sum((1, 2)).argmin())

    class Knows:
        def pairs(self, count: int, seed: int, held: int, config: SamplingConfig) -> HandPairs:
            return HandPairs(*(np.repeat(held_out[side][[held]], count, 0) for side in ('right', 'left')))

    source, objects = PairSource(None, Knows(), number_of), metrics.objects(0)
    made = source.pairs(3 * EACH - 1, 0, SamplingConfig(), objects)
    wanted = held_out[[number_of(points) for points in objects[:3]]].repeat(EACH)[:-1]
    for name in ('right', 'left', 'object_points'):
        assert np.array_equal(getattr(made, name), wanted[name])
    assert len(source.pairs(100, 0, SamplingConfig(), objects).right) == 100
    elsewhere = made._replace(object_points=made.object_points + np.float32(0.2))
    near, far = (metrics.row('made', lambda _, pairs=pairs: pairs, 1) for pairs in (made, elsewhere))
    assert metrics.data(1, 12)['fhid'][0] < near['fhid'][0] < 0.9 * far['fhid'][0]
    with pytest.raises(EvaluationError, match='tracked hands hold no objects'):
        PairMetrics(load_features(features), held_out, random_pairs(3), 0)
    with pytest.raises(EvaluationError, match='--budget.objects is 0'):
        ablate(TwoHandPriorAblation(features))
    for unequal in ({'first': 8, 'capacity': 9}, {'refresh': True}):
        budget = TwoHandBudget(objects=0.5, **unequal)
        with pytest.raises(PoolError, match='later networks would draw from more pairs: make both numbers the same'):
            ablate(TwoHandPriorAblation(features, budget=budget))


def test_samples_that_know_their_anchor_are_nearer_than_chance() -> None:
    tracked, held_out = random_pairs(6), random_pairs(30, 1)

    class Knows:
        def beside(self, anchors: np.ndarray, count: int, seed: int, config: SamplingConfig) -> np.ndarray:
            apart = np.abs(anchors[:, None, :45] - tracked['left'][None, :, :45]).sum(-1)
            return tracked['right'][apart.argmin(1)]

    figures = anchored_figures(Knows(), HandModel.load(), tracked, held_out, SamplingConfig(), 3, 6)
    assert figures['own left hand, mean_mm'] == pytest.approx(0, abs=1e-3)
    assert all(value > 20 for name, value in figures.items() if not name.startswith('own'))


def test_options_that_name_no_network_are_refused(tmp_path: Path) -> None:
    for given in (['weights.pt'], ['ours='], ['=weights.pt']):
        with pytest.raises(EvaluationError, match='expected NAME=PATH'):
            load_sources(given)
    with pytest.raises(EvaluationError, match='names a twice'):
        load_sources(['a=x', 'a=y'])


def test_the_tables_compare_ours_with_the_next_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {
        'VAE': [4.0, 5.0],
        'without decomposition': [2.0, 2.0],
        'without shared network': [1.1, 1.2],
        'ours': [1.0, 1.5],
    }
    table = {
        row: {'fhid': [[one, one] for one in seeds], 'penetration_mm3': [[1.0], [2.0]]} for row, seeds in rows.items()
    }
    guided = {'without anti-penetration guidance': {'fhid': [[1.0], [1.2]], 'penetration_mm3': [[10.0], [10.0]]}}
    path = tmp_path / 'tables.json'
    path.write_text(json.dumps({'tables': {'Table 1': table, 'Table 3': guided}, 'seeds': [0, 1], 'missing': []}))
    print_tables(path)
    said = capsys.readouterr().out
    assert 'seed 0: FHID 1, 0.50 of the next best, without decomposition (2)' in said
    assert 'seed 1: anti-penetration guidance leaves 0.20 of the volume and FHID is 1.25 of that without' in said
    with pytest.raises(EvaluationError, match='train the rows first'):
        print_tables(tmp_path / 'none.json')
