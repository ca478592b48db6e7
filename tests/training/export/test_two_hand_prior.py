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
from training.export.two_hand_prior import object_example
from training.export.two_hand_prior import TwoHandPriorExport
from training.networks.two_hand_prior.choice import ENCODER
from training.networks.two_hand_prior.choice import TwoHandNetwork
from training.networks.two_hand_prior.choice import with_objects
from training.networks.two_hand_prior.with_objects import WithObjects
from training.networks.weights_file import WeightsError


def save(path: Path, name: TwoHandNetwork) -> WithObjects:
    torch.manual_seed(0)
    trained = with_objects(name).eval()
    whitening = ('mean', 'deviation', 'object_mean', 'object_deviation')
    torch.save(
        {
            'weights': trained.network.state_dict(),
            ENCODER: trained.encoder.state_dict(),
            'network': name,
            'object_width': 128,
            'whitening': dict.fromkeys(whitening, torch.full((64,), 2.0)),
            'pairs': {'made': 10, 'tracked': 0, 'on_objects': 3},
            'progress': {'samples': 0, 'step': 1, 'seconds': 0.0},
            'seed': 0,
            'figures': {'beside': 0.5},
        },
        path,
    )
    return trained


def test_batches_of_the_model_folders_are_pytorchs(tmp_path: Path) -> None:
    trained = save(tmp_path / 'weights.pt', 'small')
    card = export(TwoHandPriorExport(weights=tmp_path / 'weights.pt', models=tmp_path / 'none'))
    folder = tmp_path / 'models' / 'two_hand_prior'
    assert card.parameters['steps'] == 8 and card.parameters['object_width'] == 128 and card.largest_batch == 256
    assert 'objects' in card.data and 'Tracked' not in card.data and card.figures['export_error']['clean'] < 0.01
    assert PairWhitening.load(folder).deviation[0] == 2
    cases = [
        (folder, trained.network, [example(number, 128) for number in range(20)], 'clean'),
        (folder.with_name('two_hand_object'), trained.encoder, list(map(object_example, range(2))), 'embedding'),
    ]
    for folder, network, samples, name in cases:
        inputs = {name: torch.cat([sample[name] for sample in samples]) for name in samples[0]}
        with torch.inference_mode():
            wanted = network(**inputs).numpy()
        with load_engine(folder, 'openvino', threads=1) as engine:
            engine.prepare(len(samples))
            found = engine(**{name: part.numpy() for name, part in inputs.items()})[name]
        assert np.abs(found - wanted).max() < 0.01 * np.abs(wanted).max(), name


def test_robots_run_no_baseline(tmp_path: Path) -> None:
    save(tmp_path / 'weights.pt', 'joint')
    with pytest.raises(WeightsError, match='holds joint; robots run small'):
        export(TwoHandPriorExport(weights=tmp_path / 'weights.pt'))
