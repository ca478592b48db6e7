# SPDX-License-Identifier: Apache-2.0
"""Networks of two hands: sizes, what they see of absent hands and objects, and the pairs that they make."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor

from hoi_ros.hand.pair import ROOT
from hoi_ros.hand.pair import rotation_of
from hoi_ros.stages.parts.pair_whitening import PairWhitening
from hoi_ros.stages.parts.two_hand_sampler import ObjectFeature
from training.networks.two_hand_prior.choice import CASCADES
from training.networks.two_hand_prior.choice import NETWORKS
from training.networks.two_hand_prior.choice import two_hand_network
from training.networks.two_hand_prior.choice import TwoHandNetwork
from training.networks.two_hand_prior.denoiser import Denoiser
from training.networks.two_hand_prior.generation import PairGenerator
from training.networks.two_hand_prior.trunk import PAPER

OBJECT = 32


def size(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def inputs_of(name: TwoHandNetwork, batch: int, seed: int = 0) -> list[Tensor]:
    rng = torch.Generator().manual_seed(seed)

    def draw(width: int) -> Tensor:
        return torch.randn(batch, width, generator=rng)

    flags = [(torch.arange(batch)[:, None] % count < 1).float() for count in (2, 3)]
    objects = [draw(OBJECT), flags[1]]
    if name in CASCADES:
        return [draw(64), 256 * torch.rand(batch, 1, generator=rng), draw(64), flags[0], *objects]
    second = draw(64) if name == 'vae' else 256 * torch.rand(batch, 1, generator=rng)
    return [draw(128), second, *objects]


@pytest.fixture(scope='module')
def networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {name: two_hand_network(name, OBJECT).eval() for name in NETWORKS if name != 'paper'}


def test_the_papers_network_has_its_size() -> None:
    with torch.device('meta'):
        assert size(Denoiser(PAPER)) == 75_462_496
        assert size(Denoiser(dataclasses.replace(PAPER, layers=6, skip=0))) == pytest.approx(55.2e6, rel=2e-3)
        assert size(two_hand_network('small', 512)) == pytest.approx(2.7e6, rel=0.02)


@pytest.mark.slow
def test_the_papers_network_trains() -> None:
    torch.manual_seed(0)
    network = two_hand_network('paper')
    inputs, wanted = inputs_of('paper', 2)[:4], torch.randn(2, 64)
    wanted[1, ROOT] = 0
    optimizer = torch.optim.SGD(network.parameters(), 0.02)
    errors = []
    for _ in range(3):
        error = (network(*inputs) - wanted).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.97 * errors[0]


@pytest.mark.parametrize('name', [name for name in NETWORKS if name != 'paper'])
def test_the_samples_of_a_batch_do_not_see_each_other(networks: dict[str, nn.Module], name: TwoHandNetwork) -> None:
    inputs = inputs_of(name, 4)
    with torch.inference_mode():
        together, alone = (
            networks[name](*inputs),
            [networks[name](*(part[row, None] for part in inputs)) for row in range(4)],
        )
        if name == 'vae':
            together, alone = together[0], [parts[0] for parts in alone]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(together[0], together[1])


@pytest.mark.parametrize('name', ['small', 'separate'])
def test_a_hand_alone_has_no_root_and_sees_no_anchor(networks: dict[str, nn.Module], name: TwoHandNetwork) -> None:
    noisy, time, anchor, _, thing, _ = inputs_of(name, 3)
    none, one = torch.zeros(3, 1), torch.ones(3, 1)
    moved, other = noisy.clone(), anchor.clone()
    moved[:, ROOT] += 1
    other[:, ROOT] += 1
    with torch.inference_mode():

        def clean(noisy: Tensor, anchor: Tensor, has_anchor: Tensor, has_object: Tensor) -> Tensor:
            return networks[name](noisy, time, anchor, has_anchor, thing, has_object)

        alone = clean(noisy, anchor, none, none)
        assert (alone[:, ROOT] == 0).all() and torch.equal(alone, clean(moved, other + 1, none, none))
        beside = clean(noisy, anchor, one, none)
        assert torch.equal(beside, clean(noisy, other, one, none))
        assert not torch.equal(beside, clean(moved, anchor, one, none)) and (beside[:, ROOT] != 0).all()
        holding = clean(noisy, anchor, one, one)
        assert not torch.equal(holding, clean(noisy, other, one, one))
        assert (clean(noisy, anchor, none, one)[:, ROOT] != 0).all()


@pytest.mark.parametrize('held', [False, True])
@pytest.mark.parametrize('name', [name for name in NETWORKS if name != 'paper'])
def test_pairs_depend_on_the_seed_only(networks: dict[str, nn.Module], name: TwoHandNetwork, held: bool) -> None:
    rng = np.random.default_rng(1)
    whitening = PairWhitening.of(rng.standard_normal((50, 64)), rng.standard_normal((50, 64)))
    generator = PairGenerator(name, networks[name], whitening, OBJECT)
    thing = ObjectFeature(*rng.standard_normal((2, OBJECT)).astype(np.float32)) if held else None
    first, again, other = (generator.generate(3, seed, 2, held=thing) for seed in (5, 5, 6))
    assert np.array_equal(first.right, again.right) and np.array_equal(first.left, again.left)
    assert not np.isclose(first.right, other.right).all(1).any()
    for hands in first:
        turn = rotation_of(hands)
        np.testing.assert_allclose(hands[:, 55:61], turn[..., :2].swapaxes(1, 2).reshape(3, 6), atol=1e-5)
    if not held:
        np.testing.assert_allclose(first.left[:, ROOT], [[1, 0, 0, 0, 1, 0, 0, 0, 0]] * 3)
