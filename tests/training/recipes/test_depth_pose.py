# SPDX-License-Identifier: Apache-2.0
"""Both networks of `depth_pose` learn from the pool; their losses count the labelled samples only."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor

from training.data.synthetic.depth_crops import CropAugmentation
from training.data.synthetic.depth_crops import DepthPatches
from training.loop.fitting import fit
from training.loop.fitting import LoopConfig
from training.networks.depth_pose import LSPSRegressor
from training.networks.depth_pose import PoseVAE
from training.networks.depth_pose import Posterior
from training.networks.depth_pose import VotingConfig
from training.networks.depth_pose import VotingPoseNet
from training.recipes import depth_pose
from training.recipes.depth_pose import Batches
from training.recipes.depth_pose import DepthPoseRecipe
from training.recipes.depth_pose_losses import DepthPoseLosses
from training.recipes.depth_pose_losses import posterior_loss
from training.recipes.depth_pose_losses import vae_loss
from training.recipes.depth_pose_losses import voting_loss

AUGMENTATION = CropAugmentation(size=96)
SMALL = VotingConfig(size=96, widths=(8, 12, 16, 24), blocks=(1, 1, 1), head=16)


@pytest.fixture(scope='module')
def records() -> np.ndarray:
    stream = DepthPatches(seed=11)
    return np.stack([stream[index] for index in range(24)])


@pytest.fixture(scope='module')
def batch(records: np.ndarray) -> tuple[Tensor, ...]:
    return batches(records)(0)


def batches(records: np.ndarray, left_share: float = 0.35, batch: int = 8) -> Batches:
    return Batches(SimpleNamespace(records=records, ready=len(records)), AUGMENTATION, batch, 3, left_share)


def test_batches_depend_on_the_step_only(records: np.ndarray) -> None:
    make = batches(records)
    crops, keypoints, hand, right = make(4)
    assert crops.shape == (8, 1, 96, 96) and keypoints.shape == (8, 21, 3) and hand.shape == right.shape == (8,)
    assert {tensor.dtype for tensor in (crops, keypoints, hand, right)} == {torch.float32}
    for one, again, other in zip(make(4), batches(records)(4), make(5), strict=True):
        torch.testing.assert_close(one, again, rtol=0, atol=0)
        assert one.shape == other.shape
    assert not torch.equal(crops, make(5)[0])


def test_each_batch_has_a_share_of_false_detections(records: np.ndarray) -> None:
    hands, others = records[records['hand']], records[~records['hand']]
    pool, mistakes = (SimpleNamespace(records=part, ready=len(part)) for part in (hands, others))
    hand = Batches(pool, AUGMENTATION, 10, 3, 0.5, mistakes, 0.3)(0)[2]
    assert hand.tolist() == [1] * 7 + [0] * 3


def test_left_hands_are_mirrored_right_hands(records: np.ndarray) -> None:
    crops, keypoints, hand, right = batches(records, left_share=0)(1)
    left_crops, left_keypoints, left_hand, left_right = batches(records, left_share=1)(1)
    assert right.all() and not left_right.any()
    torch.testing.assert_close(hand, left_hand)
    torch.testing.assert_close(left_crops, crops.flip(-1))
    torch.testing.assert_close(left_keypoints, keypoints * torch.tensor([-1.0, 1, 1]))
    mixed = torch.cat([batches(records)(step)[3] for step in range(12)])
    assert 0.5 < mixed.mean() < 0.8


def test_the_voting_loss_ignores_joints_of_non_hands(batch: tuple[Tensor, ...]) -> None:
    crops, keypoints, _, right = batch
    hand = torch.tensor([1.0, 0, 1, 1, 0, 1, 1, 1])
    moved = keypoints + 0.1 * torch.randn(keypoints.shape, generator=torch.Generator().manual_seed(0))
    outputs = moved, torch.full((8, 21), 0.1), torch.full((8, 1), 0.7), torch.linspace(0.2, 0.9, 8)[:, None]
    terms = voting_loss(lambda _: outputs, crops, keypoints, hand, right)
    elsewhere = torch.where(hand[:, None, None] > 0, keypoints, keypoints + 9)
    other_side = torch.where(hand > 0, right, 1 - right)
    torch.testing.assert_close(voting_loss(lambda _: outputs, crops, elsewhere, hand, other_side), terms)

    perfect = keypoints, torch.full((8, 21), 1e-3), hand[:, None], right[:, None]
    best = voting_loss(lambda _: perfect, crops, keypoints, hand, right)
    assert best['joints'] == 0 and best['hand'] < 1e-4 and best['right'] < 1e-4
    assert all(best[name] < terms[name] for name in terms)


def test_the_spread_loss_is_lowest_at_the_error(batch: tuple[Tensor, ...]) -> None:
    crops, keypoints, _, right = batch
    hand, off = torch.ones(8), keypoints + torch.tensor([0.03, 0.04, 0])

    def cost(spread: float) -> float:
        outputs = off, torch.full((8, 21), spread), hand[:, None], right[:, None]
        return float(voting_loss(lambda _: outputs, crops, keypoints, hand, right)['spread'])

    assert min((0.02, 0.04, 0.05, 0.06, 0.1), key=cost) == 0.05


def test_the_losses_of_lsps_match_the_paper(batch: tuple[Tensor, ...]) -> None:
    crops, keypoints, _, _ = batch
    mean, log_variance = torch.full((8, 20), 0.5), torch.full((8, 20), np.log(4.0))
    terms = vae_loss(lambda joints, noise: (mean, log_variance, joints + 0.02), keypoints, torch.zeros(8, 20))
    assert float(terms['reconstruction']) == pytest.approx(100 * 0.02, rel=1e-4)
    # KL(N(m, s²) ‖ N(0, 1)) = (m² + s² − 1 − ln s²) / 2 a dimension.
    assert float(terms['divergence']) == pytest.approx(0.1 * 20 * 0.5 * (0.25 + 4 - 1 - np.log(4)), rel=1e-4)

    vae = PoseVAE()
    codes = vae.encode(keypoints)[0].detach()
    hand, right = torch.tensor([1.0, 1, 1, 1, 0, 1, 1, 0]), torch.tensor([1.0, 1, 0, 1, 1, 1, 1, 1])
    off = torch.zeros(8, 20)
    off[:, 3] = torch.tensor([1.0, 2, 99, 3, 99, 4, 5, 99])
    terms = posterior_loss(lambda _: codes + off, vae, crops, keypoints, hand, right)
    assert float(terms['posterior']) == pytest.approx(10 * 3, rel=1e-4)


def test_the_weights_of_the_losses_are_options(batch: tuple[Tensor, ...]) -> None:
    keypoints = batch[1]
    outputs = keypoints + 0.1, torch.full((8, 21), 0.1), torch.full((8, 1), 0.7), torch.full((8, 1), 0.6)
    noise, vae = torch.zeros(8, 20), PoseVAE()

    def terms(losses: DepthPoseLosses) -> dict[str, Tensor]:
        return {
            **voting_loss(lambda _: outputs, *batch, losses),
            **vae_loss(vae, keypoints, noise, losses),
            **posterior_loss(lambda _: noise, vae, *batch, losses),
        }

    usual = terms(DepthPoseLosses())
    names = {'joints': 'joints', 'spread': 'spread', 'hand': 'hand', 'right': 'right', 'reconstruction': 'decoded'}
    names |= {'divergence': 'divergence', 'posterior': 'posterior'}
    assert usual.keys() == names.keys()
    for term, option in names.items():
        changed = terms(DepthPoseLosses(**{option: 3 * getattr(DepthPoseLosses(), option)}))
        for name in usual:
            torch.testing.assert_close(changed[name], usual[name] * (3 if name == term else 1))


@pytest.mark.parametrize('precision', ['32-true', 'bf16-mixed'])
def test_the_voting_network_learns_a_batch(batch: tuple[Tensor, ...], tmp_path: Path, precision: str) -> None:
    sums: list[float] = []

    def recorded(forward: nn.Module, *tensors: Tensor) -> dict[str, Tensor]:
        terms = voting_loss(forward, *tensors)
        sums.append(sum(term.item() for term in terms.values()))
        return terms

    config = LoopConfig(
        tmp_path, steps=20, minutes=1e6, batch=8, learning_rate=4e-3, accelerator='cpu', precision=precision, every=100
    )
    torch.manual_seed(0)
    fit(VotingPoseNet(SMALL), config, lambda step: batch, recorded, lambda module: {})
    assert sums[-1] < 0.6 * sums[0]


@pytest.mark.slow
@pytest.mark.parametrize('network', ['voting', 'lsps'])
def test_a_training_saves_weights_progress_and_figures(
    records: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str, full_pool: Callable
) -> None:
    monkeypatch.setattr(depth_pose, 'SamplePool', full_pool(records))
    recipe = DepthPoseRecipe(
        network,
        capacity=len(records),
        vae_steps=30,
        mistakes_capacity=2,
        mistakes_share=0.2,
        losses=DepthPoseLosses(joints=5.0),
        loop=LoopConfig(
            tmp_path / 'run', steps=3, minutes=1e6, batch=6, accelerator='cpu', precision='32-true', every=2
        ),
    )
    parts = records[:4], records[~records['hand']][:1]
    monkeypatch.setattr(depth_pose, 'validation_patches', lambda *_: parts)
    depth_pose.train(recipe)

    kept = torch.load(tmp_path / 'run' / 'weights.pt', weights_only=True)
    assert (kept['network'], kept['cube'], kept['seed']) == (network, 0.27, 0)
    assert (kept['progress']['step'], kept['progress']['samples']) == (3, 18)
    extra = {'hand_told', 'mistake_told', 'side_told'} if network == 'voting' else set()
    assert set(kept['figures']) == {'mean_joint_error_mm', 'within_40_mm'} | extra
    assert 5 < kept['figures']['mean_joint_error_mm'] < 200
    trained = VotingPoseNet() if network == 'voting' else LSPSRegressor(Posterior(), PoseVAE())
    trained.load_state_dict(kept['weights'])
