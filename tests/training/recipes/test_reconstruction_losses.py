# SPDX-License-Identifier: Apache-2.0
"""The losses of `reconstruction` against hand-computed values, and what they count."""

import dataclasses

import numpy as np
import open3d
import pytest
import torch
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from torch import Tensor

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.camera.view_crop import ViewCrop
from hoi_ros.hand import HandModel
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction_config import CROP_WIDTH
from training.networks.reconstruction_config import ReconstructionConfig
from training.networks.reconstruction_config import ROOT
from training.networks.reconstruction_estimators import HandPrediction
from training.recipes.reconstruction_losses import associative_loss
from training.recipes.reconstruction_losses import chamfer_distance
from training.recipes.reconstruction_losses import laplacian_error
from training.recipes.reconstruction_losses import reconstruction_loss
from training.recipes.reconstruction_losses import ReconstructionLosses
from training.recipes.reconstruction_losses import ReconstructionTargets
from training.recipes.reconstruction_losses import reprojected
from training.recipes.reconstruction_losses import surface_points
from training.recipes.reconstruction_losses import vote_weight_loss

SMALL = ReconstructionConfig(widths=(4, 6, 8, 16), blocks=(1, 1, 1, 1), size=32, features=8, slots=4)
SPHERE = torch.tensor(trimesh.creation.icosphere(subdivisions=3).faces)


@pytest.fixture(scope='module')
def hand() -> HandModel:
    return HandModel.load()


def targets(hand: HandModel, count: int = 4) -> ReconstructionTargets:
    """Hands in random poses, each with a ball of random size and position."""
    rng = np.random.default_rng(6)
    pose = hand.pose_of(rng.uniform(0, 0.8, (count, 16, 3)) * hand.limits[..., 1])
    pose[:, :3] = Rotation.from_rotvec(rng.normal(0, 0.7, (count, 3))).as_rotvec()
    posed = hand.forward(pose, rng.normal(size=(count, 10)), np.zeros((count, 3)))
    flip, root = np.diag([1, -1, -1]), posed.keypoints[:, ROOT : ROOT + 1]
    ball = rng.normal(size=(count, 300, 3))
    ball *= rng.uniform(0.02, 0.06, (count, 1, 1)) / np.linalg.norm(ball, axis=-1, keepdims=True)
    numbers = (
        (posed.keypoints - root) @ flip,
        rng.normal(0, 0.2, (count, 3)),
        rng.normal(0, 0.3, (count, 21, 2)),
        (posed.vertices - root) @ flip,
        np.ones(count),
        ball + rng.normal(0, 0.05, (count, 1, 3)),
        *(np.ones(count) for _ in range(6)),
        np.full(count, 3.0),
    )
    return ReconstructionTargets(*(torch.tensor(value, dtype=torch.float32) for value in numbers))


def images(count: int, size: int = 32) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(7)) * 2 - 1


def test_chamfer_distance_matches_a_search_tree() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(3, 70, 3)), rng.normal(size=(3, 45, 3))
    expected = [
        (np.mean(cKDTree(b).query(a)[0] ** 2) + np.mean(cKDTree(a).query(b)[0] ** 2)) / 2 for a, b in zip(first, second)
    ]
    points = torch.tensor(first, requires_grad=True)
    found = chamfer_distance(points, torch.tensor(second), chunk=16)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12)
    assert torch.autograd.gradcheck(lambda x: chamfer_distance(x, torch.tensor(second[:1])), points[:1])


def test_laplacian_error_matches_trimesh() -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)
    rng = np.random.default_rng(8)
    shapes = np.stack([ball.vertices, ball.vertices + rng.normal(0, 0.1, ball.vertices.shape)])
    found = laplacian_error(torch.tensor(shapes), torch.tensor(ball.faces))
    for value, vertices in zip(found, shapes):
        mesh = trimesh.Trimesh(vertices, ball.faces, process=False)
        off = trimesh.smoothing.laplacian_calculation(mesh) @ vertices - vertices
        assert float(value) == pytest.approx((off**2).sum(1).mean())
    assert found[1] > 5 * found[0]


def test_surface_points_are_distributed_like_random_samples() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3)
    meshes = [
        trimesh.Trimesh(ball.vertices * axes, ball.faces, process=False) for axes in ([1, 1, 1], [0.03, 0.1, 0.2])
    ]
    vertices = torch.tensor(np.stack([mesh.vertices for mesh in meshes]), requires_grad=True)
    found = surface_points(vertices, SPHERE, 1500)
    for points, mesh in zip(found.detach().numpy(), meshes):
        drawn = trimesh.sample.sample_surface(mesh, 20_000, seed=1)[0]
        scene = open3d.t.geometry.RaycastingScene()
        scene.add_triangles(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
        assert scene.compute_distance(points.astype(np.float32)).numpy().max() < 1e-6
        np.testing.assert_allclose(points.mean(0), 0, atol=0.01 * mesh.extents.max())
        np.testing.assert_allclose(np.cov(points.T), np.cov(drawn.T), atol=0.02 * drawn.var())
    (shift,) = torch.autograd.grad(found.sum(), vertices)
    assert shift.sum().item() == pytest.approx(found.numel())


def test_the_associative_loss_matches_hand_computed_values() -> None:
    root = np.sqrt(np.log(3))
    hands, things = torch.tensor([[root], [0.0]]), torch.tensor([[0.0], [root]])
    # Φ is orthogonal with squares ln 3: one step stays with 3/4, a round trip returns with 9/16 + 1/16.
    assert associative_loss(hands, things, 1).item() == pytest.approx(2 * (1 - 10 / 16) ** 2 + 2 * (6 / 16) ** 2)
    alike = torch.zeros(6, 4)
    assert associative_loss(alike, alike, 2).item() == pytest.approx(6 * (1 / 2 - 1 / 6) ** 2 + 30 / 36)
    with pytest.raises(ValueError, match='8 classes in a batch of 6: .* fewer classes than'):
        associative_loss(alike, alike, 8)


@pytest.mark.slow
def test_the_network_overfits_four_images(hand: HandModel) -> None:
    torch.manual_seed(0)
    network = ReconstructionNet(SMALL, hand)
    wanted, pictures = targets(hand), images(4)
    losses = ReconstructionLosses(classes=3)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    first: dict[str, float] = {}
    for _ in range(25):
        terms = reconstruction_loss(network(pictures), wanted, losses, SPHERE)
        first = first or {name: term.item() for name, term in terms.items()}
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    assert set(terms) == {'vertices', 'joints', 'distance', 'chamfer', 'laplacian', 'place', 'shape', 'association'}
    for name in ('vertices', 'joints', 'chamfer'):
        assert terms[name].item() < 0.3 * first[name], name


@pytest.mark.slow
def test_the_voting_readout_learns_the_keypoints(hand: HandModel) -> None:
    torch.manual_seed(0)
    network = ReconstructionNet(dataclasses.replace(SMALL, readout='votes'), hand)
    wanted, pictures = targets(hand), images(4)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    first: dict[str, float] = {}
    for _ in range(40):
        result = network(pictures, hand_alone=True)
        terms = reconstruction_loss(result, wanted, ReconstructionLosses(classes=3), SPHERE)
        first = first or {name: term.item() for name, term in terms.items()}
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    assert set(terms) == {'vertices', 'joints', 'distance', 'place', 'shape', 'votes', 'voters', 'side'}
    assert not result.objects
    for name in ('joints', 'votes'):
        assert terms[name].item() < 0.3 * first[name], name
    error = (result.votes.places[..., :2] - wanted.pixels).abs().sum(-1) + (
        result.votes.places[..., 2] - 10 * wanted.keypoints[..., 2]
    ).abs()
    torch.testing.assert_close(terms['votes'], 30 * error.mean())


def test_the_vote_weight_loss_is_lowest_near_the_keypoints() -> None:
    pixels = torch.tensor([[[-0.75, 0.25], [0.9, 1.4]]])  # the second is outside the crop
    weights = torch.full((1, 2, 4, 4), -20.0)
    weights[0, 0, 2, 0] = 0  # column 0 is at -0.75, row 2 at 0.25
    known = torch.ones(1)
    right = vote_weight_loss(weights.flatten(2), pixels, known)
    assert vote_weight_loss(torch.zeros(1, 2, 16), pixels, known).item() == pytest.approx(np.log(16))
    assert vote_weight_loss(weights.mT.flatten(2), pixels, known) > right
    assert right == vote_weight_loss(torch.stack([weights[0, 0], -weights[0, 1]])[None].flatten(2), pixels, known)
    assert vote_weight_loss(weights.flatten(2), pixels, 0 * known) == 0


def test_left_hands_count_for_side_and_votes_only(hand: HandModel) -> None:
    network = ReconstructionNet(dataclasses.replace(SMALL, readout='votes'), hand).eval()
    wanted, pictures = targets(hand), images(4)
    losses = ReconstructionLosses(association=0)
    left = wanted._replace(right=torch.tensor([0.0, 1, 1, 1]))
    spoilt = left._replace(
        **{
            name: getattr(wanted, name).clone().index_fill_(0, torch.tensor(0), 9.0)
            for name in ('keypoints', 'place', 'vertices', 'surface')
        }
    )
    result = network(pictures)
    first, second = (reconstruction_loss(result, given, losses, SPHERE) for given in (left, spoilt))
    for name, term in first.items():
        assert (term == second[name]) == (name != 'votes'), name
    assert first['side'] != reconstruction_loss(result, wanted, losses, SPHERE)['side']


def test_crops_without_a_hand_teach_what_is_a_hand_only(hand: HandModel) -> None:
    network = ReconstructionNet(dataclasses.replace(SMALL, readout='votes'), hand).eval()
    wanted, losses = targets(hand), ReconstructionLosses(association=0)
    none = torch.tensor([0.0, 1, 1, 1])
    flags = {name: none for name in ('shows', 'measured', 'located', 'has_vertices', 'has_object')}
    empty = wanted._replace(**flags)
    spoilt = empty._replace(
        **{
            name: getattr(wanted, name).clone().index_fill_(0, torch.tensor(0), 9.0)
            for name in ('keypoints', 'place', 'pixels', 'vertices', 'surface')
        },
        right=none,
    )
    result = network(images(4))
    first, second = (reconstruction_loss(result, given, losses, SPHERE) for given in (empty, spoilt))
    assert first == second
    odds = torch.nn.functional.softplus(result.hand[:, 0] * torch.tensor([1.0, -1, -1, -1]))
    torch.testing.assert_close(first['hand'], losses.hand * (odds[0] + odds[1:].mean()) / 2)
    assert 'hand' not in reconstruction_loss(result, wanted, losses, SPHERE)
    assert first['holds'] == 0
    assert reconstruction_loss(result, empty._replace(shows=torch.ones(4)), losses, SPHERE)['holds'] > 0


def test_photos_count_where_they_are_labelled(hand: HandModel) -> None:
    network = ReconstructionNet(dataclasses.replace(SMALL, readout='votes'), hand).eval()
    wanted, losses = targets(hand), ReconstructionLosses(association=0)
    # The first is a photo with keypoints in the picture, the second one without.
    real = wanted._replace(
        measured=torch.tensor([0.0, 0, 1, 1]),
        located=torch.tensor([1.0, 0, 1, 1]),
        has_vertices=torch.tensor([0.0, 0, 1, 1]),
    )
    result = network(images(4))
    terms = reconstruction_loss(result, real, losses, SPHERE)
    nowhere = {
        name: getattr(wanted, name).clone().index_fill_(0, torch.tensor([0, 1]), 9.0)
        for name in ('keypoints', 'place', 'vertices', 'surface')
    }
    spoilt = reconstruction_loss(result, real._replace(**nowhere), losses, SPHERE)
    assert all(term == spoilt[name] for name, term in terms.items())
    for number, counted in ((0, True), (1, False)):
        moved = real._replace(pixels=wanted.pixels.clone().index_fill_(0, torch.tensor(number), 0.5))
        changed = reconstruction_loss(result, moved, losses, SPHERE)
        assert {name for name, term in terms.items() if term != changed[name]} == (
            {'votes', 'voters', 'reprojection'} if counted else set()
        )
    assert 'reprojection' not in reconstruction_loss(result, wanted, losses, SPHERE)


def test_a_mesh_is_reprojected_as_a_crop_projects_it(hand: HandModel) -> None:
    crop = ViewCrop(Pinhole(640, 480, 500.0, 500.0, 319.5, 239.5), np.array([400.0, 200.0]), 150.0, turn=0.4)
    posed = hand.forward(np.zeros(48), np.zeros(10), np.array([0.05, -0.03, 0.6]), vertices=False)
    keypoints = crop.from_camera(posed.keypoints)
    root = keypoints[ROOT]
    place = np.append(crop.project(root), np.log(crop.width_at(root[2]) / CROP_WIDTH))
    given = [torch.tensor(value[None]) for value in (keypoints - root, place)]
    prediction = HandPrediction(given[0], given[0], given[0], given[0], given[0], given[1])
    found = reprojected(prediction, torch.tensor([crop.focal]))[0]
    np.testing.assert_allclose(found.numpy(), crop.project(keypoints), atol=1e-9)


def test_the_object_loss_weighs_both_classes_alike(hand: HandModel) -> None:
    network = ReconstructionNet(dataclasses.replace(SMALL, readout='votes'), hand).eval()
    wanted, losses = targets(hand), ReconstructionLosses(association=0)
    result = network(images(4))._replace(holds=torch.tensor([[2.0], [1.0], [-1.0], [3.0]]))
    assert network(images(4), hand_alone=True).holds is None
    entropy = np.log1p(np.exp([-2.0, 1.0, -1.0, -3.0]))  # of the four logits for the labels 1, 0, 0, 1
    terms = reconstruction_loss(result, wanted._replace(has_object=torch.tensor([1.0, 0, 0, 1])), losses, SPHERE)
    expected = (entropy[[0, 3]].mean() + entropy[[1, 2]].mean()) / 2
    assert terms['holds'].item() == pytest.approx(losses.holds * expected, rel=1e-5)
    for alone in (torch.ones(4), torch.zeros(4)):
        assert reconstruction_loss(result, wanted._replace(has_object=alone), losses, SPHERE)['holds'] == 0


def test_unlabelled_samples_do_not_count(hand: HandModel) -> None:
    torch.manual_seed(0)
    network, wanted = ReconstructionNet(SMALL, hand).eval(), targets(hand)
    losses = ReconstructionLosses(association=0, earlier=0.5)
    result = network(images(4))
    blind = wanted._replace(has_vertices=torch.tensor([0.0, 1, 1, 1]), has_object=torch.tensor([1.0, 0, 0, 0]))
    spoilt = blind._replace(
        vertices=wanted.vertices.clone().index_fill_(0, torch.tensor(0), 9.0),
        surface=wanted.surface.clone().index_fill_(0, torch.tensor([1, 2, 3]), 9.0),
    )
    given = blind, spoilt, wanted
    partial, spoilt_terms, whole = (reconstruction_loss(result, labels, losses, SPHERE) for labels in given)
    assert set(partial) == {'vertices', 'joints', 'distance', 'chamfer', 'laplacian', 'place', 'shape'}
    for name, term in partial.items():
        assert term == spoilt_terms[name]
    assert partial['chamfer'] != whole['chamfer'] and partial['vertices'] != whole['vertices']
    nothing = wanted._replace(has_vertices=torch.zeros(4), has_object=torch.zeros(4))
    terms = reconstruction_loss(result, nothing, losses, SPHERE)
    assert terms['vertices'] == 0 and terms['chamfer'] == 0 and terms['laplacian'] == 0
    final = reconstruction_loss(result, wanted, dataclasses.replace(losses, earlier=0.0), SPHERE)
    earlier = [((hand.keypoints - wanted.keypoints) ** 2).sum(-1).mean() * 1e4 for hand in result.hands]
    torch.testing.assert_close(final['joints'], 0.167 * earlier[-1])
    torch.testing.assert_close(whole['joints'], 0.167 * (earlier[-1] + 0.5 * (earlier[0] + earlier[1]) / 2))
