# SPDX-License-Identifier: Apache-2.0
"""The ablation of `contact` with a tiny budget."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training.ablation import contact as ablation
from training.ablation.contact import ContactAblation
from training.ablation.contact import ContactAblationBudget
from training.data.synthetic.contact import ContactGrasps
from training.evaluation.contact_tables import COLUMNS
from training.evaluation.contact_tables import print_tables
from training.networks.contact.gcn import GcnConfig
from training.recipes import contact_unlabelled
from training.recipes.contact_filters import FilterConfig
from training.recipes.contact_pseudo import PseudoLabelConfig

ROWS = 'GCN-Contact', 'K = 10, d = 4', 'without SSIM'


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Two grasps that stand for all of them."""
    stream = ContactGrasps(8, 'test')
    records = np.stack([stream[index] for index in range(2)])
    for module in (ablation, contact_unlabelled):
        monkeypatch.setattr(module, 'filled', lambda *_, **__: records)
    monkeypatch.setattr(ablation, 'grasps_of', lambda *_, **__: records)
    monkeypatch.setattr(ablation, 'meshes_of', lambda some, *_: [stream.mesh(int(one['index'])) for one in some])
    tiny = {'gcn': GcnConfig(width=8, head=(16, 16, 8))}
    monkeypatch.setitem(ablation.TABLES[ablation._NETWORKS], 'GCN-Contact', tiny)
    return records


@pytest.mark.slow
def test_every_row_is_trained_once_and_printed(
    records: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = ContactAblationBudget(
        seeds=(0, 1),
        steps=2,
        batch=2,
        records=2,
        semi_steps=1,
        semi_batch=2,
        labelled=2,
        unlabelled=2,
        rows=ROWS,
        threads=1,
        pseudo=PseudoLabelConfig(FilterConfig(penetration=3.0)),
        pool=tmp_path / 'grasps.pool',
        runs=tmp_path / 'runs',
    )
    config = ContactAblation(grasps=2, budget=budget, out=tmp_path / 'tables.json')
    recipes, train = [], ablation.contact_semi.train_network
    monkeypatch.setattr(
        ablation.contact_semi,
        'train_network',
        lambda network, recipe, *more: recipes.append(recipe) or train(network, recipe, *more),
    )
    figures = ablation.ablate(config)
    # One filter is off, the others are those of the budget.
    assert [recipe.pseudo.filters for recipe in recipes] == [FilterConfig(penetration=3.0, dissimilarity=np.inf)] * 2
    printed = capsys.readouterr().out
    networks, design, filters = figures['tables'].values()
    assert list(networks) == ['before refinement', 'GCN-Contact']
    assert design['K = 10, d = 4'] == networks['GCN-Contact']
    assert list(filters) == ['before refinement', 'without SSIM']
    for level in ('small', 'large'):
        values = filters['without SSIM'][level]
        assert set(values) == set(COLUMNS)
        assert all(len(of_seeds) == 2 and np.isfinite(of_seeds).all() for of_seeds in values.values())
    assert all(row in printed for row in ROWS)
    assert 'DGCNN' in figures['missing'] and 'GCN-Contact' not in figures['missing']
    trained = sorted(path.parent.name.rsplit('_', 1)[0] for path in budget.runs.glob('*/weights.pt'))
    assert trained == ['GCN_Contact_0', 'GCN_Contact_1', 'without_SSIM_0', 'without_SSIM_1']
    monkeypatch.setattr(ablation.supervised, 'train_network', None)
    monkeypatch.setattr(ablation.contact_semi, 'train_network', None)
    assert ablation.ablate(config) == figures
    assert print_tables(config.out) == json.loads(config.out.read_text()) == figures
