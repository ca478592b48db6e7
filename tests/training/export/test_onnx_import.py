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
from training.networks.reconstruction import FinalReconstruction
from training.networks.reconstruction import ReconstructionConfig
from training.networks.reconstruction import ReconstructionNet


@pytest.fixture(scope='module')
def crops() -> torch.Tensor:
    return torch.rand(16, 1, 96, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize('train_mode', [False, True])
def test_weights_are_loaded_from_a_model_folder(tmp_path, crops, train_mode) -> None:
    """In evaluation mode, and in training mode on the batch that gave the statistics."""
    torch.manual_seed(1)
    network = VotingPoseNet()
    with torch.no_grad():
        network.train()(crops)  # statistics that differ from layer to layer
    names = {'joints': (1, 21, 3), 'spread': (1, 21), 'hand': (1, 1), 'right': (1, 1)}
    export_onnx(
        network,
        {'crop': crops[:1]},
        [TensorSpec(*item) for item in names.items()],
        tmp_path,
        {'name': 'depth_pose', 'licence': 'Apache-2.0', 'data': 'none'},
    )
    again = VotingPoseNet()
    load_weights(again, tmp_path, crops)
    with torch.no_grad():
        expected, got = network.eval()(crops), again.train(train_mode)(crops)
    for first, second in zip(expected, got):
        torch.testing.assert_close(first, second, atol=5e-3, rtol=0)


def test_shipped_models_can_be_trained_further(crops) -> None:
    load_weights(VotingPoseNet(), models_dir() / 'depth_pose', crops)
    load_weights(HandFinderNet(), models_dir() / 'hand_finder', torch.zeros(2, 2, 120, 160))


def test_another_network_is_refused(crops) -> None:
    folder = models_dir() / 'hand_finder'
    with pytest.raises(ImportedWeightsError, match='is no layer of VotingPoseNet'):
        load_weights(VotingPoseNet(), folder, crops)
    assert Card.load(folder).name == 'hand_finder'


def test_parameters_that_the_export_multiplied_out_stay_as_they_are(tmp_path) -> None:
    torch.manual_seed(2)
    config = ReconstructionConfig(
        widths=(8, 8, 16, 32), blocks=(1, 1, 1, 1), size=64, features=8, slots=4, readout='votes'
    )
    network, images = ReconstructionNet(config), torch.rand(8, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        network.train()(images)
        torch.nn.init.normal_(network.hand_estimator.regress.weight, std=0.05)
    final = FinalReconstruction(network.eval())
    export_onnx(
        final,
        {'image': images[:1]},
        final.outputs,
        tmp_path,
        {'name': 'reconstruction', 'licence': 'Apache-2.0', 'data': 'none'},
        graph_tolerance=1e-3,
    )
    again = FinalReconstruction(ReconstructionNet(config))
    with pytest.raises(ImportedWeightsError):
        load_weights(again, tmp_path, images)
    anew = load_weights(again, tmp_path, images, partly=True)
    assert {name.split('.')[1] for name in anew} == {'from_hand', 'from_object', 'object_estimator'}
    with torch.no_grad():
        expected, got = (module.network.eval()(images, hand_alone=True) for module in (final, again))
    torch.testing.assert_close(got.hands[0].keypoints, expected.hands[0].keypoints, atol=1e-4, rtol=0)
    torch.testing.assert_close(got.votes.places, expected.votes.places, atol=5e-3, rtol=0)
