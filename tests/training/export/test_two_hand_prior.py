# SPDX-License-Identifier: Apache-2.0
"""The exported denoiser computes on the robot what PyTorch computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hoi_ros.engines import load_engine
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from training.export.two_hand_prior import example
from training.export.two_hand_prior import export
from training.export.two_hand_prior import TwoHandPriorExport
from training.networks.two_hand_prior.choice import two_hand_network
from training.networks.two_hand_prior.choice import TwoHandNetwork
from training.networks.weights_file import WeightsError


def save(path: Path, name: TwoHandNetwork, width: int) -> torch.nn.Module:
    torch.manual_seed(0)
    network = two_hand_network(name, width).eval()
    torch.save(
        {
            'weights': network.state_dict(),
            'network': name,
            'object_width': width,
            'whitening': dict.fromkeys(
                ('mean', 'deviation', 'object_mean', 'object_deviation'), torch.full((64,), 2.0)
            ),
            'pairs': {'made': 10, 'tracked': 3},
            'progress': {'samples': 0, 'step': 1, 'seconds': 0.0},
            'seed': 0,
            'figures': {'beside': 0.5},
        },
        path,
    )
    return network


def test_a_batch_of_the_model_folder_is_pytorchs(tmp_path: Path) -> None:
    width = 48
    network = save(tmp_path / 'weights.pt', 'small', width)
    card = export(TwoHandPriorExport(weights=tmp_path / 'weights.pt', models=tmp_path / 'none'))
    folder = tmp_path / 'models' / 'two_hand_prior'
    assert card.parameters['steps'] == 8 and card.parameters['object_width'] == width
    assert '3' in card.data and card.largest_batch == 256 and card.figures['export_error']['clean'] < 0.01
    assert PairWhitening.load(folder).deviation[0] == 2
    samples = [example(number, width) for number in range(20)]
    inputs = {name: torch.cat([sample[name] for sample in samples]) for name in samples[0]}
    with torch.inference_mode():
        wanted = network(**inputs).numpy()
    with load_engine(folder, 'openvino', threads=1) as engine:
        engine.prepare(20)
        found = engine(**{name: part.numpy() for name, part in inputs.items()})['clean']
    assert np.abs(found - wanted).max() < 0.01 * np.abs(wanted).max()


def test_robots_run_no_baseline(tmp_path: Path) -> None:
    save(tmp_path / 'weights.pt', 'joint', 0)
    with pytest.raises(WeightsError, match='holds joint; robots run small'):
        export(TwoHandPriorExport(weights=tmp_path / 'weights.pt'))
