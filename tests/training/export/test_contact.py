# SPDX-License-Identifier: Apache-2.0
"""The exported contact network computes on the robot what PyTorch computes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from torch import nn

from hoi_ros.hand import HandModel
from hoi_ros.hand.contact_cloud import contact_cloud
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.stages.parts.contact_network import ContactNetwork
from hoi_ros.stages.parts.contact_network import network_inputs
from hoi_ros.stages.parts.contact_network import nodes_of
from training.data.synthetic.contact import ContactGrasps
from training.evaluation import contact as evaluation
from training.export.contact import ContactExport
from training.export.contact import export
from training.networks.contact.bins import decoded
from training.networks.contact.choice import contact_network
from training.networks.contact.cloud import contact_clouds
from training.networks.contact.gcn import GcnConfig
from training.networks.contact.gcn import GcnContact
from training.networks.weights_file import WeightsError

SMALL = GcnConfig(width=16, head=(64, 32, 16))


@pytest.fixture(scope='module')
def records() -> np.ndarray:
    stream = ContactGrasps(3, 'validation')
    return np.stack([stream[index] for index in range(4)])


def save(path: Path, trained: GcnContact, **changed: object) -> None:
    progress = {'samples': 0, 'step': 1, 'seconds': 0.0}
    content = {
        'weights': trained.state_dict(),
        'network': 'gcn',
        'gcn': dataclasses.asdict(trained.config),
        'points': [0, 0],
        'progress': progress,
        'seed': 0,
        'figures': {'small_contact_f1': 0.5},
        'before': [],
    }
    torch.save({**content, **changed}, path)


@pytest.fixture(scope='module')
def network() -> GcnContact:
    torch.manual_seed(0)
    network = contact_network('gcn', SMALL)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight, 0.6, 0.6)
            nn.init.normal_(module.running_mean, 0.2, 0.1)
    return network.eval()


@pytest.fixture
def exported(records: np.ndarray, network: GcnContact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(evaluation, 'filled', lambda *_, **__: records)

    def make(hand_points: int, object_points: int) -> Path:
        save(tmp_path / 'weights.pt', network)
        card = export(
            ContactExport(weights=tmp_path / 'weights.pt', hand_points=hand_points, object_points=object_points)
        )
        assert card.parameters['hand_points'] == hand_points and max(card.figures['export_error'].values()) < 0.01
        return tmp_path / 'models' / 'contact'

    return make


def grasp(record: np.ndarray) -> tuple[np.ndarray, ...]:
    hand = HandModel.load()
    posed = hand.forward(record['pose'], record['shape'], record['translation'])
    normals = vertex_normals(posed.vertices, hand.faces)
    return posed.vertices, normals, record['object_points'], record['object_normals'], posed.keypoints


def test_all_points_as_nodes_give_the_contact_of_pytorch(exported, network: GcnContact, records: np.ndarray) -> None:
    hand = HandModel.load()
    robot = ContactNetwork(exported(1159, 2048), hand.template, 'onnxruntime', 1)
    parts = grasp(records[0])
    found = robot(*parts)
    with torch.inference_mode():
        cloud = contact_clouds(*(torch.from_numpy(part.astype(np.float32))[None] for part in parts))
        wanted = decoded(network(*cloud))[0].numpy()
    assert found.hand.shape == (1159,) and found.object.shape == (2048,)
    error = np.abs(np.concatenate([found.hand, found.object]) - wanted)
    assert np.median(error) < 1e-3 and (error < 0.02).mean() > 0.99


def test_fewer_nodes_give_contact_on_all_points(exported, records: np.ndarray) -> None:
    hand = HandModel.load()
    robot = ContactNetwork(exported(100, 140), hand.template, 'onnxruntime', 1)
    *parts, keypoints = grasp(records[1])
    found = robot(*parts, keypoints)
    assert found.hand.shape == (1159,) and found.object.shape == (2048,)
    again = robot(*parts, keypoints)
    np.testing.assert_array_equal(found.object, again.object)
    few = robot(parts[0], parts[1], parts[2][:50], parts[3][:50], keypoints)
    assert few.object.shape == (50,) and np.isfinite(few.object).all()
    robot.close()


def test_neighbours_in_features_are_searched_on_each_surface(records: np.ndarray) -> None:
    *parts, keypoints = grasp(records[0])
    for count in (300, 60, 20):
        rows = [np.linspace(0, len(part) - 1, count).astype(int) for part in (parts[0], parts[2])]
        cloud = contact_cloud(*parts, keypoints, *rows)
        found = network_inputs(cloud, 10, 4)['alike'][0]
        ranks = 1 + np.concatenate([np.arange(10), 4 * np.arange(10)])
        wanted = cloud.features[cKDTree(cloud.features).query(cloud.features, ranks)[1]]
        distances = [np.linalg.norm(each - cloud.features[:, None], axis=-1) for each in (found, wanted)]
        np.testing.assert_allclose(*distances, atol=3e-3)


def test_nodes_are_spread_and_interpolate() -> None:
    points = np.random.default_rng(0).random((500, 3))
    nodes = nodes_of(points, 60)
    assert len(set(nodes.rows.tolist())) == 60
    np.testing.assert_allclose(nodes.weights.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(nodes.interpolated(points[nodes.rows, 0])[nodes.rows], points[nodes.rows, 0], atol=1e-3)
    assert np.abs(nodes.interpolated(points[nodes.rows, 0]) - points[:, 0]).mean() < 0.06
    assert len(nodes_of(points[:2], 60).rows) == 2


def test_a_baseline_is_not_exported(tmp_path: Path, network: GcnContact) -> None:
    save(tmp_path / 'weights.pt', network, network='dgcnn', weights=contact_network('dgcnn').state_dict())
    with pytest.raises(WeightsError, match='holds a baseline; robots run GCN-Contact'):
        export(ContactExport(weights=tmp_path / 'weights.pt'))
