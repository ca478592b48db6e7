# SPDX-License-Identifier: Apache-2.0
"""Figures of hands at objects before and after their refinement, and the evaluation that prints them."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from hoi_ros.hand.model import HandModel
from training.data.object_mesh import ObjectMesh
from training.data.synthetic.contact import ContactGrasps
from training.evaluation import contact as evaluation
from training.evaluation.contact import ContactEvaluation
from training.evaluation.contact import evaluate
from training.evaluation.contact import NoisyGrasps
from training.evaluation.contact_refinement import from_object
from training.evaluation.contact_refinement import GraspFigures
from training.evaluation.contact_refinement import placed
from training.evaluation.contact_refinement import refinement_figures
from training.evaluation.contact_refinement import RefinementOptions
from training.evaluation.contact_refinement import surface_of
from training.networks.contact.choice import contact_network
from training.networks.contact.gcn import GcnConfig

COUNT = 3


@pytest.fixture(scope='module')
def stream() -> ContactGrasps:
    return ContactGrasps(6, 'test')


@pytest.fixture(scope='module')
def records(stream: ContactGrasps) -> np.ndarray:
    return np.stack([stream[index] for index in range(COUNT)])


@pytest.fixture(scope='module')
def meshes(stream: ContactGrasps) -> list[ObjectMesh]:
    return [stream.mesh(index) for index in range(COUNT)]


def test_a_hand_that_leaves_its_object_or_enters_it(records: np.ndarray, meshes: list[ObjectMesh]) -> None:
    model = HandModel.load()
    pose, shape, translation = (records[0][name] for name in ('pose', 'shape', 'translation'))
    truth = placed(model, pose, shape, translation)
    inwards = meshes[0].vertices.mean(0) - truth.vertices.mean(0)
    inwards /= np.linalg.norm(inwards)
    figures = {}
    for name, moved in (('true', 0.0), ('away', -0.15), ('inside', 0.02)):
        counted = GraspFigures(model)
        counted.add(placed(model, pose, shape, translation + np.float32(moved) * inwards), truth, meshes[0])
        figures[name] = counted.means()
    assert figures['true']['joint_error_mm'] == 0 and figures['true']['fingers_near_f1'] == 1
    assert figures['true']['intersection_cm3'] < 1 and figures['true']['coverage'] > 0.005
    assert figures['away']['joint_error_mm'] == pytest.approx(150, rel=1e-3)
    assert figures['away']['intersection_cm3'] == figures['away']['coverage'] == figures['away']['fingers_near_f1'] == 0
    assert figures['inside']['intersection_cm3'] > figures['true']['intersection_cm3'] + 2


def test_an_open_object_has_no_intersection(records: np.ndarray, meshes: list[ObjectMesh]) -> None:
    model = HandModel.load()
    truth = placed(model, *(records[0][name] for name in ('pose', 'shape', 'translation')))
    opened = meshes[0]._replace(faces=meshes[0].faces[1:])
    figures = GraspFigures(model)
    figures.add(truth, truth, meshes[0])
    volume = figures.means()['intersection_cm3']
    figures.add(truth, truth, opened)
    assert figures.means()['intersection_cm3'] == volume and figures.means()['open_meshes'] == 1
    only = GraspFigures(model)
    only.add(truth, truth, opened)
    assert math.isnan(only.means()['intersection_cm3']) and only.means()['fingers_near_f1'] == 1


def test_true_contact_brings_hands_nearer(records: np.ndarray, meshes: list[ObjectMesh]) -> None:
    noisy = NoisyGrasps.of(records, 'small')
    for options in (RefinementOptions(), RefinementOptions(hold_object=False)):
        states = refinement_figures(records, (noisy.pose, noisy.translation), noisy.truth, meshes, options)
        assert states['truth']['joint_error_mm'] == 0
        assert states['after']['joint_error_mm'] < states['before']['joint_error_mm']
        assert states['after']['intersection_cm3'] <= states['before']['intersection_cm3']
        assert states['after']['fingers_f1'] > 0.8


def test_a_moved_object_is_put_back() -> None:
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = turn, [0.1, 0.2, 0.3]
    seen = np.random.default_rng(0).normal(size=(21, 3))
    moved = seen @ turn.T + motion[:3, 3]

    @dataclasses.dataclass
    class Refined:
        vertices: np.ndarray
        keypoints: np.ndarray
        object_motion: np.ndarray

    np.testing.assert_allclose(from_object(Refined(moved, moved, motion)).keypoints, seen, atol=1e-12)


def test_an_object_of_a_record_has_its_points(records: np.ndarray) -> None:
    surface = surface_of(records[0])
    assert surface.points.shape == surface.normals.shape == (2048, 3) and surface.has_normal.all()


@pytest.mark.parametrize('points', [[0, 0], [40, 60]])
def test_the_evaluation_prints_maps_and_refined_grasps(
    points: list[int],
    records: np.ndarray,
    meshes: list[ObjectMesh],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(evaluation, 'grasps_of', lambda *_, **__: records)
    monkeypatch.setattr(evaluation, 'meshes_of', lambda some, *_: meshes[: len(some)])
    torch.manual_seed(0)
    config = GcnConfig(width=8, head=(16, 16, 8))
    kept = {'network': 'gcn', 'gcn': dataclasses.asdict(config), 'points': points}
    (tmp_path / 'small').mkdir()
    torch.save({'weights': contact_network('gcn', config).state_dict(), **kept}, tmp_path / 'small' / 'weights.pt')
    options = ContactEvaluation((tmp_path / 'small' / 'weights.pt',), grasps=COUNT, refined=2)
    figures = evaluate(options)
    assert set(figures) == {'small', 'large', 'small, refined', 'large, refined'}
    assert set(figures['large, refined']) == {'true grasps', 'before', 'small', 'true contact'}
    printed = capsys.readouterr().out
    for name in (
        'contact_f1',
        'joint_error_mm',
        'intersection_cm3',
        'coverage',
        'fingers_f1',
        'nearest point within 4 mm',
    ):
        assert name in printed
