# SPDX-License-Identifier: Apache-2.0
"""GCN-Contact and its baselines: sizes, neighbours, symmetries; the cloud of their input in NumPy and in PyTorch."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from hoi_ros.hand import HandModel
from hoi_ros.hand.contact_cloud import contact_cloud
from hoi_ros.hand.contact_cloud import ContactCloud
from hoi_ros.hand.contact_cloud import UNIT
from hoi_ros.mesh.normals import vertex_normals
from training.networks.contact.bins import bin_of
from training.networks.contact.bins import BINS
from training.networks.contact.bins import decoded
from training.networks.contact.choice import contact_network
from training.networks.contact.choice import ContactNetwork
from training.networks.contact.choice import NETWORKS
from training.networks.contact.cloud import Cloud
from training.networks.contact.cloud import contact_clouds
from training.networks.contact.cloud import transformed
from training.networks.contact.cloud import vertex_normals as batched_normals
from training.networks.contact.gcn import GcnConfig
from training.networks.contact.gcn import GcnContact
from training.networks.contact.layers import EdgeConv
from training.networks.contact.neighbours import nearest
from training.networks.contact.neighbours import rows_at

SIZES = {'gcn': 587_658, 'pointnet2': 1_424_138, 'dgcnn': 530_442, 'pointnet': 1_674_259}


def grasp(hand: HandModel, seed: int, points: int = 300) -> tuple[np.ndarray, ...]:
    """Vertices, normals and keypoints of a hand, and points and normals of a sphere before its palm."""
    rng = np.random.default_rng(seed)
    pose = np.concatenate([np.zeros(3), rng.normal(0, 0.15, 45)]).astype(np.float32)
    posed = hand.forward(pose, np.zeros(10, np.float32), rng.normal(0, 0.02, 3).astype(np.float32))
    normals = rng.normal(size=(points, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    ball = posed.keypoints[9] + [0, 0, 0.045] + 0.04 * normals
    return posed.vertices, vertex_normals(posed.vertices, hand.faces), ball, normals, posed.keypoints


def cloud_of(parts: tuple[np.ndarray, ...]) -> ContactCloud:
    return contact_cloud(*parts)


@pytest.fixture(scope='module')
def clouds(hand: HandModel) -> tuple[Tensor, Tensor]:
    """Points (3, 400, 3) and features (3, 400, 25) of three grasps."""
    pick = np.random.default_rng(0).permutation(len(hand.template) + 300)[:400]
    parts = [cloud_of(grasp(hand, seed)) for seed in range(3)]
    return tuple(torch.from_numpy(np.stack([part[column][pick] for part in parts])) for column in range(2))


def ready(name: ContactNetwork) -> nn.Module:
    """A network with running statistics and normalisations that differ from the identity."""
    torch.manual_seed(1)
    network = contact_network(name)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight, 0.3, 0.7)
            nn.init.normal_(module.bias, 0, 0.3)
            nn.init.normal_(module.running_mean, 0.3, 0.1)
            nn.init.uniform_(module.running_var, 0.2, 1.5)
    return network.eval()


def alike(found: Tensor, wanted: Tensor) -> bool:
    """Whether logits agree, but where rounding changes the order of two neighbours."""
    return float(((found - wanted).abs() < 1e-4 * wanted.abs().max()).float().mean()) > 0.99


@pytest.mark.parametrize('name', NETWORKS)
def test_each_network_has_its_authors_size(name: ContactNetwork) -> None:
    assert sum(each.numel() for each in contact_network(name).parameters()) == SIZES[name]


def test_the_paper_claims_2_4_times_fewer_parameters_than_pointnet2() -> None:
    assert SIZES['pointnet2'] / SIZES['gcn'] == pytest.approx(2.42, abs=0.005)


@pytest.mark.parametrize('name', NETWORKS)
def test_the_order_of_the_points_and_the_batch_do_not_matter(name: ContactNetwork, clouds: tuple) -> None:
    points, features = clouds
    network = ready(name)
    order = torch.randperm(points.shape[1], generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        together = network(points, features)
        assert together.shape == (3, 400, BINS)
        assert alike(network(points[:, order], features[:, order]), together[:, order])
        for item in range(3):
            assert alike(network(points[item : item + 1], features[item : item + 1]), together[item : item + 1])


@pytest.mark.parametrize('name', NETWORKS)
def test_some_points_are_asked_for_among_all(name: ContactNetwork, clouds: tuple) -> None:
    points, features = clouds
    network = ready(name)
    centres = torch.stack([torch.randperm(400)[:50] for _ in range(3)])
    with torch.inference_mode():
        some, all_points = network(points, features, centres), network(points, features)
    assert alike(some, rows_at(all_points, centres[..., None])[:, :, 0])


def test_neighbours_are_those_of_a_kd_tree(clouds: tuple) -> None:
    for values in (*clouds, torch.rand(2, 2003, 5), torch.rand(2, 30, 3)):
        count = min(37, values.shape[1])
        found = nearest(values, values, count)
        for cloud, index in zip(values.double(), found):
            wanted, _ = cKDTree(cloud.numpy()).query(cloud.numpy(), count)
            reached = (cloud[index] - cloud[:, None]).norm(dim=-1)
            np.testing.assert_allclose(reached.numpy(), wanted, atol=2e-3)


def test_dilation_takes_every_fourth_of_a_points_own_neighbours(clouds: tuple) -> None:
    points, features = clouds
    near, like = GcnContact(GcnConfig()).search(points, features, points, features)
    for values, index in ((points, near), (features, like)):
        ordered = nearest(values, values, 40)
        torch.testing.assert_close(index[..., :10], ordered[..., :10])
        torch.testing.assert_close(index[..., 10:], ordered[..., ::4])
    near, like = GcnContact(GcnConfig(5, 2, 'joint')).search(points, features, points, features)
    ordered = nearest(torch.cat(clouds, -1), torch.cat(clouds, -1), 10)
    torch.testing.assert_close(near, torch.cat([ordered[..., :5], ordered[..., ::2]], -1))
    torch.testing.assert_close(near, like)


def test_edge_conv_is_equation_2_of_the_paper() -> None:
    torch.manual_seed(0)
    conv = EdgeConv(5)
    points, neighbours = torch.rand(2, 7, 5), torch.rand(2, 7, 4, 5)
    edges = torch.cat([neighbours - points[:, :, None], points[:, :, None].expand_as(neighbours)], -1)

    def reference() -> Tensor:
        x = edges
        for linear, norm in zip(conv.edges.mlp.linears, conv.edges.mlp.norms):
            x = norm(F.relu(linear(x)).reshape(-1, 64)).reshape(*edges.shape[:-1], 64)
        return x.amax(2)

    torch.testing.assert_close(conv(points, neighbours), reference())
    for norm in conv.edges.mlp.norms:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    conv.eval()
    torch.testing.assert_close(conv(points, neighbours), reference(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', NETWORKS)
def test_gradients_reach_every_weight(name: ContactNetwork, clouds: tuple) -> None:
    torch.manual_seed(0)
    network = contact_network(name).train()
    network(*clouds).square().sum().backward()
    unreached = [each for each, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not [each for each in unreached if not each.startswith('turn')]


def test_the_cloud_is_the_same_in_numpy_and_pytorch(hand: HandModel) -> None:
    parts = [grasp(hand, seed) for seed in range(3)]
    columns = [torch.from_numpy(np.stack(column).astype(np.float32)) for column in zip(*parts)]
    batched = contact_clouds(*columns)
    faces = torch.from_numpy(hand.faces.astype(np.int64))
    np.testing.assert_allclose(batched_normals(columns[0], faces).numpy(), columns[1].numpy(), atol=1e-4)
    for number, each in enumerate(parts):
        cloud = cloud_of(each)
        np.testing.assert_allclose(batched.points[number].numpy(), cloud.points, atol=1e-4)
        np.testing.assert_allclose(batched.features[number].numpy(), cloud.features, atol=2e-3)


def test_the_cloud_holds_the_features_of_contact_opt(hand: HandModel) -> None:
    vertices, normals, ball, outwards, keypoints = parts = grasp(hand, 0)
    points, features = cloud_of(parts)
    count = len(vertices)
    np.testing.assert_array_equal(features[:, 0], np.arange(len(points)) < count)
    between = np.linalg.norm(ball[:, None] - vertices, axis=-1)
    nearest_vertex = vertices[between.argmin(1)]
    expected = {
        1: ((ball - vertices.mean(0)) * outwards).sum(1),
        2: between.min(1),
        3: ((ball - nearest_vertex) * outwards).sum(1),
    }
    for column, wanted in expected.items():
        np.testing.assert_allclose(features[count:, column] * UNIT, wanted, atol=1e-6)
    joints = np.linalg.norm(vertices[:, None] - keypoints, axis=-1)
    np.testing.assert_allclose(features[:count, 4:] * UNIT, joints, atol=1e-6)
    np.testing.assert_allclose(points[count:].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(features[:count, 1] * UNIT, ((vertices - ball.mean(0)) * normals).sum(1), atol=1e-6)


def test_a_rigid_motion_does_not_change_the_cloud(hand: HandModel) -> None:
    parts = grasp(hand, 1)
    turn = Rotation.from_rotvec([0.4, -1.1, 2.0]).as_matrix()
    moved = [part @ turn.T + (0 if number in (1, 3) else [0.3, -0.1, 0.8]) for number, part in enumerate(parts)]
    for before, after in zip(cloud_of(parts), cloud_of(tuple(moved))):
        np.testing.assert_allclose(after, before, atol=1e-4)


def test_scaled_and_mirrored_grasps_have_transformed_clouds(hand: HandModel) -> None:
    parts, flip = grasp(hand, 1), np.array([1.0, -1.0, 1.0])
    turn = Rotation.from_rotvec([0.7, 0.2, -0.4]).as_matrix()
    moved = [part * flip @ turn.T * (1 if number in (1, 3) else 1.2) for number, part in enumerate(parts)]
    cloud = Cloud(*(torch.from_numpy(part)[None] for part in cloud_of(parts)))
    found = transformed(cloud, torch.tensor([1.2]), torch.tensor([True]))
    for part, wanted in zip(found, cloud_of(tuple(moved))):
        np.testing.assert_allclose(part[0], wanted, atol=1e-4)
    for part, same in zip(transformed(cloud, torch.tensor([1.0]), torch.tensor([False])), cloud):
        torch.testing.assert_close(part, same)


def test_contact_falls_into_ten_bins_and_comes_back() -> None:
    contact = torch.tensor([0.0, 0.05, 0.1, 0.399, 0.999, 1.0])
    assert bin_of(contact).tolist() == [0, 0, 1, 3, 9, 9]
    sure = F.one_hot(bin_of(contact), BINS).float() * 100
    for decoding in ('expectation', 'mode'):
        torch.testing.assert_close(decoded(sure, decoding=decoding), torch.tensor([0.05, 0.05, 0.15, 0.35, 0.95, 0.95]))


def test_sizes_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match='dilation is 0, expected at least 1'):
        GcnConfig(dilation=0)
