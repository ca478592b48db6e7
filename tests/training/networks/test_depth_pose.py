# SPDX-License-Identifier: Apache-2.0
"""LSPS against the tables of the paper; the votes of the voting network."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor

from hoi_ros.camera.crop import CubeCrop
from hoi_ros.camera.pinhole import Pinhole
from training.networks.depth_pose import LSPSRegressor
from training.networks.depth_pose import PoseVAE
from training.networks.depth_pose import Posterior
from training.networks.depth_pose import VotingConfig
from training.networks.depth_pose import VotingPoseNet

SMALL = VotingConfig(size=96, widths=(4, 6, 8, 10), blocks=(1, 1, 1), head=8)


def layers(module: nn.Module, kind: type[nn.Module]) -> list:
    return [layer for layer in module.modules() if isinstance(layer, kind)]


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def moved_off_zero(network: nn.Module) -> nn.Module:
    """Residual blocks start as identities, which pass no gradient to their inner layers."""
    for norm in layers(network, nn.BatchNorm2d):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
    return network


def test_the_pose_vae_is_table_2() -> None:
    vae = PoseVAE()
    sizes = [(layer.in_features, layer.out_features) for layer in layers(vae, nn.Linear)]
    assert sizes == [(63, 30), (30, 20), (30, 20), (20, 30), (30, 63)]
    assert len(layers(vae, nn.LeakyReLU)) == 2
    assert parameters(vae) == (63 + 1) * 30 + 2 * (30 + 1) * 20 + (20 + 1) * 30 + (30 + 1) * 63 == 5743


def test_the_posterior_is_table_4() -> None:
    posterior = Posterior()
    sizes = [
        (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride)
        for layer in layers(posterior, nn.Conv2d)
    ]
    widths = [1, 64, 128, 256, 512, 1024]
    assert sizes == [
        *((inputs, outputs, (3, 3), (2, 2)) for inputs, outputs in itertools.pairwise(widths)),
        (1024, 20, (2, 2), (1, 1)),
    ]
    assert len(layers(posterior, nn.LeakyReLU)) == 5
    assert parameters(posterior) == 6_351_380
    crop = torch.zeros(2, 1, 128, 128)
    assert posterior.features(crop).shape == (2, 1024, 4, 4)
    assert posterior(crop).shape == (2, 20)


def test_the_vae_decodes_the_mean_plus_scaled_noise() -> None:
    vae = PoseVAE()
    joints, noise = torch.randn(5, 21, 3), torch.randn(5, 20)
    mean, log_variance, decoded = vae(joints, torch.zeros(5, 20))
    torch.testing.assert_close(decoded, vae.decode(mean))
    torch.testing.assert_close(vae(joints, noise)[2], vae.decode(mean + noise * log_variance.exp().sqrt()))
    crop = torch.rand(3, 1, 128, 128)
    regressor = LSPSRegressor(Posterior(), vae)
    torch.testing.assert_close(regressor(crop), vae.decode(regressor.posterior(crop)))
    assert regressor(crop).shape == (3, 21, 3)


def test_voting_outputs_have_their_shapes_and_ranges() -> None:
    with torch.inference_mode():
        joints, spread, hand, right = VotingPoseNet(SMALL).eval()(torch.rand(3, 1, 96, 96) * 2 - 1)
    assert (joints.shape, spread.shape, hand.shape, right.shape) == ((3, 21, 3), (3, 21), (3, 1), (3, 1))
    assert (spread > 0).all() and (spread < 3).all()
    for probability in (hand, right):
        assert ((probability >= 0) & (probability <= 1)).all()
    # With equal weights the joints are the mean of the votes, near the centre of the crop.
    assert joints.abs().max() < 1.5


def test_every_parameter_has_a_gradient() -> None:
    network = moved_off_zero(VotingPoseNet(SMALL))
    joints, spread, hand, right = network(torch.rand(4, 1, 96, 96) * 2 - 1)
    (joints.square().sum() + spread.log().sum() + hand.square().sum() + right.square().sum()).backward()
    idle = [
        name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ]
    assert idle == []


def test_a_cell_votes_relative_to_its_own_position() -> None:
    network = VotingPoseNet(SMALL).eval()
    row, column, offset = 3, 9, torch.tensor([0.02, -0.03, 0.4])

    class OneVoter(nn.Module):
        def forward(self, features: Tensor) -> Tensor:
            votes = torch.zeros(len(features), 21, 4, 12, 12)
            votes[:, :, :3] = offset[:, None, None]
            votes[:, :, 3, row, column] = 50
            return votes.flatten(1, 2)

    network.votes = OneVoter()
    joints = network(torch.zeros(1, 1, 96, 96))[0][0]
    camera = Pinhole(96, 96, 100.0, 100.0, 47.5, 47.5)
    cube = CubeCrop(camera, np.array([0, 0, 0.5]), 96 * 0.5 / 100)
    # A cell is eight pixels wide: its centre lies between the fourth and the fifth.
    pixel = np.array([column, row]) * 8 + 3.5
    u, v, _ = cube.from_camera(camera.unproject(pixel, np.array(0.5)))
    expected = torch.tensor([u, v, 0], dtype=torch.float32) + offset
    torch.testing.assert_close(joints, expected.expand(21, 3), atol=1e-5, rtol=0)


def test_votes_are_translation_equivariant() -> None:
    torch.manual_seed(0)
    network = moved_off_zero(VotingPoseNet(VotingConfig(size=448, widths=(3, 4, 5, 6), blocks=(1, 1, 1), head=4)))
    seen: list[Tensor] = []
    network.eval().votes.register_forward_hook(lambda module, inputs, output: seen.append(output))
    pictures = torch.ones(2, 1, 448, 448)
    blob = torch.rand(64, 64) * 2 - 1
    pictures[0, 0, 192:256, 192:256] = blob
    pictures[1, 0, 192 + 16 : 256 + 16, 192 - 32 : 256 - 32] = blob
    with torch.inference_mode():
        network(pictures)
    still, moved = seen[0][0], seen[0][1]
    around = slice(24, 32)
    background = still[:, 24, 12, None, None]
    assert (still[:, around, around] - background).abs().max() > 1e-3
    torch.testing.assert_close(moved[:, 26:34, 20:28], still[:, around, around], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('size', [96, 128])
def test_other_crop_sizes_work(size: int) -> None:
    network = VotingPoseNet(VotingConfig(size=size, widths=(4, 6, 8, 10), head=8)).eval()
    assert network(torch.zeros(1, 1, size, size))[0].shape == (1, 21, 3)
