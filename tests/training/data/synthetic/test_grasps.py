# SPDX-License-Identifier: Apache-2.0
"""Grasps: the same for the same numbers, held by thumb and fingers, not through the object, within the joints' limits.

Distances are measured by trimesh's closest points, inside by solid angles, so that Open3D is not its own judge.
"""

import dataclasses

import numpy as np
import pytest
import trimesh
from scipy.optimize import linprog
from scipy.spatial import cKDTree

from hoi_ros.hand import HandModel
from hoi_ros.hand.skeleton import FINGER_JOINTS
from hoi_ros.mesh.contact import TOUCHING
from training.data.synthetic.grasps import Grasp
from training.data.synthetic.grasps import GraspGenerator
from training.data.synthetic.grasps import GRIPS
from training.data.synthetic.grasps.approach import FARTHEST
from training.data.synthetic.grasps.force_closure import force_closure
from training.data.synthetic.grasps.force_closure import FRICTION
from training.data.synthetic.grasps.generator import DEEPEST
from training.data.synthetic.objects import FAMILIES
from training.data.synthetic.objects import HELD_OUT

FARTHER = 0.008  # metres beyond which distances are not measured


@pytest.fixture(scope='module')
def hand() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='module')
def every(hand: HandModel) -> list[Grasp]:
    generator = GraspGenerator(hand, seed=11)
    return [generator[index] for index in range(60)]


@pytest.fixture(scope='module')
def held(every: list[Grasp]) -> list[Grasp]:
    return [grasp for grasp in every if grasp.pregrasp == 0]


@pytest.fixture(scope='module')
def before(every: list[Grasp]) -> list[Grasp]:
    return [grasp for grasp in every if grasp.pregrasp > 0]


def inside(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> np.ndarray:
    """By the solid angle that the triangles fill (Van Oosterom and Strackee 1983)."""
    a, b, c = (vertices[faces].astype(float)[None] - points[:, None, None]).transpose(2, 0, 1, 3)
    la, lb, lc = (np.linalg.norm(side, axis=-1) for side in (a, b, c))
    volume = (a * np.cross(b, c)).sum(-1)
    below = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return np.arctan2(volume, below).sum(1) > np.pi


def signed_distance(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N,) metres, negative inside, plus or minus FARTHER where the surface is farther than that."""
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    distance = np.full(len(points), FARTHER)
    near = cKDTree(trimesh.sample.sample_surface(mesh, 20000, seed=0)[0]).query(points)[0] < FARTHER
    if near.any():
        chunks = np.array_split(points[near], near.sum() // 50 + 1)
        distance[near] = np.concatenate([trimesh.proximity.closest_point_naive(mesh, chunk)[1] for chunk in chunks])
    within = ((points > vertices.min(0)) & (points < vertices.max(0))).all(1)
    distance[within] *= np.where(inside(vertices, faces, points[within]), -1, 1)
    return distance


def placed(grasp: Grasp) -> np.ndarray:
    return grasp.object.vertices @ grasp.object_pose[:3, :3].T + grasp.object_pose[:3, 3]


def fingers_touching(hand: HandModel, touching: np.ndarray) -> np.ndarray:
    owners = hand.weights.argmax(1)
    return np.array([touching[np.isin(owners, joints)].any() for joints in FINGER_JOINTS])


def test_the_same_numbers_make_the_same_grasp_in_any_order(hand: HandModel, every: list[Grasp]) -> None:
    again = GraspGenerator(hand, seed=11)
    for index in (7, 3):
        for field in ('pose', 'shape', 'translation', 'vertices', 'contact'):
            np.testing.assert_array_equal(getattr(again[index], field), getattr(every[index], field))
        np.testing.assert_array_equal(again[index].object.vertices, every[index].object.vertices)
    others = [
        GraspGenerator(hand, seed=12)[3],
        again[4],
        *(GraspGenerator(hand, seed=11, split=split)[3] for split in ('validation', 'test', 'held_out')),
    ]
    shapes = [tuple(grasp.shape) for grasp in (every[3], *others)]
    assert len(set(shapes)) == len(shapes)
    with pytest.raises(KeyError, match='holdout'):
        GraspGenerator(hand, split='holdout')


def test_held_out_families_are_seen_in_their_split_only(hand: HandModel, every: list[Grasp]) -> None:
    assert {grasp.object.family for grasp in every} == set(FAMILIES)
    for split in ('validation', 'test'):
        generator = GraspGenerator(hand, split=split)
        assert {generator[index].object.family for index in range(8)} <= set(FAMILIES)
    generator = GraspGenerator(hand, split='held_out')
    assert {generator[index].object.family for index in range(12)} == set(HELD_OUT)


def test_a_hand_is_what_its_numbers_say_within_its_joints_limits(hand: HandModel, every: list[Grasp]) -> None:
    for grasp in every:
        posed = hand.forward(grasp.pose, grasp.shape, grasp.translation)
        np.testing.assert_allclose(posed.vertices, grasp.vertices, atol=1e-6)
        np.testing.assert_allclose(posed.keypoints, grasp.keypoints, atol=1e-6)
        angles = hand.anatomical(grasp.pose)[1:]
        assert (angles > hand.limits[1:, :, 0] - 1e-4).all() and (angles < hand.limits[1:, :, 1] + 1e-4).all()


def test_thumb_and_fingers_hold_and_the_bodies_stay_apart(hand: HandModel, held: list[Grasp]) -> None:
    for grasp in held:
        touching = fingers_touching(hand, grasp.contact)
        assert touching[0] and touching[1:].sum() >= (3 if grasp.kind == 'power' else 2)
        assert grasp.penetration <= DEEPEST
    for grasp in held[:4]:
        distance = signed_distance(placed(grasp), grasp.object.faces, grasp.vertices.astype(float))
        assert -distance.min() <= grasp.penetration + 1e-5
        touching = fingers_touching(hand, distance < 0.0021)
        assert touching[0] and touching[1:].sum() >= 2
        doubtful = np.abs(distance - TOUCHING) < 1e-5
        np.testing.assert_array_equal((distance < TOUCHING)[~doubtful], grasp.contact[~doubtful])
        depth = -signed_distance(grasp.vertices, hand.faces, placed(grasp).astype(float)).min()
        assert depth <= DEEPEST + 1e-5


def test_the_thumb_opposes_the_fingers_and_the_palm_faces_the_object(hand: HandModel, held: list[Grasp]) -> None:
    owners = hand.weights.argmax(1)
    turns = []
    for grasp in held:
        mesh = trimesh.Trimesh(placed(grasp), grasp.object.faces, process=False)
        walls = []
        for joints in FINGER_JOINTS:
            touching = grasp.vertices[grasp.contact & np.isin(owners, joints)].astype(float)
            if len(touching):
                walls.append(mesh.face_normals[trimesh.proximity.closest_point_naive(mesh, touching[:8])[2]].mean(0))
        turns.append(min(walls[0] @ wall for wall in walls[1:]))
        wrist, index, little = grasp.keypoints[[0, 5, 17]]
        out = np.cross(index - wrist, little - wrist)
        assert (grasp.vertices[grasp.contact].mean(0) - grasp.keypoints[[0, 5, 9, 13, 17]].mean(0)) @ out > 0
    assert np.mean(np.array(turns) < 0) > 0.9 and np.median(turns) < -0.6


def test_every_grip_and_both_kinds_occur_and_hands_differ(held: list[Grasp]) -> None:
    assert {grasp.grip for grasp in held} >= set(GRIPS) - {'lateral'}
    assert 0.25 < np.mean([grasp.kind == 'power' for grasp in held]) < 0.75
    assert all(GRIPS[grasp.grip].kind == grasp.kind for grasp in held)
    apertures = [np.linalg.norm(grasp.keypoints[4] - grasp.keypoints[8]) for grasp in held]
    assert min(apertures) < 0.04 and max(apertures) > 0.07


def test_hands_before_their_grasp_do_not_touch(every: list[Grasp], before: list[Grasp]) -> None:
    assert 0.08 < len(before) / len(every) < 0.35
    for grasp in before:
        assert 0 < grasp.pregrasp <= FARTHEST and grasp.penetration == 0 and not grasp.contact.any()
    for grasp in before[:3]:
        distance = signed_distance(placed(grasp), grasp.object.faces, grasp.vertices.astype(float))
        assert distance.min() > TOUCHING - 1e-5


def test_the_object_touches_where_the_hand_is(hand: HandModel, held: list[Grasp], before: list[Grasp]) -> None:
    grasp = held[0]
    points = trimesh.sample.sample_surface(trimesh.Trimesh(grasp.object.vertices, grasp.object.faces), 500, seed=1)[0]
    touched = grasp.object_contact(hand.faces, points)
    distance = np.abs(signed_distance(grasp.vertices, hand.faces, points))
    clear = np.abs(distance - TOUCHING) > 1e-5
    assert touched.any()
    np.testing.assert_array_equal(touched[clear], (distance < TOUCHING)[clear])
    assert len(grasp.object_contact(hand.faces)) == len(grasp.object.vertices)
    assert not before[0].object_contact(hand.faces).any()


def test_force_closure_agrees_with_a_linear_program() -> None:
    """The origin is inside the hull of the wrenches if a small push in any direction can be balanced."""
    rng = np.random.default_rng(0)
    answers = []
    for _ in range(25):
        normals = rng.standard_normal((rng.integers(2, 5), 3))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        points = -0.04 * normals + rng.normal(0, 0.01, normals.shape)
        wrenches = []
        arms = points - points.mean(0)
        for arm, normal in zip(arms / np.linalg.norm(arms, axis=1).max(), normals, strict=True):
            around = np.linalg.svd(normal[None])[2][1:]
            for turn in np.arange(64) * np.pi / 32:
                force = normal + FRICTION * (np.cos(turn) * around[0] + np.sin(turn) * around[1])
                wrenches.append(np.concatenate([force, np.cross(arm, force)]))
        pushes = np.concatenate([np.eye(6), -np.ones((1, 6))])
        balanced = [
            linprog(np.zeros(len(wrenches)), A_eq=np.array(wrenches).T, b_eq=push).status == 0 for push in pushes
        ]
        answers.append(all(balanced))
        assert force_closure(points, normals, edges=64) == all(balanced)
    assert 3 < sum(answers) < 22


def test_force_closure_of_known_grasps() -> None:
    opposite = np.array([[1.0, 0, 0], [-1, 0, 0]])
    tripod = np.array([[1.0, 0, 0], [-0.5, 0.866, 0], [-0.5, -0.866, 0]])
    assert not force_closure(0.03 * opposite, -opposite)  # nothing holds the turn about their line
    assert force_closure(0.03 * tripod, -tripod)
    assert not force_closure(0.03 * tripod, -tripod, friction=0.0)
    assert not force_closure(0.03 * tripod, np.tile([[0, 0, 1.0]], (3, 1)))  # all push the same way


def test_a_hand_of_another_mesh_that_is_open_at_the_wrist_grasps_too(hand: HandModel) -> None:
    """As MANO's is: fewer vertices, no cap."""
    kept = np.flatnonzero(hand.template[:, 1] > -0.01)
    number = np.full(len(hand.template), -1)
    number[kept] = np.arange(len(kept))
    faces = number[hand.faces]
    other = dataclasses.replace(
        hand,
        template=hand.template[kept],
        shape_basis=hand.shape_basis[kept],
        weights=hand.weights[kept],
        faces=faces[(faces >= 0).all(1)],
        pose_basis=np.zeros((len(kept), 3, 135), np.float32),
    )
    assert not trimesh.Trimesh(other.template, other.faces, process=False).is_watertight
    generator = GraspGenerator(other, seed=2)
    for index in range(3):
        grasp = generator[index]
        assert grasp.vertices.shape == (len(kept), 3) and grasp.contact.shape == (len(kept),)
        assert grasp.penetration <= DEEPEST and grasp.contact.any() == (grasp.pregrasp == 0)
