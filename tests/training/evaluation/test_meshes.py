# SPDX-License-Identifier: Apache-2.0
"""Mesh metrics against known solids, trimesh, SciPy and Open3D."""

import dataclasses

import numpy as np
import open3d
import pytest
import trimesh
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.surface import Surface
from hoi_ros.mesh.volumes import shared_volume
from training.evaluation.meshes import chamfer_mm
from training.evaluation.meshes import chamfer_mm2
from training.evaluation.meshes import evaluate_meshes
from training.evaluation.meshes import f_score
from training.evaluation.meshes import hand_mesh_errors
from training.evaluation.meshes import HandAndObject
from training.evaluation.meshes import summarise
from training.evaluation.metrics import align_similarity

Point = tuple[float, float, float] | np.ndarray


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope='module')
def model() -> HandModel:
    return HandModel.load()


def surface(mesh: trimesh.Trimesh, shift: Point = (0, 0, 0)) -> Surface:
    return Surface(mesh.vertices + np.array(shift), mesh.faces)


def ball(radius: float, centre: Point = (0, 0, 0), subdivisions: int = 3) -> Surface:
    return surface(trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius), centre)


def posed(model: HandModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A hand at random in its limits: vertices and keypoints, half a metre before the camera."""
    angles = model.limits[..., 0] + rng.random((16, 3)) * (model.limits[..., 1] - model.limits[..., 0])
    geometry = model.forward(model.pose_of(0.6 * angles), rng.normal(0, 0.5, 10), np.array([0.02, -0.03, 0.5]))
    return np.asarray(geometry.vertices, float), np.asarray(geometry.keypoints, float)


def turned(points: np.ndarray, rng: np.random.Generator, scale: float = 1.0) -> np.ndarray:
    return scale * Rotation.from_quat(rng.normal(size=4)).apply(points) + rng.normal(size=3)


def test_hand_errors_of_known_moves(model: HandModel, rng: np.random.Generator) -> None:
    truth, keypoints = posed(model, rng)
    shift = np.array([0.003, 0.004, 0])
    moved = hand_mesh_errors(truth + shift, truth, (keypoints[0] + shift, keypoints[0]))
    np.testing.assert_allclose(moved, [5, 0, 0, 0], atol=1e-9)
    assert hand_mesh_errors(truth + shift, truth).root_relative_mm is None
    half_turn = Rotation.from_rotvec([0, 0, np.pi])
    errors = hand_mesh_errors(half_turn.apply(truth), truth, (half_turn.apply(keypoints[0]), keypoints[0]))
    beside = np.linalg.norm((truth - keypoints[0])[:, :2], axis=1).mean()
    assert errors.root_relative_mm == pytest.approx(2e3 * beside) and errors.rigid_mm < 1e-9
    grown = hand_mesh_errors(1.1 * truth, truth, (1.1 * keypoints[0], keypoints[0]))
    about_the_middle = np.linalg.norm(truth - truth.mean(0), axis=1).mean()
    assert grown.rigid_mm == pytest.approx(100 * about_the_middle) and grown.similarity_mm < 1e-9


@pytest.mark.parametrize('threshold', [5, 15])
def test_the_f_score_agrees_with_open3d(model: HandModel, rng: np.random.Generator, threshold: float) -> None:
    truth, _ = posed(model, rng)
    predicted = (truth + rng.normal(0, 0.004, truth.shape))[:700]
    clouds = [open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points)) for points in (predicted, truth)]
    precision = (np.array(clouds[0].compute_point_cloud_distance(clouds[1])) < threshold / 1e3).mean()
    recall = (np.array(clouds[1].compute_point_cloud_distance(clouds[0])) < threshold / 1e3).mean()
    assert recall < 1
    assert f_score(predicted, truth, threshold) == pytest.approx(2 * precision * recall / (precision + recall))


def test_f_scores_by_hand() -> None:
    truth = np.array([[0, 0, 0], [0.1, 0, 0], [0.2, 0, 0], [0.3, 0, 0]])
    # Both predicted points are near a true one, half of the true ones are near a predicted one.
    assert f_score(truth[:2] + [0, 0.004, 0], truth, 5) == pytest.approx(2 / 3)
    assert f_score(truth + [0, 0.006, 0], truth, 5) == 0


def test_chamfer_is_the_sum_of_mean_squares_or_the_mean_of_means(rng: np.random.Generator) -> None:
    predicted, truth = rng.normal(0, 0.05, (600, 3)), rng.normal(0.01, 0.05, (642, 3))
    squared = cdist(predicted, truth, 'sqeuclidean') * 1e6
    assert chamfer_mm2(predicted, truth) == pytest.approx(squared.min(1).mean() + squared.min(0).mean())
    plain = np.sqrt(squared)
    assert chamfer_mm(predicted, truth) == pytest.approx((plain.min(1).mean() + plain.min(0).mean()) / 2)
    one = np.zeros((1, 3))
    assert chamfer_mm2(one + [0, 0.003, 0], one) == pytest.approx(18)
    assert chamfer_mm(one + [0, 0.003, 0], one) == pytest.approx(3)


def test_the_least_chamfer_distance_is_the_documented_one(rng: np.random.Generator) -> None:
    sphere = ball(0.05, subdivisions=4)
    pairs = [(sphere.sample(600, rng), sphere.sample(600, rng)) for _ in range(20)]
    area = 4 * np.pi * 50**2
    assert np.mean([chamfer_mm2(*pair) for pair in pairs]) == pytest.approx(2 * area / (np.pi * 600), rel=0.03)
    assert np.mean([chamfer_mm(*pair) for pair in pairs]) == pytest.approx(np.sqrt(area / 600) / 2, rel=0.03)


@pytest.fixture
def truth(model: HandModel, rng: np.random.Generator) -> HandAndObject:
    vertices, keypoints = posed(model, rng)
    return HandAndObject(keypoints, Surface(vertices, model.faces), ball(0.03, keypoints[9] + [0, 0, 0.03]))


def test_the_truth_has_no_error(truth: HandAndObject) -> None:
    figures = evaluate_meshes(truth, truth, np.random.default_rng(3))
    assert figures == evaluate_meshes(truth, truth, np.random.default_rng(3))
    np.testing.assert_allclose(dataclasses.astuple(figures)[:6], [0, 0, 0, 0, 1, 1], atol=1e-9)
    assert figures.object_chamfer_mm2 == pytest.approx(2 * 4 * 30**2 / 600, rel=0.2)
    assert figures.penetration_mm == figures.true_penetration_mm > 0
    shared = 1e6 * shared_volume(truth.hand, truth.held, 0.005)
    assert shared > 0
    assert figures.intersection_cm3 == figures.true_intersection_cm3 == pytest.approx(shared)
    assert figures.contact is True and figures.not_closed == ()


def test_only_the_place_of_the_object_relative_to_the_hand_counts(truth: HandAndObject) -> None:
    def moved(hand_shift, object_shift):
        predicted = HandAndObject(
            truth.keypoints + hand_shift,
            Surface(truth.hand.vertices + hand_shift, truth.hand.faces),
            Surface(truth.held.vertices + object_shift, truth.held.faces),
        )
        return evaluate_meshes(predicted, truth, np.random.default_rng(3), points=5000)

    shift = np.array([0.02, 0, 0.1])
    still, together, apart = moved(0, 0), moved(shift, shift), moved(0, shift)
    assert together.object_chamfer_mm2 == pytest.approx(still.object_chamfer_mm2)
    assert together.hand_raw_mm == pytest.approx(np.linalg.norm(shift) * 1e3) and together.hand_root_relative_mm < 1e-9
    assert together.penetration_mm == pytest.approx(still.penetration_mm, abs=1e-3)
    assert apart.object_chamfer_mm2 > 100 * still.object_chamfer_mm2
    assert apart.penetration_mm == apart.intersection_cm3 == 0 and apart.contact is False and apart.true_contact is True


def test_another_hand_model_is_scored_after_its_keypoints_are_aligned(
    truth: HandAndObject, rng: np.random.Generator
) -> None:
    pose = np.concatenate([truth.hand.vertices[::2], truth.keypoints, truth.held.vertices])
    moved = turned(pose, rng, 1.3)
    half, rest = len(truth.hand.vertices[::2]), len(truth.hand.vertices[::2]) + 21
    predicted = HandAndObject(
        moved[half:rest], Surface(moved[:half], [[0, 1, 2]]), Surface(moved[rest:], truth.held.faces)
    )
    figures = evaluate_meshes(predicted, truth, rng)
    assert figures.hand_raw_mm is figures.hand_root_relative_mm is figures.hand_similarity_mm is None
    assert figures.hand_f_5mm == pytest.approx(f_score(truth.hand.vertices[::2], truth.hand.vertices, 5))
    assert 0.5 < figures.hand_f_5mm < 1
    assert figures.not_closed == ('predicted hand',) and figures.intersection_cm3 is None


def test_scores_are_taken_after_similarity_alignment(truth: HandAndObject, rng: np.random.Generator) -> None:
    vertices = turned(truth.hand.vertices, rng, 0.8) + rng.normal(0, 0.004, truth.hand.vertices.shape)
    figures = evaluate_meshes(truth._replace(hand=Surface(vertices, truth.hand.faces)), truth, rng)
    aligned = align_similarity(vertices, truth.hand.vertices)
    assert figures.hand_f_5mm == f_score(aligned, truth.hand.vertices, 5)
    assert figures.hand_similarity_mm < 15 < figures.hand_raw_mm


def test_a_summary_counts_undefined_figures(truth: HandAndObject, rng: np.random.Generator) -> None:
    whole = evaluate_meshes(truth, truth, rng)
    open_truth = truth._replace(held=Surface(truth.held.vertices, truth.held.faces[1:]))
    opened = evaluate_meshes(truth, open_truth, rng)
    assert opened.not_closed == ('true object',)
    assert opened.true_penetration_mm is opened.true_intersection_cm3 is None
    assert opened.penetration_mm == whole.penetration_mm
    hand_only = evaluate_meshes(truth._replace(held=None), truth._replace(held=None), rng)
    summary = summarise([whole, opened, hand_only])
    assert summary.samples == 3 and summary.not_closed == {'true object': 1}
    assert summary.undefined['hand_raw_mm'] == 0 and summary.undefined['penetration_mm'] == 1
    assert summary.undefined['true_penetration_mm'] == 2
    assert summary.mean['true_penetration_mm'] == whole.true_penetration_mm
    assert summary.mean['penetration_mm'] == pytest.approx(whole.penetration_mm)
    away = truth._replace(held=Surface(truth.held.vertices + 1, truth.held.faces))
    means = summarise([whole, evaluate_meshes(away, truth, rng)]).mean
    assert means['contact'] == means['contact_told'] == 0.5 and means['true_contact'] == 1
    nothing = summarise([])
    assert nothing.samples == 0 and set(nothing.mean.values()) == {None}


def test_a_missing_prediction_raises(truth: HandAndObject, rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match='the truth has held and the prediction has none'):
        evaluate_meshes(truth._replace(held=None), truth, rng)
    unlabelled = evaluate_meshes(truth, HandAndObject(None, None, None), rng)
    assert unlabelled.hand_raw_mm is unlabelled.object_chamfer_mm2 is unlabelled.true_contact is None
    assert unlabelled.contact is True
