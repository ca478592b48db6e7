# SPDX-License-Identifier: Apache-2.0
"""The network of `reconstruction` against the equations that it is made of."""

import dataclasses
from pathlib import Path

import numpy as np
import open3d
import pytest
import torch
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from torch import nn
from torch import Tensor

from hoi_ros.engines import load_engine
from hoi_ros.hand import HandModel
from training.export import export_onnx
from training.networks.reconstruction import attend
from training.networks.reconstruction import AttentionExchange
from training.networks.reconstruction import COMPACT
from training.networks.reconstruction import FinalReconstruction
from training.networks.reconstruction import neighbours
from training.networks.reconstruction import PAPER
from training.networks.reconstruction import ReconstructionConfig
from training.networks.reconstruction import ReconstructionNet
from training.networks.reconstruction import ROOT
from training.networks.reconstruction import spirals
from training.networks.reconstruction import Votes
from training.networks.resnet import ResNetEncoder
from training.recipes.reconstruction_losses import associative_loss
from training.recipes.reconstruction_losses import chamfer_distance
from training.recipes.reconstruction_losses import reconstruction_loss
from training.recipes.reconstruction_losses import ReconstructionLosses
from training.recipes.reconstruction_losses import ReconstructionTargets
from training.recipes.reconstruction_losses import spread_over
from training.recipes.reconstruction_losses import unevenness
from training.recipes.reconstruction_losses import voters_loss

SMALL = ReconstructionConfig(widths=(4, 6, 8, 16), blocks=(1, 1, 1, 1), size=32, features=8, slots=4)
SPHERE = torch.tensor(trimesh.creation.icosphere(subdivisions=3).faces)
EXCHANGES = ('attention', 'gcn', 'spiral', 'late')


@pytest.fixture(scope='module')
def hand() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='module')
def like_mano(hand: HandModel) -> HandModel:
    """778 vertices, pose correctives, and triangles that make no clean surface."""
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


def small(hand: HandModel, seed: int = 0, **choices: object) -> ReconstructionNet:
    """A small network none of whose layers still stands at zero."""
    torch.manual_seed(seed)
    network = ReconstructionNet(dataclasses.replace(SMALL, **choices), hand)
    for name, parameter in network.named_parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.5 if '.second.' in name else 0.05)
    return network


def images(count: int, size: int = 32) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(7)) * 2 - 1


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_encoder_is_resnet_18() -> None:
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
def test_every_iteration_gives_a_hand_and_an_object(exchange: str, model: str, request: pytest.FixtureRequest) -> None:
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


def test_the_hand_begins_where_its_keypoints_are_seen(hand: HandModel) -> None:
    torch.manual_seed(0)
    network = ReconstructionNet(dataclasses.replace(SMALL, readout='votes'), hand).eval()
    turns = Rotation.random(5, random_state=2)
    pose = np.zeros((5, 48))
    pose[:, :3] = turns.as_rotvec()
    points = np.stack([hand.forward(one, np.zeros(10), np.zeros(3), vertices=False).keypoints for one in pose])
    points = torch.tensor(points - points[:, ROOT : ROOT + 1], dtype=torch.float32)
    middle = torch.tensor([0.3, -0.2])
    # Of a crop as wide as the unit of its width, 0.3 m; behind the root in 10 cm.
    places = torch.cat([points[..., :2] / 0.15 + middle, points[..., 2:] / 0.1], -1)
    seen = network.hand_estimator(torch.zeros(5, 16), Votes(places, torch.zeros(5, 21, 4)))
    np.testing.assert_allclose(seen.rotation.numpy(force=True), turns.as_matrix(), atol=1e-5)
    torch.testing.assert_close(seen.place, torch.cat([middle, torch.zeros(1)]).expand(5, 3))
    palm = [0, 5, 9, 13, 17]  # the fingers begin relaxed
    torch.testing.assert_close(seen.keypoints[:, palm], points[:, palm], rtol=0, atol=1e-5)


def test_no_shape_lies_outside_of_the_hand_models(hand: HandModel) -> None:
    estimator = small(hand).hand_estimator
    shape = estimator(1e3 * torch.randn(6, 16, generator=torch.Generator().manual_seed(4))).shape
    assert 2.9 < shape.abs().max() <= 3


def test_a_negative_iteration_or_a_late_exchange_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match='iterations is -1, expected at least 0'):
        ReconstructionConfig(iterations=-1)
    with pytest.raises(ValueError, match='late exchange with 0 iterations exchanges nothing'):
        ReconstructionConfig(iterations=0, exchange='late')


@pytest.mark.parametrize('rotation', ['axis_angle', '6d'])
def test_it_starts_at_a_relaxed_hand_that_shows_its_palm(hand: HandModel, rotation: str) -> None:
    torch.manual_seed(0)
    network = ReconstructionNet(dataclasses.replace(SMALL, rotation=rotation), hand).eval()
    with torch.inference_mode():
        result = network(images(2))
    estimate = result.hands[-1]
    wrist, thumb, index, little = estimate.keypoints[0, [0, 2, 8, 20]]
    assert wrist[1] > 0.05 and index[1] < -0.03, 'the fingers point up'
    assert thumb[0] > 0.02 and little[0] < 0, 'the thumb of a right hand that shows its palm is on the right'
    assert index[2] < -0.01, 'and the fingers bend towards the camera'
    assert not any(message.any() for message in result.hand_messages + result.object_messages)
    radii = result.objects[-1].norm(dim=-1)
    torch.testing.assert_close(radii, torch.full_like(radii, 0.04))
    sphere = trimesh.Trimesh(result.objects[-1][0].numpy(), network.object_faces, process=False)
    assert sphere.is_watertight and sphere.volume > 0


@pytest.mark.parametrize('rotation', ['axis_angle', '6d'])
def test_the_hand_is_that_of_the_hand_model(like_mano: HandModel, rotation: str) -> None:
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


def coefficients(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Equation 7, entry by entry."""
    count = len(source)
    alpha = np.zeros((count, count))
    for i in range(count):
        for j in range(count):
            logit = source[i] + target[j]
            alpha[i, j] = np.exp(logit if logit > 0 else 0.2 * logit)
        alpha[i] /= alpha[i].sum()
    return alpha


@pytest.mark.parametrize('spread', [0.1, 1.0, 20.0])
@pytest.mark.parametrize('threshold', [None, 0.5, 1.0, 3.0])
def test_attention_is_equation_7(spread: float, threshold: float | None) -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(0, spread, (2, 3, 29))
    expected = np.stack([coefficients(*pair) for pair in zip(source, target)])
    if threshold is not None:
        expected[expected <= threshold / 29] = 0
    # The sums of the unit vectors are the coefficients themselves.
    units = torch.eye(29, dtype=torch.float64).expand(3, -1, -1)
    found = attend(torch.tensor(source), torch.tensor(target), units, threshold).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    if threshold is None:
        np.testing.assert_allclose(found.sum(-1), 1, atol=1e-12)
    elif spread == 1.0:
        assert 0.02 < (found > 0).mean() < 0.98, 'the threshold does nothing here: the test proves little'


def test_large_logits_do_not_overflow() -> None:
    source, target = torch.tensor([[300.0, -300.0]]), torch.tensor([[250.0, -800.0]])
    found = attend(source, target, torch.eye(2)[None], None)
    torch.testing.assert_close(found, torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]))


def test_the_gradient_of_attention_is_that_of_the_dense_sum() -> None:
    rng = torch.Generator().manual_seed(4)
    source, target = (torch.randn(2, 17, generator=rng, dtype=torch.float64).requires_grad_() for _ in range(2))
    values = torch.randn(2, 17, 3, generator=rng, dtype=torch.float64).requires_grad_()
    alpha = torch.softmax(nn.functional.leaky_relu(source[..., None] + target[:, None], 0.2), -1)
    dense = (alpha * (alpha > 1 / 17)) @ values
    ours = attend(source, target, values, 1.0)
    weight = torch.randn(dense.shape, generator=rng, dtype=torch.float64)
    for found, expected in zip(
        torch.autograd.grad((ours * weight).sum(), (source, target, values)),
        torch.autograd.grad((dense * weight).sum(), (source, target, values)),
    ):
        torch.testing.assert_close(found, expected)


def test_the_history_is_equation_8() -> None:
    torch.manual_seed(2)
    count, features, heads, threshold = 11, 5, 3, 0.9
    exchange = (
        AttentionExchange(count, 7, ReconstructionConfig(features=features, heads=heads, threshold=threshold, slots=2))
        .double()
        .eval()
    )
    for parameter in (exchange.resize.weight, exchange.standard[1].running_mean):
        nn.init.normal_(parameter)
    for parameter in (exchange.norm.weight, exchange.standard[1].running_var):
        nn.init.uniform_(parameter, 0.5, 1.5)
    nn.init.normal_(exchange.norm.bias)
    vertices = torch.randn(2, count, 3, dtype=torch.float64) * 0.1
    before = torch.randn(2, count, features, dtype=torch.float64)
    with torch.no_grad():
        message, history = exchange(vertices, before, 1)

    w, a = exchange.weight.detach().numpy(), exchange.attention.detach().numpy()
    expected = np.zeros((2, count, features))
    for sample in range(2):
        total = before[sample].numpy().copy()
        for head in range(heads):
            lifted = vertices[sample].numpy() / 0.1 @ w[head].T
            alpha = coefficients(lifted @ a[head, 0], lifted @ a[head, 1])
            for i in range(count):
                for j in range(count):
                    if alpha[i, j] > threshold / count:
                        total[i] += alpha[i, j] * lifted[j] / heads
        centred = total - total.mean(1, keepdims=True)
        scale = exchange.norm.weight.detach().numpy() / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
        expected[sample] = centred * scale + exchange.norm.bias.detach().numpy()
    np.testing.assert_allclose(history.numpy(), expected, atol=1e-9)
    pooled = np.einsum('mn,bnf->bmf', exchange.pool.detach().numpy(), expected).reshape(2, -1)
    standard = (pooled - exchange.standard[1].running_mean.numpy()) / np.sqrt(
        exchange.standard[1].running_var.numpy() + 0.1
    )
    np.testing.assert_allclose(
        message.numpy(), standard @ exchange.resize.weight.detach().numpy().T / np.sqrt(2 * features), atol=1e-9
    )


def test_static_neighbours_are_those_of_the_mesh() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=2)
    index, weight = neighbours(np.asarray(sphere.faces), len(sphere.vertices))
    dense = np.zeros((len(index),) * 2)
    np.add.at(dense, (np.arange(len(index))[:, None], index), weight)
    linked = np.eye(len(index))
    linked[sphere.edges[:, 0], sphere.edges[:, 1]] = 1
    root = np.sqrt(linked.sum(1))
    np.testing.assert_allclose(dense, linked / root / root[:, None], atol=1e-12)


def test_spirals_wind_counter_clockwise_ring_by_ring() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=3)
    rows = spirals(np.asarray(sphere.faces), len(sphere.vertices), 19)
    for vertex, row in enumerate(rows):
        ring = sphere.vertex_neighbors[vertex]
        assert row[0] == vertex and set(row[1 : 1 + len(ring)]) == set(ring) and row[1] == min(ring)
        assert len(set(row)) == 19
        normal = sphere.vertices[vertex]
        for first, second in (
            (row[1 : len(ring)], row[2 : 1 + len(ring)]),
            (row[len(ring) + 1 : -1], row[len(ring) + 2 :]),
        ):
            turn = np.cross(sphere.vertices[first] - normal, sphere.vertices[second] - normal) @ normal
            assert (turn > 0).all()


def test_a_spiral_on_a_mesh_too_small_repeats_its_vertex() -> None:
    rows = spirals(np.array([[0, 1, 2]]), 4, 5)
    assert rows.tolist() == [[0, 1, 2, 0, 0], [1, 2, 0, 1, 1], [2, 0, 1, 2, 2], [3, 3, 3, 3, 3]]


@pytest.mark.parametrize('exchange', EXCHANGES)
def test_gradients_reach_the_other_branch_through_the_exchange(hand: HandModel, exchange: str) -> None:
    network = small(hand, exchange=exchange, iterations=1)
    result = network(images(2))
    for output, across in (
        (result.hands[-1].keypoints, network.object_encoder),
        (result.objects[-1], network.hand_encoder),
    ):
        weights = list(across.parameters())
        gradients = torch.autograd.grad(output.square().sum(), weights, retain_graph=True)
        assert all(gradient.any() for gradient in gradients)


def test_the_baseline_exchanges_nothing(hand: HandModel) -> None:
    for iterations, alike in ((0, True), (1, False)):
        network = small(hand, iterations=iterations).eval()
        with torch.no_grad():
            before = network(images(2))
            for parameter in network.hand_encoder.parameters():
                parameter.mul_(0.5)
            after = network(images(2))
        assert torch.equal(before.objects[-1], after.objects[-1]) == alike
        assert not torch.equal(before.hands[-1].keypoints, after.hands[-1].keypoints)
        assert len(before.hand_messages) == iterations
    assert not any('from_' in name for name, _ in small(hand, iterations=0).named_parameters())


def test_chamfer_is_that_of_a_search_tree() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(3, 70, 3)), rng.normal(size=(3, 45, 3))
    expected = [
        (np.mean(cKDTree(b).query(a)[0] ** 2) + np.mean(cKDTree(a).query(b)[0] ** 2)) / 2 for a, b in zip(first, second)
    ]
    points = torch.tensor(first, requires_grad=True)
    found = chamfer_distance(points, torch.tensor(second), chunk=16)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12)
    assert torch.autograd.gradcheck(lambda x: chamfer_distance(x, torch.tensor(second[:1])), points[:1])


def test_unevenness_is_the_laplacian_of_trimesh() -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)
    rng = np.random.default_rng(8)
    shapes = np.stack([ball.vertices, ball.vertices + rng.normal(0, 0.1, ball.vertices.shape)])
    found = unevenness(torch.tensor(shapes), torch.tensor(ball.faces))
    for value, vertices in zip(found, shapes):
        mesh = trimesh.Trimesh(vertices, ball.faces, process=False)
        off = trimesh.smoothing.laplacian_calculation(mesh) @ vertices - vertices
        assert float(value) == pytest.approx((off**2).sum(1).mean())
    assert found[1] > 5 * found[0]


def test_points_are_spread_evenly_over_a_surface() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3)
    meshes = [
        trimesh.Trimesh(ball.vertices * axes, ball.faces, process=False) for axes in ([1, 1, 1], [0.03, 0.1, 0.2])
    ]
    vertices = torch.tensor(np.stack([mesh.vertices for mesh in meshes]), requires_grad=True)
    found = spread_over(vertices, SPHERE, 1500)
    for points, mesh in zip(found.detach().numpy(), meshes):
        drawn = trimesh.sample.sample_surface(mesh, 20_000, seed=1)[0]
        scene = open3d.t.geometry.RaycastingScene()
        scene.add_triangles(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
        assert scene.compute_distance(points.astype(np.float32)).numpy().max() < 1e-6
        np.testing.assert_allclose(points.mean(0), 0, atol=0.01 * mesh.extents.max())
        np.testing.assert_allclose(np.cov(points.T), np.cov(drawn.T), atol=0.02 * drawn.var())
    (shift,) = torch.autograd.grad(found.sum(), vertices)
    assert shift.sum().item() == pytest.approx(found.numel())


def test_the_associative_loss_by_hand() -> None:
    root = np.sqrt(np.log(3))
    hands, things = torch.tensor([[root], [0.0]]), torch.tensor([[0.0], [root]])
    # Φ is orthogonal with squares ln 3: one step stays with 3/4, a round trip returns with 9/16 + 1/16.
    assert associative_loss(hands, things, 1).item() == pytest.approx(2 * (1 - 10 / 16) ** 2 + 2 * (6 / 16) ** 2)
    alike = torch.zeros(6, 4)
    assert associative_loss(alike, alike, 2).item() == pytest.approx(6 * (1 / 2 - 1 / 6) ** 2 + 30 / 36)
    with pytest.raises(ValueError, match='8 classes in a batch of 6: .* fewer classes than'):
        associative_loss(alike, alike, 8)


def targets(hand: HandModel, count: int = 4) -> ReconstructionTargets:
    """Hands in other poses, each with a ball of its own size and place."""
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
        np.ones(count),
        np.ones(count),
    )
    return ReconstructionTargets(*(torch.tensor(value, dtype=torch.float32) for value in numbers))


def test_four_images_are_learned_by_heart(hand: HandModel) -> None:
    torch.manual_seed(0)
    network = ReconstructionNet(SMALL, hand)
    wanted, shown = targets(hand), images(4)
    losses = ReconstructionLosses(classes=3)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    first: dict[str, float] = {}
    for _ in range(40):
        terms = reconstruction_loss(network(shown), wanted, losses, SPHERE)
        first = first or {name: term.item() for name, term in terms.items()}
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    assert set(terms) == {'vertices', 'joints', 'distance', 'chamfer', 'laplacian', 'place', 'association'}
    for name in ('vertices', 'joints', 'chamfer'):
        assert terms[name].item() < 0.3 * first[name], name


def test_the_voting_readout_learns_where_the_keypoints_are(hand: HandModel) -> None:
    torch.manual_seed(0)
    network = ReconstructionNet(dataclasses.replace(SMALL, readout='votes'), hand)
    wanted, shown = targets(hand), images(4)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    first: dict[str, float] = {}
    for _ in range(40):
        result = network(shown, hand_alone=True)
        terms = reconstruction_loss(result, wanted, ReconstructionLosses(classes=3), SPHERE)
        first = first or {name: term.item() for name, term in terms.items()}
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    assert set(terms) == {'vertices', 'joints', 'distance', 'place', 'votes', 'voters', 'side'} and not result.objects
    for name in ('joints', 'votes'):
        assert terms[name].item() < 0.3 * first[name], name
    error = (result.votes.places[..., :2] - wanted.pixels).abs().sum(-1) + (
        result.votes.places[..., 2] - 10 * wanted.keypoints[..., 2]
    ).abs()
    torch.testing.assert_close(terms['votes'], 30 * error.mean())


def test_voters_are_wanted_near_the_keypoints() -> None:
    pixels = torch.tensor([[[-0.75, 0.25], [0.9, 1.4]]])  # the second one lies outside
    weights = torch.full((1, 2, 4, 4), -20.0)
    weights[0, 0, 2, 0] = 0  # column 0 is at -0.75, row 2 at 0.25
    right = voters_loss(weights.flatten(2), pixels)
    assert voters_loss(torch.zeros(1, 2, 16), pixels).item() == pytest.approx(np.log(16))
    assert voters_loss(weights.mT.flatten(2), pixels) > right
    assert right == voters_loss(torch.stack([weights[0, 0], -weights[0, 1]])[None].flatten(2), pixels)


def test_of_a_left_hand_the_side_and_the_keypoints_seen_are_learned(hand: HandModel) -> None:
    network = ReconstructionNet(dataclasses.replace(SMALL, readout='votes'), hand).eval()
    wanted, shown = targets(hand), images(4)
    losses = ReconstructionLosses(association=0)
    left = wanted._replace(right=torch.tensor([0.0, 1, 1, 1]))
    spoilt = left._replace(
        **{
            name: getattr(wanted, name).clone().index_fill_(0, torch.tensor(0), 9.0)
            for name in ('keypoints', 'place', 'vertices', 'surface')
        }
    )
    result = network(shown)
    first, second = (reconstruction_loss(result, given, losses, SPHERE) for given in (left, spoilt))
    for name, term in first.items():
        assert (term == second[name]) == (name != 'votes'), name
    assert first['side'] != reconstruction_loss(result, wanted, losses, SPHERE)['side']


def test_whether_there_is_an_object_is_learned_from_both_cases(hand: HandModel) -> None:
    network = ReconstructionNet(dataclasses.replace(SMALL, readout='votes'), hand).eval()
    wanted, losses = targets(hand), ReconstructionLosses(association=0)
    result = network(images(4))._replace(holds=torch.tensor([[2.0], [1.0], [-1.0], [3.0]]))
    assert network(images(4), hand_alone=True).holds is None
    doubt = np.log1p(np.exp([-2.0, 1.0, -1.0, -3.0]))  # of the four answers to the labels 1, 0, 0, 1
    terms = reconstruction_loss(result, wanted._replace(has_object=torch.tensor([1.0, 0, 0, 1])), losses, SPHERE)
    expected = (doubt[[0, 3]].mean() + doubt[[1, 2]].mean()) / 2
    assert terms['holds'].item() == pytest.approx(losses.holds * expected, rel=1e-5)
    for alone in (torch.ones(4), torch.zeros(4)):
        assert reconstruction_loss(result, wanted._replace(has_object=alone), losses, SPHERE)['holds'] == 0


def test_what_is_not_labelled_does_not_count(hand: HandModel) -> None:
    network, wanted = small(hand).eval(), targets(hand)
    losses = ReconstructionLosses(association=0, earlier=0.5)
    result = network(images(4))
    blind = wanted._replace(has_vertices=torch.tensor([0.0, 1, 1, 1]), has_object=torch.tensor([1.0, 0, 0, 0]))
    spoilt = blind._replace(
        vertices=wanted.vertices.clone().index_fill_(0, torch.tensor(0), 9.0),
        surface=wanted.surface.clone().index_fill_(0, torch.tensor([1, 2, 3]), 9.0),
    )
    seen, unseen, whole = (reconstruction_loss(result, given, losses, SPHERE) for given in (blind, spoilt, wanted))
    assert set(seen) == {'vertices', 'joints', 'distance', 'chamfer', 'laplacian', 'place'}
    for name, term in seen.items():
        assert term == unseen[name]
    assert seen['chamfer'] != whole['chamfer'] and seen['vertices'] != whole['vertices']
    nothing = wanted._replace(has_vertices=torch.zeros(4), has_object=torch.zeros(4))
    terms = reconstruction_loss(result, nothing, losses, SPHERE)
    assert terms['vertices'] == 0 and terms['chamfer'] == 0 and terms['laplacian'] == 0
    final = reconstruction_loss(result, wanted, dataclasses.replace(losses, earlier=0.0), SPHERE)
    earlier = [((hand.keypoints - wanted.keypoints) ** 2).sum(-1).mean() * 1e4 for hand in result.hands]
    torch.testing.assert_close(final['joints'], 0.167 * earlier[-1])
    torch.testing.assert_close(whole['joints'], 0.167 * (earlier[-1] + 0.5 * (earlier[0] + earlier[1]) / 2))


@pytest.mark.parametrize('readout', ['mean', 'votes'])
def test_the_exported_network_is_the_one_that_was_trained(hand: HandModel, tmp_path: Path, readout: str) -> None:
    # A layer normalisation over the four numbers of the smallest network makes rounding seventy times larger where
    # they happen to be nearly alike.
    network = small(hand, readout=readout, widths=(4, 6, 8, 64)).eval()
    if network.voting:
        # Joints that are all seen in one place would leave the palm's turn to rounding.
        nn.init.normal_(network.voting.votes.bias, std=0.5, generator=torch.Generator().manual_seed(6))
    final = FinalReconstruction(network)
    export_onnx(
        final,
        {'image': images(1)},
        final.outputs,
        tmp_path,
        {'name': 'reconstruction', 'licence': 'Apache-2.0', 'data': 'none'},
        # The threshold is a step: where rounding moves one vertex across it, the sums jump by its share.
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
