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
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.closing import OpenSurfaceError
from training.evaluation.meshes import chamfer_mm
from training.evaluation.meshes import chamfer_mm2
from training.evaluation.meshes import evaluate_meshes
from training.evaluation.meshes import f_score
from training.evaluation.meshes import hand_mesh_errors
from training.evaluation.meshes import HandAndObject
from training.evaluation.meshes import in_contact
from training.evaluation.meshes import intersection_cm3
from training.evaluation.meshes import penetration_mm
from training.evaluation.meshes import summarise
from training.evaluation.meshes import Surface
from training.evaluation.metrics import align_similarity


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope='module')
def model():
    return HandModel.load()


def surface(mesh, shift=(0, 0, 0)):
    return Surface(mesh.vertices + np.array(shift), mesh.faces)


def ball(radius, centre=(0, 0, 0), subdivisions=3):
    return surface(trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius), centre)


def box(lowest, highest):
    return surface(trimesh.creation.box(bounds=[lowest, highest]))


def posed(model, rng):
    """A hand at random in its limits: vertices and keypoints, half a metre before the camera."""
    angles = model.limits[..., 0] + rng.random((16, 3)) * (model.limits[..., 1] - model.limits[..., 0])
    geometry = model.forward(model.pose_of(0.6 * angles), rng.normal(0, 0.5, 10), np.array([0.02, -0.03, 0.5]))
    return np.asarray(geometry.vertices, float), np.asarray(geometry.keypoints, float)


def turned(points, rng, scale=1.0):
    return scale * Rotation.from_quat(rng.normal(size=4)).apply(points) + rng.normal(size=3)


@pytest.mark.parametrize('change', ['none', 'hole', 'flipped', 'doubled'])
@pytest.mark.parametrize('made', ['icosphere', 'hand'])
def test_closed_is_what_trimesh_calls_a_volume(model, made, change):
    if made == 'hand':
        mesh = trimesh.Trimesh(model.template, model.faces, process=False)
    else:
        mesh = trimesh.creation.icosphere(subdivisions=3)
    faces = np.array(mesh.faces)
    if change == 'hole':
        faces = faces[1:]
    if change == 'flipped':
        faces[7] = faces[7, ::-1]
    if change == 'doubled':
        faces = np.concatenate([faces, faces[:1]])
    told = trimesh.Trimesh(mesh.vertices, faces, process=False)
    assert (
        Surface(mesh.vertices, faces).closed
        == (told.is_watertight and told.is_winding_consistent)
        == (change == 'none')
    )


def test_a_seam_is_no_hole_and_a_collapsed_sphere_is_closed():
    sphere = trimesh.creation.icosphere(subdivisions=3)
    apart = Surface(sphere.triangles.reshape(-1, 3), np.arange(3 * len(sphere.faces)).reshape(-1, 3))
    assert apart.closed
    assert Surface(0 * sphere.vertices, sphere.faces).closed


def test_the_open_wrist_is_closed_flat(model):
    below = (model.template[model.faces][:, :, 1] < np.sort(model.template[:, 1])[40]).any(1)
    faces = model.faces[~below]
    assert below.sum() > 0 and not Surface(model.template, faces).closed
    filled = Surface(model.template, close_holes(faces))
    assert filled.closed
    whole = trimesh.Trimesh(model.template, model.faces, process=False).volume
    assert 0.9 < trimesh.Trimesh(filled.vertices, filled.faces, process=False).volume / whole < 1
    np.testing.assert_array_equal(close_holes(model.faces), model.faces)
    with pytest.raises(OpenSurfaceError, match='no separate rings'):
        close_holes(np.array([[0, 1, 2], [0, 3, 4]]))


def test_an_open_object_has_no_inside(model):
    held = ball(0.05)
    opened = Surface(held.vertices, held.faces[1:])
    with pytest.raises(OpenSurfaceError, match='1279 triangles has no inside'):
        penetration_mm(np.zeros((1, 3)), opened)
    # Far apart as well: that nothing overlaps is no volume of 0.
    with pytest.raises(OpenSurfaceError):
        intersection_cm3(ball(0.05, (1, 0, 0)), opened)


@pytest.mark.parametrize(
    ('vertices', 'faces', 'told'),
    [
        (np.zeros((4, 2)), [[0, 1, 2]], r'vertices have shape \(4, 2\)'),
        (np.zeros((4, 3)), np.zeros((0, 3), int), r'faces have shape \(0, 3\)'),
        (np.zeros((4, 3)), [[0, 1, 4]], 'faces name vertices 0 to 4, expected 0 to 3'),
        (np.full((4, 3), np.nan), [[0, 1, 2]], '4 of 4 vertices are not finite'),
    ],
)
def test_bad_meshes_are_refused(vertices, faces, told):
    with pytest.raises(ValueError, match=told):
        Surface(vertices, faces)


def test_hand_errors_of_known_moves(model, rng):
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
def test_the_f_score_is_that_of_open3ds_distances(model, rng, threshold):
    truth, _ = posed(model, rng)
    predicted = (truth + rng.normal(0, 0.004, truth.shape))[:700]
    clouds = [open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points)) for points in (predicted, truth)]
    precision = (np.array(clouds[0].compute_point_cloud_distance(clouds[1])) < threshold / 1e3).mean()
    recall = (np.array(clouds[1].compute_point_cloud_distance(clouds[0])) < threshold / 1e3).mean()
    assert recall < 1
    assert f_score(predicted, truth, threshold) == pytest.approx(2 * precision * recall / (precision + recall))


def test_f_scores_by_hand():
    truth = np.array([[0, 0, 0], [0.1, 0, 0], [0.2, 0, 0], [0.3, 0, 0]])
    # Both predicted points are near a true one, half of the true ones are near a predicted one.
    assert f_score(truth[:2] + [0, 0.004, 0], truth, 5) == pytest.approx(2 / 3)
    assert f_score(truth + [0, 0.006, 0], truth, 5) == 0


def test_samples_lie_on_the_surface_by_area(rng):
    mesh = trimesh.creation.box(extents=(0.02, 0.1, 0.3))
    points = surface(mesh).sample(2000, rng)
    _, distance, triangle = trimesh.proximity.closest_point_naive(mesh, points)
    assert distance.max() < 1e-12
    shares = np.bincount(triangle, minlength=12) / 2000
    # Four standard deviations of a share of 2000 points.
    np.testing.assert_allclose(shares, mesh.area_faces / mesh.area, atol=4 * np.sqrt(0.25 / 2000))
    # Uniform within a triangle: each corner's weight has mean 1/3 and mean square 1/6.
    weights = Surface(np.eye(3), [[0, 1, 2]]).sample(20000, rng)
    np.testing.assert_allclose(weights.mean(0), 1 / 3, atol=0.01)
    np.testing.assert_allclose((weights**2).mean(0), 1 / 6, atol=0.01)


def test_the_same_seed_gives_the_same_samples():
    first, again, other = (ball(0.05).sample(600, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_collapsed_prediction_still_has_samples(rng):
    point = Surface(np.full((3, 3), 0.1), [[0, 1, 2]]).sample(10, rng)
    np.testing.assert_allclose(point, 0.1)


def test_chamfer_is_the_sum_of_mean_squares_or_the_mean_of_means(rng):
    predicted, truth = rng.normal(0, 0.05, (600, 3)), rng.normal(0.01, 0.05, (642, 3))
    squared = cdist(predicted, truth, 'sqeuclidean') * 1e6
    assert chamfer_mm2(predicted, truth) == pytest.approx(squared.min(1).mean() + squared.min(0).mean())
    plain = np.sqrt(squared)
    assert chamfer_mm(predicted, truth) == pytest.approx((plain.min(1).mean() + plain.min(0).mean()) / 2)
    one = np.zeros((1, 3))
    assert chamfer_mm2(one + [0, 0.003, 0], one) == pytest.approx(18)
    assert chamfer_mm(one + [0, 0.003, 0], one) == pytest.approx(3)


def test_the_floor_of_chamfer_is_the_one_that_is_told(rng):
    sphere = ball(0.05, subdivisions=4)
    pairs = [(sphere.sample(600, rng), sphere.sample(600, rng)) for _ in range(20)]
    area = 4 * np.pi * 50**2
    assert np.mean([chamfer_mm2(*pair) for pair in pairs]) == pytest.approx(2 * area / (np.pi * 600), rel=0.03)
    assert np.mean([chamfer_mm(*pair) for pair in pairs]) == pytest.approx(np.sqrt(area / 600) / 2, rel=0.03)


def test_penetration_of_known_solids():
    held = box([-0.05, -0.05, -0.05], [0.05, 0.05, 0.05])
    # 12 mm below one face; near no corner.
    assert penetration_mm(np.array([[0, 0, 0.038], [0.01, 0.02, 0.049], [0, 0, 0.2]]), held) == pytest.approx(12)
    assert penetration_mm(np.array([[0, 0, 0.0501]]), held) == 0
    # The mesh far from the origin: single precision would round to 0.1 mm there.
    far = np.array([1000.0, -500, 200])
    assert penetration_mm(np.array([[0, 0, 0.038]]) + far, Surface(held.vertices + far, held.faces)) == pytest.approx(
        12, abs=1e-3
    )


def test_penetration_of_a_hand_is_open3ds_and_trimeshs(model, rng):
    for _ in range(3):
        vertices, keypoints = posed(model, rng)
        shape = trimesh.creation.icosphere(subdivisions=3)
        lump = (0.035 + 0.008 * np.sin(4 * shape.vertices[:, :1])) * shape.vertices + keypoints[9] + [0, 0, 0.02]
        held = Surface(lump, shape.faces)
        scene = open3d.t.geometry.RaycastingScene()
        scene.add_triangles(
            open3d.core.Tensor(lump.astype(np.float32)), open3d.core.Tensor(shape.faces.astype(np.uint32))
        )
        signed = scene.compute_signed_distance(open3d.core.Tensor(vertices.astype(np.float32)), nsamples=3).numpy()
        assert signed.min() < -0.005
        assert penetration_mm(vertices, held) == pytest.approx(-signed.min() * 1e3, abs=1e-3)
        _, distances, _ = trimesh.proximity.closest_point_naive(trimesh.Trimesh(lump, shape.faces), vertices)
        assert penetration_mm(vertices, held) == pytest.approx(distances[signed < 0].max() * 1e3, abs=1e-3)
        np.testing.assert_allclose(held.distances(vertices), distances, atol=1e-6)


def test_boxes_on_the_lattice_share_exactly_their_overlap():
    left, right = box([-0.04, -0.03, 0.5], [0.02, 0.03, 0.56]), box([0, 0, 0.53], [0.05, 0.05, 0.6])
    assert intersection_cm3(left, right) == pytest.approx(2 * 3 * 3)
    assert intersection_cm3(left, box([0.03, 0, 0.5], [0.05, 0.05, 0.6])) == 0


def test_two_balls_share_a_lens():
    # A lens of 49 cm³ in voxels of 0.125 cm³: within 5 % in each place, less over many and with finer voxels; the
    # balls' meshes alone are 0.4 % smaller than balls.
    rng = np.random.default_rng(1)
    radius, apart = 0.04, 0.05
    cap = radius - apart / 2
    lens = 2 * np.pi * cap**2 * (3 * radius - cap) / 3 * 1e6
    coarse, fine = [], []
    for _ in range(12):
        centre, direction = rng.uniform(-0.1, 0.1, 3), rng.normal(size=3)
        pair = (ball(radius, centre, 4), ball(radius, centre + apart * direction / np.linalg.norm(direction), 4))
        coarse.append(intersection_cm3(*pair) / lens)
        fine.append(intersection_cm3(*pair, voxel_mm=2.5) / lens)
    np.testing.assert_allclose(coarse, 1, atol=0.05)
    np.testing.assert_allclose(fine, 1, atol=0.015)
    assert np.mean(coarse) == pytest.approx(1, abs=0.02)


def test_a_hand_cut_by_a_box_is_what_trimesh_cuts_off(model, rng):
    # Tetrahedra with their tip on the cut need no cap, so trimesh's open slice has an exact volume. The hand is
    # unbent, so that it does not overlap itself, which the sum would count twice, and lies slanted in the voxels.
    geometry = model.forward(np.zeros(48), np.zeros(10), np.zeros(3))
    place = np.asarray(geometry.keypoints[9], float)
    for axis in np.eye(3):
        turn = Rotation.from_quat(rng.normal(size=4))
        hand = Surface(turn.apply(geometry.vertices - place), model.faces)
        kept, faces, _ = trimesh.intersections.slice_faces_plane(hand.vertices, hand.faces, turn.apply(axis), (0, 0, 0))
        exact = np.linalg.det(kept[faces]).sum() / 6 * 1e6
        assert 30 < exact < 330
        half = box(axis - 1, [1, 1, 1])
        half = Surface(turn.apply(half.vertices), half.faces)
        assert intersection_cm3(hand, half) == pytest.approx(exact, rel=0.03)
        assert intersection_cm3(hand, half, voxel_mm=2) == pytest.approx(exact, rel=0.005)


def test_what_a_mesh_covers_twice_is_inside():
    # One closed mesh of two balls that overlap: crossings are even in the lens, yet it is inside.
    first, second = ball(0.04), ball(0.04, (0.05, 0, 0))
    both = Surface(
        np.concatenate([first.vertices, second.vertices]),
        np.concatenate([first.faces, second.faces + len(first.vertices)]),
    )
    middle = np.array([[0.025, 0, 0]])
    assert both.closed and both.contains(middle).all()
    assert penetration_mm(middle, both) > 10
    room = box([-0.1, -0.1, -0.1], [0.2, 0.1, 0.1])
    separate = intersection_cm3(first, room) + intersection_cm3(second, room)
    assert intersection_cm3(both, room) == pytest.approx(separate - intersection_cm3(first, second))
    inside_out = Surface(first.vertices, first.faces[:, ::-1])
    np.testing.assert_array_equal(inside_out.contains(second.vertices), first.contains(second.vertices))


def test_contact_by_distance_by_depth_and_unknown():
    held = box([-0.05, -0.05, -0.05], [0.05, 0.05, 0.05])
    lid_off = Surface(held.vertices, held.faces[1:])
    near, far, deep = np.array([[0, 0, 0.0535]]), np.array([[0, 0, 0.0545]]), np.array([[0.0, 0, 0]])
    assert in_contact(near, held) is True and in_contact(near, lid_off) is True
    assert in_contact(far, held) is False and in_contact(far, held, within_mm=5) is True
    assert in_contact(deep, held) is True
    assert in_contact(far, lid_off) is None and in_contact(deep, lid_off) is None


@pytest.fixture
def truth(model, rng):
    vertices, keypoints = posed(model, rng)
    return HandAndObject(keypoints, Surface(vertices, model.faces), ball(0.03, keypoints[9] + [0, 0, 0.03]))


def test_the_truth_as_prediction(truth):
    figures = evaluate_meshes(truth, truth, np.random.default_rng(3))
    assert figures == evaluate_meshes(truth, truth, np.random.default_rng(3))
    np.testing.assert_allclose(dataclasses.astuple(figures)[:6], [0, 0, 0, 0, 1, 1], atol=1e-9)
    assert figures.object_chamfer_mm2 == pytest.approx(2 * 4 * 30**2 / 600, rel=0.2)
    assert figures.penetration_mm == figures.true_penetration_mm > 0
    assert figures.intersection_cm3 == figures.true_intersection_cm3 == intersection_cm3(truth.hand, truth.held) > 0
    assert figures.contact is True and figures.not_closed == ()


def test_where_both_are_does_not_count_but_how_the_object_lies_in_the_hand_does(truth):
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


def test_another_hand_model_is_scored_after_its_keypoints_are_aligned(truth, rng):
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


def test_scores_are_taken_after_similarity_alignment(truth, rng):
    vertices = turned(truth.hand.vertices, rng, 0.8) + rng.normal(0, 0.004, truth.hand.vertices.shape)
    figures = evaluate_meshes(truth._replace(hand=Surface(vertices, truth.hand.faces)), truth, rng)
    aligned = align_similarity(vertices, truth.hand.vertices)
    assert figures.hand_f_5mm == f_score(aligned, truth.hand.vertices, 5)
    assert figures.hand_similarity_mm < 15 < figures.hand_raw_mm


def test_a_set_counts_what_its_means_leave_out(truth, rng):
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


def test_a_missing_prediction_is_no_undefined_figure(truth, rng):
    with pytest.raises(ValueError, match='the truth has held and the prediction has none'):
        evaluate_meshes(truth._replace(held=None), truth, rng)
    unlabelled = evaluate_meshes(truth, HandAndObject(None, None, None), rng)
    assert unlabelled.hand_raw_mm is unlabelled.object_chamfer_mm2 is unlabelled.true_contact is None
    assert unlabelled.contact is True
