# SPDX-License-Identifier: Apache-2.0
"""Metrics against known transforms, SciPy, and published predictions on ICVL."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.spatial.transform import Rotation

from training.evaluation import align_rigid
from training.evaluation import align_similarity
from training.evaluation import evaluate_joints
from training.evaluation import joint_errors
from training.evaluation import mean_joint_error
from training.evaluation import pck
from training.evaluation import pck_auc
from training.evaluation import per_joint_error
from training.evaluation import share_within

DATA = Path(os.environ.get('HOI_DATA') or Path(__file__).parents[3] / '../shared/data')


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope='module')
def icvl():
    """Predictions of A2J on the ICVL test set and the truth, (1596, 16, 3) metres."""
    folder = DATA / 'icvl_a2j'
    if not folder.is_dir():
        pytest.skip(f'{folder} is absent: set HOI_DATA to the folder of test data')
    from scipy.io import loadmat

    predicted = np.loadtxt(folder / 'icvl_646_epoch12_UVD.txt').reshape(-1, 16, 3)
    truth = loadmat(folder / 'icvl_keypointsUVD_test.mat')['keypoints3D']

    def metres(uvd):
        return (
            (uvd - [160, 120, 0])
            / [240.99, 240.96, 1]
            * np.stack([uvd[..., 2]] * 2 + [np.ones_like(uvd[..., 2])], -1)
            / 1000
        )

    return metres(predicted), metres(truth)


@pytest.mark.real
def test_published_figures_on_icvl(icvl):
    predicted, truth = icvl
    assert predicted.shape == truth.shape == (1596, 16, 3)
    assert mean_joint_error(predicted, truth) == pytest.approx(6.461, abs=5e-4)
    within = share_within(joint_errors(predicted, truth), 40)
    assert round(within * 100, 2) == 96.24
    # No frame has an error of exactly 40 mm, so < and ≤ agree.
    worst = joint_errors(predicted, truth).max(-1)
    assert (worst < 40).sum() == (worst <= 40).sum() == 1536


@pytest.mark.real
def test_alignment_reduces_the_error_on_icvl(icvl):
    metrics = evaluate_joints(*icvl)
    assert metrics.frames == 1596 and len(metrics.per_joint_mm) == 16
    assert metrics.similarity_mm < metrics.rigid_mm < metrics.mean_mm
    assert np.mean(metrics.per_joint_mm) == pytest.approx(metrics.mean_mm)
    assert metrics.median_mm < metrics.mean_mm
    assert 0 < metrics.within_20 < metrics.within_40 < 1
    assert 0.5 < metrics.auc_0_50 < metrics.auc_20_50 < 1


def test_known_errors():
    truth = np.zeros((2, 2, 3))
    predicted = np.array([[[0.003, 0.004, 0], [0, 0, 0]], [[0, 0, 0.010], [0, 0.020, 0]]])
    np.testing.assert_allclose(joint_errors(predicted, truth), [[5, 0], [10, 20]])
    assert mean_joint_error(predicted, truth) == pytest.approx(8.75)
    np.testing.assert_allclose(per_joint_error(predicted, truth), [7.5, 10])


def test_the_largest_error_of_a_frame_counts_and_the_bound_is_included():
    errors = np.array([[1, 40], [39, 40.001], [2, 3]])
    assert share_within(errors, 40) == pytest.approx(2 / 3)
    np.testing.assert_allclose(share_within(errors, np.array([2.9, 3, 50])), [0, 1 / 3, 1])


def test_pck_counts_keypoints():
    errors = np.array([[10.0, 20], [30, 40]])
    assert pck(errors, 20) == 0.5
    np.testing.assert_array_equal(pck(errors, np.array([5, 10, 35, 40])), [0, 0.25, 0.75, 1])


@pytest.mark.parametrize(('lowest', 'highest'), [(0, 50), (20, 50)])
def test_the_area_is_that_of_the_pck_curve(rng, lowest, highest):
    errors = rng.gamma(2, 12, (400, 21))
    thresholds = np.linspace(lowest, highest, 20001)
    curve = trapezoid(pck(errors, thresholds), thresholds) / (highest - lowest)
    assert pck_auc(errors, lowest, highest) == pytest.approx(curve, abs=1e-4)


def test_the_area_at_its_ends():
    assert pck_auc(np.zeros(5), 0, 50) == 1
    assert pck_auc(np.full(5, 20.0), 20, 50) == 1
    assert pck_auc(np.full(5, 50.0), 20, 50) == 0
    assert pck_auc(np.full(5, 35.0), 20, 50) == 0.5
    with pytest.raises(ValueError, match='50 to 20 mm is empty'):
        pck_auc(np.zeros(5), 50, 20)


def moved(points, rng, scale=1.0):
    turns = Rotation.from_quat(rng.normal(size=(len(points), 4))).as_matrix()
    return scale * np.einsum('nij,nkj->nki', turns, points) + rng.normal(size=(len(points), 1, 3))


def test_a_moved_hand_has_no_rigid_error(rng):
    truth = rng.normal(0, 0.05, (32, 21, 3))
    np.testing.assert_allclose(align_rigid(moved(truth, rng), truth), truth, atol=1e-12)


@pytest.mark.parametrize('scale', [0.2, 1.0, 3.0])
def test_a_moved_and_scaled_hand_has_no_similarity_error(rng, scale):
    truth = rng.normal(0, 0.05, (32, 21, 3))
    predicted = moved(truth, rng, scale)
    np.testing.assert_allclose(align_similarity(predicted, truth), truth, atol=1e-12)
    rigid = mean_joint_error(align_rigid(predicted, truth), truth)
    assert rigid < 1e-9 if scale == 1 else rigid > 10


def test_rigid_alignment_matches_scipy(rng):
    truth = rng.normal(0, 0.05, (16, 21, 3))
    predicted = moved(truth, rng) + rng.normal(0, 0.02, truth.shape)
    aligned = align_rigid(predicted, truth)
    for ours, source, target in zip(aligned, predicted, truth):
        centre = target.mean(0)
        rotation, _ = Rotation.align_vectors(target - centre, source - source.mean(0))
        np.testing.assert_allclose(ours, rotation.apply(source - source.mean(0)) + centre, atol=1e-9)


def test_similarity_alignment_is_the_least_squares_minimum(rng):
    from scipy.optimize import least_squares

    truth = rng.normal(0, 0.05, (21, 3))
    predicted = 1.4 * Rotation.from_rotvec([0.4, 1.0, -0.3]).apply(truth) + 0.3 + rng.normal(0, 0.02, truth.shape)

    def residual(parameters):
        turn, shift, scale = parameters[:3], parameters[3:6], parameters[6]
        return (scale * Rotation.from_rotvec(turn).apply(predicted) + shift - truth).ravel()

    best = least_squares(residual, [-0.4, -1.0, 0.3, 0, 0, 0, 0.7], xtol=1e-15, ftol=1e-15, gtol=1e-15)
    ours = ((align_similarity(predicted, truth) - truth) ** 2).sum()
    assert ours == pytest.approx(2 * best.cost, rel=1e-9)


@pytest.mark.parametrize('align', [align_rigid, align_similarity])
@pytest.mark.parametrize('flatness', [1.0, 1e-3, 0.0])
def test_alignment_never_mirrors(rng, align, flatness):
    truth = rng.normal(0, 0.05, (8, 21, 3)) * [1, 1, flatness]
    mirrored = truth * [-1, 1, 1]
    aligned = align(mirrored, truth)
    error = mean_joint_error(aligned, truth)
    # A flat hand is its own mirror image after a half turn; a solid hand is not.
    assert error < 1e-6 if flatness == 0 else error > 0.05 * flatness
    if align is align_rigid:
        for ours, target in zip(aligned, truth):
            centre = target.mean(0)
            source = target * [-1, 1, 1] - centre * [-1, 1, 1]
            rotation, _ = Rotation.align_vectors(target - centre, source)
            expected = np.linalg.norm(rotation.apply(source) - (target - centre))
            assert np.linalg.norm(ours - target) == pytest.approx(expected, abs=1e-9)


def test_coinciding_points_align_to_the_centre(rng):
    truth = rng.normal(0, 0.05, (21, 3))
    for align in (align_rigid, align_similarity):
        np.testing.assert_allclose(align(np.ones((21, 3)), truth), np.tile(truth.mean(0), (21, 1)), atol=1e-12)


def test_batches_of_any_shape(rng):
    truth = rng.normal(0, 0.05, (2, 3, 21, 3))
    predicted = truth + rng.normal(0, 0.01, truth.shape)
    assert joint_errors(predicted, truth).shape == (2, 3, 21)
    np.testing.assert_allclose(align_similarity(predicted, truth)[1, 2], align_similarity(predicted[1, 2], truth[1, 2]))
    assert evaluate_joints(predicted, truth).frames == 6


@pytest.mark.parametrize(
    ('predicted', 'truth', 'told'),
    [
        (np.zeros((4, 21, 3)), np.zeros((4, 16, 3)), r'\(4, 21, 3\) and truth \(4, 16, 3\)'),
        (np.zeros((4, 21, 2)), np.zeros((4, 21, 2)), 'expected the same'),
        (np.zeros((0, 21, 3)), np.zeros((0, 21, 3)), 'at least one joint'),
        (np.full((4, 21, 3), np.nan), np.zeros((4, 21, 3)), 'predicted has 84 joints that are not finite'),
    ],
)
def test_bad_joints_raise_an_error_that_names_them(predicted, truth, told):
    for function in (joint_errors, align_rigid, align_similarity, evaluate_joints):
        with pytest.raises(ValueError, match=told):
            function(predicted, truth)
