# SPDX-License-Identifier: Apache-2.0
"""A hand and an object are moved to a target contact, and never to a worse one."""

import dataclasses
import time

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.surface import Surface
from hoi_ros.mesh.volumes import shared_volume
from hoi_ros.stages.parts.contact_energy import ObjectSurfacePoints
from hoi_ros.stages.parts.contact_refinement import ContactRefiner
from hoi_ros.stages.parts.contact_refinement import RefinedGrasp
from training.data.synthetic.grasps.generator import Grasp
from training.data.synthetic.grasps.generator import GraspGenerator

FOREVER = float('inf')
"""Budget of results that do not depend on the machine's load."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A true grasp and its contact: 1 within a millimetre, 1 mm / distance beyond."""

    grasp: Grasp
    object: ObjectSurfacePoints
    solid: Surface
    hand_contact: np.ndarray
    object_contact: np.ndarray


@pytest.fixture(scope='module')
def model() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='module')
def refiner(model: HandModel) -> ContactRefiner:
    return ContactRefiner(model)


@pytest.fixture(scope='module')
def targets(model: HandModel) -> list[Target]:
    generator = GraspGenerator(model, 0, 'held_out')
    grasps = (grasp for grasp in map(generator.__getitem__, range(40)) if not grasp.pregrasp)
    return [target_of(model, next(grasps)) for _ in range(4)]


def target_of(model: HandModel, grasp: Grasp) -> Target:
    solid, hand = Surface(grasp.object.vertices, grasp.object.faces), Surface(grasp.vertices, model.faces)
    mesh = trimesh.Trimesh(grasp.object.vertices, grasp.object.faces, process=False)
    points, triangles = trimesh.sample.sample_surface(mesh, 2048, seed=0)

    def contact(where: np.ndarray, other: Surface) -> np.ndarray:
        return 0.001 / np.maximum(other.distances(where) * ~other.contains(where), 0.001)

    surface = ObjectSurfacePoints(np.asarray(points), mesh.face_normals[triangles])
    return Target(grasp, surface, solid, contact(grasp.vertices, solid), contact(points, hand))


def disturbed(model: HandModel, grasp: Grasp, seed: int, place: float, turn: float, angle: float):
    rng = np.random.default_rng(seed)
    angles = model.anatomical(grasp.pose)
    angles[1:] = np.clip(angles[1:] + rng.normal(0, angle, (15, 3)), *model.limits[1:].transpose(2, 0, 1))
    pose = model.pose_of(angles)
    pose[:3] = (Rotation.from_rotvec(rng.normal(0, turn, 3)) * Rotation.from_rotvec(grasp.pose[:3])).as_rotvec()
    return pose.astype(np.float32), grasp.shape, (grasp.translation + rng.normal(0, place, 3)).astype(np.float32)


def error(keypoints: np.ndarray, grasp: Grasp) -> float:
    return float(np.linalg.norm(keypoints - grasp.keypoints, axis=1).mean())


def refined(refiner: ContactRefiner, hand: tuple, target: Target, **options) -> RefinedGrasp:
    return refiner(*hand, target.object, target.hand_contact, target.object_contact, **{'budget': FOREVER, **options})


@pytest.mark.parametrize(('noise', 'restarts', 'left'), [((0.003, 0.035, 0.085), 1, 0.75), ((0.05, 0.1, 0.2), 4, 0.4)])
def test_true_contact_brings_a_disturbed_hand_back(model, refiner, targets, noise, restarts, left):
    before, after, shared_before, shared_after = [], [], 0.0, 0.0
    for seed, target in enumerate(targets):
        hand = disturbed(model, target.grasp, seed, *noise)
        start = model.forward(*hand)
        result = refined(refiner, hand, target, hold_object=True, restarts=restarts)
        assert result.energy_after < result.energy_before
        before.append(error(start.keypoints, target.grasp))
        after.append(error(result.keypoints, target.grasp))
        shared_before += shared_volume(Surface(start.vertices, model.faces), target.solid, 0.004)
        shared_after += shared_volume(Surface(result.vertices, model.faces), target.solid, 0.004)
        posed = model.forward(result.pose, target.grasp.shape, result.translation)
        np.testing.assert_allclose(posed.vertices, result.vertices, atol=1e-5)
        np.testing.assert_allclose(posed.keypoints, result.keypoints, atol=1e-5)
        assert (model.anatomical(result.pose)[1:] <= model.limits[1:, :, 1] + 1e-4).all()
        np.testing.assert_array_equal(result.object_motion, np.eye(4))
    assert np.mean(after) < left * np.mean(before)
    assert shared_after < 0.4 * shared_before


def test_a_free_object_moves_rigidly_towards_the_hand(model, refiner, targets):
    target = targets[0]
    hand = disturbed(model, target.grasp, 1, 0.006, 0.03, 0.02)
    held, free = (refined(refiner, hand, target, hold_object=hold) for hold in (True, False))
    motion = free.object_motion
    np.testing.assert_allclose(motion[:3, :3] @ motion[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.norm(motion[:3, 3]) > 1e-4
    start = model.forward(*hand).vertices
    assert np.linalg.norm(free.vertices - start, axis=1).mean() < np.linalg.norm(held.vertices - start, axis=1).mean()
    # Seen from the object, the hand is where the held object has it.
    seen = (free.keypoints - motion[:3, 3]) @ motion[:3, :3]
    assert error(seen, target.grasp) < 0.8 * error(model.forward(*hand).keypoints, target.grasp)


def test_a_few_contradicting_points_are_ignored(model, refiner, targets):
    rng, target = np.random.default_rng(0), targets[1]
    flipped = [np.where(rng.random(len(c)) < 0.1, 1 - c, c) for c in (target.hand_contact, target.object_contact)]
    hand = disturbed(model, target.grasp, 2, 0.003, 0.035, 0.085)
    result = refiner(*hand, target.object, *flipped, hold_object=True, budget=FOREVER)
    clean = refined(refiner, hand, target, hold_object=True)
    assert error(result.keypoints, target.grasp) < error(clean.keypoints, target.grasp) + 0.003


def test_the_same_input_gives_the_same_result(model, refiner, targets):
    hand = disturbed(model, targets[0].grasp, 3, 0.05, 0.1, 0.2)
    first, second = (refined(refiner, hand, targets[0], restarts=3) for _ in range(2))
    np.testing.assert_array_equal(first.vertices, second.vertices)
    np.testing.assert_array_equal(first.object_motion, second.object_motion)


def test_a_result_follows_the_scene(model, refiner, targets):
    target = targets[0]
    pose, shape, translation = disturbed(model, target.grasp, 4, 0.003, 0.03, 0.08)
    turn, shift = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix(), np.array([0.1, -0.05, 0.6])
    still = refined(refiner, (pose, shape, translation), target)
    turned_pose = pose.copy()
    turned_pose[:3] = Rotation.from_matrix(turn @ Rotation.from_rotvec(pose[:3]).as_matrix()).as_rotvec()
    wrist = model.wrist(shape)
    moved = refiner(
        turned_pose,
        shape,
        (turn @ (translation + wrist) + shift - wrist).astype(np.float32),
        ObjectSurfacePoints(target.object.points @ turn.T + shift, target.object.normals @ turn.T),
        target.hand_contact,
        target.object_contact,
        budget=FOREVER,
    )
    np.testing.assert_allclose(moved.vertices, still.vertices @ turn.T + shift, atol=1e-4)


def test_the_budget_is_kept(model, refiner, targets):
    hand = disturbed(model, targets[0].grasp, 5, 0.05, 0.1, 0.2)
    whole = refined(refiner, hand, targets[0], restarts=8)
    began = time.perf_counter()
    cut = refined(refiner, hand, targets[0], restarts=8, budget=0.2 * whole.seconds)
    assert time.perf_counter() - began < 0.7 * whole.seconds
    assert cut.iterations < whole.iterations
    assert cut.energy_after <= cut.energy_before


def test_without_contact_a_hand_only_leaves_the_object(model, refiner, targets):
    target = targets[0]
    none = np.zeros_like(target.hand_contact), np.zeros_like(target.object_contact)
    grasp = target.grasp
    away = refiner(grasp.pose, grasp.shape, grasp.translation + np.float32(1), target.object, *none)
    assert away.iterations == 0
    np.testing.assert_array_equal(away.pose, grasp.pose)
    np.testing.assert_array_equal(away.translation, grasp.translation + np.float32(1))
    inside = refiner(grasp.pose, grasp.shape, grasp.translation, target.object, *none, budget=FOREVER)
    assert inside.energy_after < inside.energy_before


def test_an_object_far_away_stays_far(refiner, targets):
    target = targets[0]
    hand = target.grasp.pose, target.grasp.shape, target.grasp.translation + np.float32(1)
    result = refined(refiner, hand, target)
    assert result.energy_after == result.energy_before
    np.testing.assert_array_equal(result.translation, hand[2])


def test_a_hand_inside_an_object_gets_no_worse(model, refiner):
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(2048, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    ball = ObjectSurfacePoints(0.15 * directions, directions)
    contact = np.full(len(model.template), 0.5), np.full(2048, 0.5)
    result = refiner(np.zeros(48, np.float32), np.zeros(10), np.zeros(3), ball, *contact, budget=FOREVER)
    assert result.energy_after <= result.energy_before
    assert np.isfinite(result.vertices).all()


def test_bad_input_is_named(model, refiner, targets):
    target = targets[0]
    points, normals = target.object.points, target.object.normals
    with pytest.raises(ValueError, match='points of the object are not finite'):
        ObjectSurfacePoints(np.where(points > 0, np.nan, points), normals)
    with pytest.raises(ValueError, match='no point of the object has a normal'):
        ObjectSurfacePoints(points, 0 * normals)
    with pytest.raises(ValueError, match='expected'):
        ObjectSurfacePoints(points[:0], normals[:0])
    some = normals.copy()
    some[::3] = 0
    good = (target.grasp.pose, target.grasp.shape, target.grasp.translation)
    left_out = refiner(*good, ObjectSurfacePoints(points, some), target.hand_contact, target.object_contact)
    assert left_out.energy_after <= left_out.energy_before
    with pytest.raises(ValueError, match='48 numbers of pose are not finite'):
        refined(refiner, (good[0] * np.nan, *good[1:]), target)
    with pytest.raises(ValueError, match=r'expected in \[0, 1\]'):
        refiner(*good, target.object, 2 + target.hand_contact, target.object_contact)
    with pytest.raises(ValueError, match='hand_contact has shape'):
        refiner(*good, target.object, target.hand_contact[1:], target.object_contact)
