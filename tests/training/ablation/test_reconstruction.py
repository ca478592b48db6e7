# SPDX-License-Identifier: Apache-2.0
"""The ablation of `reconstruction` with a tiny budget."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from training.ablation import reconstruction as ablation
from training.ablation.reconstruction import AblationBudget
from training.ablation.reconstruction import ReconstructionAblation
from training.data.synthetic.rgb_crops import RgbCrops
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import ReconstructionConfig

SMALL = ReconstructionConfig(widths=(8, 8, 16, 32), blocks=(1, 1, 1, 1), size=64, features=8, slots=4)


@pytest.fixture(scope='module')
def crops() -> np.ndarray:
    """Nine records of two scenes."""
    stream = RgbCrops(0, 'train', round(SMALL.size * 1.3))
    return np.stack([stream[0], stream[1]])[np.arange(9) % 2]


@pytest.mark.slow
def test_every_row_is_trained_once_and_printed(
    crops: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    full_pool: Callable,
) -> None:
    monkeypatch.setattr(ablation, 'SamplePool', full_pool(crops))
    monkeypatch.setattr(
        ablation,
        'ROWS',
        {name: ablation.ROWS[name] for name in ('baseline, no exchange', 'late exchange (table 7*), P = 2')},
    )
    budget = AblationBudget(
        seeds=(0, 1),
        steps=2,
        batch=9,
        network=SMALL,
        records=9,
        threads=1,
        runs=tmp_path / 'runs',
    )
    monkeypatch.setattr(ablation, '_VALIDATION_CROPS', 2)
    table = ablation.ablate(ReconstructionAblation(samples=2, splits=('test',), budget=budget))
    printed = capsys.readouterr().out
    for name, columns in table['rows'].items():
        assert name in printed
        assert all(len(values) == 2 and np.isfinite(values).all() for values in columns['test'].values())
    assert table['budget']['steps'] == 2
    monkeypatch.setattr(ablation, 'train_network', None)
    out = tmp_path / 'table.json'
    ablation.ablate(ReconstructionAblation(samples=2, splits=('test',), budget=budget, out=out))
    assert json.loads(out.read_text())['rows'] == table['rows']
    wrong = dataclasses.replace(budget, rows=('P = 9',))
    with pytest.raises(SystemExit, match="unknown row 'P = 9'"):
        ablation.ablate(ReconstructionAblation(budget=wrong))


def test_all_rows_start_from_the_same_hand(
    crops: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_pool: Callable
) -> None:
    monkeypatch.setattr(ablation, 'SamplePool', full_pool(crops))
    torch.manual_seed(0)
    config, weights = dataclasses.replace(SMALL, readout='votes'), tmp_path / 'hand.pt'
    hand = ReconstructionNet(config).state_dict()
    torch.save({'weights': hand, 'branch': 'hand'}, weights)
    monkeypatch.setattr(ablation, '_VALIDATION_CROPS', 2)
    started = []
    monkeypatch.setattr(
        ablation,
        'train_network',
        lambda network, *_: started.append({name: value.clone() for name, value in network.state_dict().items()}),
    )
    rows = 'baseline, no exchange', 'attention, P = 2'
    budget = AblationBudget(
        seeds=(3,),
        network=config,
        records=1,
        start=weights,
        rows=rows,
        runs=tmp_path / 'runs',
    )
    table = ablation.ablate(ReconstructionAblation(samples=1, splits=('test',), budget=budget))
    assert tuple(table['rows']) == rows
    baseline, full = started
    assert set(baseline) < set(full)
    for name, value in hand.items():
        if name.startswith(('hand_encoder.', 'voting.', 'hand_estimator.')):
            assert torch.equal(baseline[name], value) and torch.equal(full[name], value)
    torch.save({'weights': hand, 'branch': 'both'}, weights)
    with pytest.raises(SystemExit, match='trained with an exchange'):
        ablation.ablate(ReconstructionAblation(samples=1, splits=('test',), budget=budget))
