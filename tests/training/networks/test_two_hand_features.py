# SPDX-License-Identifier: Apache-2.0
"""The network whose features compare pairs of hands, and hands posed in PyTorch."""

from pathlib import Path

import numpy as np
import torch

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import parameters_of
from tests.training.two_hand_pairs import random_pairs
from training.loop.fitting import LoopConfig
from training.networks.two_hand_prior.features import features_of
from training.networks.two_hand_prior.features import TwoHandFeatures
from training.networks.two_hand_prior.features import views
from training.networks.two_hand_prior.posing import posed
from training.recipes.two_hand_features import joint_error
from training.recipes.two_hand_features import pair_tensors
from training.recipes.two_hand_features import train_network
from training.recipes.two_hand_features import TwoHandFeaturesRecipe


def test_hands_are_posed_as_the_hand_model_poses_them() -> None:
    records, right = random_pairs(5), HandModel.load()
    for model in (right, right.mirrored()):
        vectors = np.ascontiguousarray(records[model.side])
        expected = model.forward(*parameters_of(model, vectors))
        found = posed(right.to_torch(), torch.from_numpy(vectors), model.side == 'left')
        np.testing.assert_allclose(found.vertices, expected.vertices, atol=1e-6)
        np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=1e-6)


def test_the_mirror_image_of_a_pair_has_the_halves_of_its_features_exchanged() -> None:
    torch.manual_seed(0)
    records, network = random_pairs(6), TwoHandFeatures().eval()
    own = features_of(network, records['right'], records['left'])
    other = features_of(network, *views(records['right'], records['left']))
    np.testing.assert_allclose(other, np.roll(own, 64, 1), atol=1e-5)
    assert own.shape == (6, 128) and own.std(0).max() > 100 * np.abs(other - np.roll(own, 64, 1)).max()


def test_a_short_training_lowers_the_error_of_the_joints(tmp_path: Path) -> None:
    torch.manual_seed(0)
    records, network = random_pairs(48), TwoHandFeatures()
    outputs = pair_tensors(records, False)[2]
    network.mean.copy_(outputs.mean(0))
    network.deviation.copy_(outputs.std(0).clamp(min=1e-3))
    before = joint_error(network.eval(), records, False)
    loop = LoopConfig(tmp_path, 16, batch=16, learning_rate=3e-3, averaging=0.5, threads=1, accelerator='cpu')
    progress, figures = train_network(network, TwoHandFeaturesRecipe(loop=loop), lambda: records, records)
    assert progress.step == 16
    assert figures['mpjpe_mm'] < 0.9 * before
