# SPDX-License-Identifier: Apache-2.0
"""The network of `reconstruction`: outputs, initial hand, and its export."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial.transform import Rotation
from torch import nn
from torch import Tensor

from hoi_ros.engines import load_engine
from hoi_ros.hand import HandModel
from training.export import export_onnx
from training.networks.reconstruction import FinalReconstruction
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import COMPACT
from training.networks.reconstruction_config import PAPER
from training.networks.reconstruction_config import ReconstructionConfig
from training.networks.reconstruction_config import ROOT
from training.networks.reconstruction_estimators import Votes
from training.networks.resnet import ResNetEncoder

EXCHANGES = ('attention', 'gcn', 'spiral', 'late')
Networks = Callable[..., ReconstructionNet]
Images = Callable[..., Tensor]


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_encoder_is_resnet_18(images: Images) -> None:
    encoder = ResNetEncoder()
    # 11,689,512 less the classifier of 1000 classes.
    assert parameters(encoder) == 11_689_512 - 513_000
    detail, fine, coarse = encoder.eval()(images(2, 64))
    assert detail.shape == (2, 128, 8, 8) and fine.shape == (2, 256, 4, 4) and coarse.shape == (2, 512, 2, 2)
    sizes: list[tuple[int, ...]] = []
    for layer in (*encoder.stem, *(block for stage in encoder.stages for block in stage)):
        layer.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(output.shape[1:3])))
    encoder(images(1, 256))
    assert sizes == [(64, 128), (64, 64), *[(64, 64)] * 2, *[(128, 32)] * 2, *[(256, 16)] * 2, *[(512, 8)] * 2]
    assert parameters(ReconstructionNet(COMPACT)) < 0.5 * parameters(ReconstructionNet(PAPER))


@pytest.mark.parametrize('exchange', EXCHANGES)
@pytest.mark.parametrize('model', ['hand', 'like_mano'])
def test_every_iteration_predicts_a_hand_and_an_object(
    exchange: str, model: str, request: pytest.FixtureRequest, small: Networks, images: Images
) -> None:
    model = request.getfixturevalue(model)
    network = small(model, exchange=exchange, iterations=3).eval()
    with torch.inference_mode():
        result = network(images(2))
    assert network.hand_faces.shape == model.faces.shape and network.object_faces.shape == (1280, 3)
    late = exchange == 'late'
    assert (len(result.hands), len(result.objects)) == ((1, 1) if late else (4, 3))
    assert [len(result.hand_messages), len(result.object_messages)] == [3, 3]
    assert {message.shape for message in result.hand_messages + result.object_messages} == {(2, 16)}
    assert {points.shape for points in result.objects} == {(2, 642, 3)}
    for estimate in result.hands:
        assert [tuple(value.shape) for value in estimate] == [
            (2, len(model.template), 3),
            (2, 21, 3),
            (2, 3, 3),
            (2, 45),
            (2, 10),
            (2, 3),
        ]
        assert all(value.isfinite().all() for value in estimate)
        assert estimate.keypoints[:, ROOT].abs().max() < 1e-7
    for pair in zip(result.objects, result.objects[1:]):
        assert not torch.equal(*pair)


def test_the_hand_starts_at_the_voted_keypoints(hand: HandModel, small_config: ReconstructionConfig) -> None:
    torch.manual_seed(0)
    network = ReconstructionNet(dataclasses.replace(small_config, readout='votes'), hand).eval()
    turns = Rotation.random(5, random_state=2)
    pose = np.zeros((5, 48))
    pose[:, :3] = turns.as_rotvec()
    points = np.stack([hand.forward(one, np.zeros(10), np.zeros(3), vertices=False).keypoints for one in pose])
    points = torch.tensor(points - points[:, ROOT : ROOT + 1], dtype=torch.float32)
    middle = torch.tensor([0.3, -0.2])
    # A crop 0.3 m wide at the root's depth; depths behind the root in 10 cm.
    places = torch.cat([points[..., :2] / 0.15 + middle, points[..., 2:] / 0.1], -1)
    hands = network.hand_estimator(torch.zeros(5, 16), Votes(places, torch.zeros(5, 21, 4)))
    np.testing.assert_allclose(hands.rotation.numpy(force=True), turns.as_matrix(), atol=1e-5)
    torch.testing.assert_close(hands.place, torch.cat([middle, torch.zeros(1)]).expand(5, 3))
    palm = [0, 5, 9, 13, 17]  # the fingers start relaxed
    torch.testing.assert_close(hands.keypoints[:, palm], points[:, palm], rtol=0, atol=1e-5)


def test_shape_coefficients_are_bounded(hand: HandModel, small: Networks) -> None:
    estimator = small(hand).hand_estimator
    shape = estimator(1e3 * torch.randn(6, 16, generator=torch.Generator().manual_seed(4))).shape
    assert 2.9 < shape.abs().max() <= 3


def test_negative_iterations_and_a_late_exchange_without_iterations_raise() -> None:
    with pytest.raises(ValueError, match='iterations is -1, expected at least 0'):
        ReconstructionConfig(iterations=-1)
    with pytest.raises(ValueError, match='late exchange with 0 iterations exchanges nothing'):
        ReconstructionConfig(iterations=0, exchange='late')


@pytest.mark.parametrize('rotation', ['axis_angle', '6d'])
def test_an_untrained_network_predicts_a_relaxed_hand_that_shows_its_palm(
    hand: HandModel, rotation: str, small_config: ReconstructionConfig, images: Images
) -> None:
    torch.manual_seed(0)
    network = ReconstructionNet(dataclasses.replace(small_config, rotation=rotation), hand).eval()
    with torch.inference_mode():
        result = network(images(2))
    estimate = result.hands[-1]
    wrist, thumb, index, little = estimate.keypoints[0, [0, 2, 8, 20]]
    assert wrist[1] > 0.05 and index[1] < -0.03, 'the fingers do not point up'
    assert thumb[0] > 0.02 and little[0] < 0, 'the thumb of the right hand is not on the right'
    assert index[2] < -0.01, 'the fingers do not bend towards the camera'
    assert not any(message.any() for message in result.hand_messages + result.object_messages)
    radii = result.objects[-1].norm(dim=-1)
    torch.testing.assert_close(radii, torch.full_like(radii, 0.04))
    sphere = trimesh.Trimesh(result.objects[-1][0].numpy(), network.object_faces, process=False)
    assert sphere.is_watertight and sphere.volume > 0


@pytest.mark.parametrize('rotation', ['axis_angle', '6d'])
def test_the_hand_mesh_is_that_of_the_hand_model(
    like_mano: HandModel, rotation: str, small: Networks, images: Images
) -> None:
    network = small(like_mano, rotation=rotation).eval()
    with torch.inference_mode():
        estimate = network(images(3)).hands[-1]
    rotations = estimate.rotation.numpy()
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (3, 1, 1)), atol=1e-6)
    pose = np.concatenate([Rotation.from_matrix(rotations).as_rotvec(), estimate.fingers.numpy()], -1)
    posed = like_mano.forward(pose, estimate.shape.numpy(), np.full((3, 3), 0.5))
    root = posed.keypoints[:, ROOT : ROOT + 1]
    np.testing.assert_allclose(estimate.vertices.numpy(), posed.vertices - root, atol=2e-6)
    np.testing.assert_allclose(estimate.keypoints.numpy(), posed.keypoints - root, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize('readout', ['mean', 'votes'])
def test_the_exported_network_matches_pytorch(
    hand: HandModel, tmp_path: Path, readout: str, small: Networks, images: Images
) -> None:
    # Layer normalisation over the four features of the smallest network amplifies rounding errors up to 70 times.
    network = small(hand, readout=readout, widths=(4, 6, 8, 64)).eval()
    if network.voting:
        # With all joints voted to one place rounding would decide the orientation of the palm.
        nn.init.normal_(network.voting.votes.bias, std=0.5, generator=torch.Generator().manual_seed(6))
    final = FinalReconstruction(network)
    export_onnx(
        final,
        {'image': images(1)},
        final.outputs,
        tmp_path,
        {'name': 'reconstruction', 'licence': 'Apache-2.0', 'data': 'none'},
        # The threshold is a step: a vertex that rounding moves across it changes the sums by its share.
        graph_tolerance=1e-3,
    )
    unseen = images(3)[2:]
    with torch.inference_mode():
        expected = final(unseen)
    with load_engine(tmp_path, 'openvino', threads=1) as engine:
        found = engine(image=unseen.numpy())
    for name in ('vertices', 'keypoints', 'object'):
        assert np.linalg.norm(found[name] - expected[name].numpy(), axis=-1).max() < 1e-4, name
    for name in ('rotation', 'fingers', 'shape', 'place'):
        np.testing.assert_allclose(found[name], expected[name].numpy(), atol=3e-3)
