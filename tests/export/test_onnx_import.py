# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from hoi_ros.engines import Card
from hoi_ros.engines import TensorSpec
from hoi_ros.resources import models_dir
from training.export.onnx_export import export_onnx
from training.export.onnx_import import ImportedWeightsError
from training.export.onnx_import import load_weights
from training.networks.depth_pose import VotingPoseNet
from training.networks.hand_finder import HandFinderNet


@pytest.fixture(scope='module')
def crops() -> torch.Tensor:
    return torch.rand(16, 1, 96, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize('train_mode', [False, True])
def test_a_network_comes_back_from_its_model_folder(tmp_path, crops, train_mode) -> None:
    """In training mode too, on the batch that gave the statistics: the first steps do not start elsewhere."""
    torch.manual_seed(1)
    network = VotingPoseNet()
    with torch.no_grad():
        network.train()(crops)  # statistics that differ from layer to layer
    names = {'joints': (1, 21, 3), 'spread': (1, 21), 'hand': (1, 1), 'right': (1, 1)}
    export_onnx(network, {'crop': crops[:1]}, [TensorSpec(*item) for item in names.items()], tmp_path,
                {'name': 'depth_pose', 'licence': 'Apache-2.0', 'data': 'none'})
    again = VotingPoseNet()
    load_weights(again, tmp_path, crops)
    with torch.no_grad():
        expected, got = network.eval()(crops), again.train(train_mode)(crops)
    for first, second in zip(expected, got):
        torch.testing.assert_close(first, second, atol=5e-3, rtol=0)


def test_the_models_that_ship_can_be_trained_on(crops) -> None:
    load_weights(VotingPoseNet(), models_dir() / 'depth_pose', crops)
    load_weights(HandFinderNet(), models_dir() / 'hand_finder', torch.zeros(2, 2, 120, 160))


def test_another_network_is_refused(crops) -> None:
    folder = models_dir() / 'hand_finder'
    with pytest.raises(ImportedWeightsError, match='is no layer of VotingPoseNet'):
        load_weights(VotingPoseNet(), folder, crops)
    assert Card.load(folder).name == 'hand_finder'
