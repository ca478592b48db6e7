# SPDX-License-Identifier: Apache-2.0
"""Weights of exported model folders come back into trainable networks."""

from __future__ import annotations

import pytest
import torch

from hoi_ros.engines import Card
from hoi_ros.engines import TensorSpec
from hoi_ros.resources import models_dir
from training.export.onnx_export import export_onnx
from training.networks.depth_pose import VotingPoseNet
from training.networks.hand_finder import HandFinderNet
from training.networks.reconstruction import FinalReconstruction
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import ReconstructionConfig
from training.networks.reconstruction_weights import start_from_folder
from training.networks.weights import ImportedWeightsError
from training.networks.weights import load_weights


@pytest.fixture(scope='module')
def crops() -> torch.Tensor:
    return torch.rand(16, 1, 96, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize('train_mode', [False, True])
def test_an_exported_network_is_restored(tmp_path, crops, train_mode) -> None:
    """Also in training mode, on the batch that set the statistics."""
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


def test_the_shipped_models_load(crops) -> None:
    load_weights(VotingPoseNet(), models_dir() / 'depth_pose', crops)
    load_weights(HandFinderNet(), models_dir() / 'hand_finder', torch.zeros(2, 2, 120, 160))


def test_the_weights_of_another_network_raise(crops) -> None:
    folder = models_dir() / 'hand_finder'
    with pytest.raises(ImportedWeightsError, match='is not a layer of VotingPoseNet'):
        load_weights(VotingPoseNet(), folder, crops)
    assert Card.load(folder).name == 'hand_finder'


@pytest.mark.slow
def test_parameters_that_the_export_multiplied_out_are_worked_out(tmp_path) -> None:
    torch.manual_seed(2)
    config = ReconstructionConfig(
        widths=(8, 8, 16, 32), blocks=(1, 1, 1, 1), size=64, features=8, slots=4, readout='votes'
    )
    network, images = ReconstructionNet(config), torch.rand(8, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        network.train()(images)
        torch.nn.init.normal_(network.hand_estimator.regress.weight, std=0.05)
        torch.nn.init.normal_(network.object_estimator.layers[-1].weight, std=0.1)
        for exchange in (network.from_hand, network.from_object):
            torch.nn.init.normal_(exchange.resize.weight, std=0.3)
            torch.nn.init.normal_(exchange.norm.weight, mean=1, std=0.1)
            torch.nn.init.normal_(exchange.norm.bias, std=0.1)
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
    untrained = load_weights(again, tmp_path, images, partly=True)
    assert {name.split('.')[1] for name in untrained} == {'from_hand', 'from_object', 'object_estimator'}
    whole = FinalReconstruction(ReconstructionNet(config))
    assert start_from_folder(whole.network, tmp_path, images) == []
    with torch.no_grad():
        expected, partial, got = (module.eval()(images) for module in (final, again, whole))
    # Neighbourhoods of the attention are discrete: rounding moves single vertices into them or out of them.
    for name in ('keypoints', 'object'):
        error, other = ((found[name] - expected[name]).norm(dim=-1).mean() for found in (got, partial))
        assert error < 0.1 * other
    for name in ('right', 'holds'):
        torch.testing.assert_close(got[name], expected[name], atol=1e-3, rtol=0)
