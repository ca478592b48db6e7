# SPDX-License-Identifier: Apache-2.0
"""A small network of `reconstruction` and its inputs."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor

from hoi_ros.hand import HandModel
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import ReconstructionConfig


@pytest.fixture(scope='session')
def hand() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='session')
def like_mano(hand: HandModel) -> HandModel:
    """778 vertices, pose correctives, and triangles that do not form a clean surface."""
    rng = np.random.default_rng(3)
    rows = np.sort(rng.permutation(len(hand.template))[:778])
    return dataclasses.replace(
        hand,
        template=hand.template[rows],
        shape_basis=hand.shape_basis[rows],
        weights=hand.weights[rows],
        faces=hand.faces[:1538] % 778,
        pose_basis=rng.normal(0, 1e-4, (778, 3, 135)).astype(np.float32),
    )


@pytest.fixture(scope='session')
def small_config() -> ReconstructionConfig:
    return ReconstructionConfig(widths=(4, 6, 8, 16), blocks=(1, 1, 1, 1), size=32, features=8, slots=4)


@pytest.fixture(scope='session')
def small(small_config: ReconstructionConfig) -> Callable[..., ReconstructionNet]:
    """small(hand model, **changed fields) is a small network without layers at zero."""

    def make(hand: HandModel, **choices: object) -> ReconstructionNet:
        torch.manual_seed(0)
        network = ReconstructionNet(dataclasses.replace(small_config, **choices), hand)
        for name, parameter in network.named_parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.5 if '.second.' in name else 0.05)
        return network

    return make


@pytest.fixture(scope='session')
def images() -> Callable[..., Tensor]:
    """images(count, size) are random images in [−1, 1]."""
    return lambda count, size=32: torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(7)) * 2 - 1
