# SPDX-License-Identifier: Apache-2.0
"""Grasps: deterministic, held by thumb and fingers, without deep penetration, within the joints' limits.

Distances are trimesh's and inside tests use solid angles, independent of the generator's Open3D.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

from hoi_ros.hand import HandModel
from hoi_ros.hand.skeleton import FINGER_JOINTS
from hoi_ros.mesh.contact import TOUCHING
from training.data.synthetic.grasps import Grasp
from training.data.synthetic.grasps import GraspGenerator
from training.data.synthetic.grasps import GRIPS
from training.data.synthetic.grasps.approach import FARTHEST
from training.data.synthetic.grasps.generator import DEEPEST
from training.data.synthetic.objects import FAMILIES
from training.data.synthetic.objects import HELD_OUT

FARTHER = 0.008
"""Distance beyond which distances are not measured, metres."""
WindingNumbers = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
SignedDistance = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@pytest.fixture(scope='module')
def hand() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='module')
def every(hand: HandModel) -> list[Grasp]:
    generator = GraspGenerator(hand, seed=11)
    return [generator[index] for index in range(48)]


@pytest.fixture(scope='module')
def held(every: list[Grasp]) -> list[Grasp]:
    return [grasp for grasp in every if grasp.pregrasp == 0]


@pytest.fixture(scope='module')
def before(every: list[Grasp]) -> list[Grasp]:
    return [grasp for grasp in every if grasp.pregrasp > 0]


@pytest.fixture(scope='module')
def signed_distance(winding_numbers: WindingNumbers) -> SignedDistance:
    """(vertices, faces, points) → (N,) metres, negative inside, ±FARTHER where the surface is farther than that."""

    def measure(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> np.ndarray:
        distance = nearest(vertices.astype(float), faces, points)[0]
        within = ((points > vertices.min(0)) & (points < vertices.max(0))).all(1)
        distance[within] *= np.where(winding_numbers(vertices, faces, points[within]) > 0.5, -1, 1)
        return distance

    return measure


def nearest(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance (N,) and index (N,) of the nearest triangle; FARTHER and −1 where all triangles are farther than that.

    Only triangles whose centre is close enough can hold a point's nearest point.
    """
    triangles = vertices[faces]
    centres = triangles.mean(1)
    radii = np.linalg.norm(triangles - centres[:, None], axis=-1).max(1)
    candidates = cKDTree(centres).query_ball_point(points, FARTHER + radii.max())
    owner = np.repeat(np.arange(len(points)), [len(found) for found in candidates])
    triangle = np.concatenate(candidates).astype(int)
    close = np.linalg.norm(points[owner] - centres[triangle], axis=1) < FARTHER + radii[triangle]
    owner, triangle = owner[close], triangle[close]
    apart = np.linalg.norm(trimesh.triangles.closest_point(triangles[triangle], points[owner]) - points[owner], axis=1)
    distance, index = np.full(len(points), FARTHER), np.full(len(points), -1)
    order = np.argsort(-apart)
    order = order[apart[order] < FARTHER]
    # Of repeated indices the last assignment, the nearest triangle, remains.
    distance[owner[order]], index[owner[order]] = apart[order], triangle[order]
    return distance, index


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


def test_only_the_held_out_split_shows_the_held_out_families(hand: HandModel, every: list[Grasp]) -> None:
    assert {grasp.object.family for grasp in every} == set(FAMILIES)
    for split in ('validation', 'test'):
        generator = GraspGenerator(hand, split=split)
        assert {generator[index].object.family for index in range(4)} <= set(FAMILIES)
    generator = GraspGenerator(hand, split='held_out')
    assert {generator[index].object.family for index in range(6)} == set(HELD_OUT)


def test_a_hand_has_its_vertices_by_its_parameters_and_stays_within_its_limits(
    hand: HandModel, every: list[Grasp]
) -> None:
    for grasp in every:
        posed = hand.forward(grasp.pose, grasp.shape, grasp.translation)
        np.testing.assert_allclose(posed.vertices, grasp.vertices, atol=1e-6)
        np.testing.assert_allclose(posed.keypoints, grasp.keypoints, atol=1e-6)
        angles = hand.anatomical(grasp.pose)[1:]
        assert (angles > hand.limits[1:, :, 0] - 1e-4).all() and (angles < hand.limits[1:, :, 1] + 1e-4).all()


def test_thumb_and_fingers_hold_and_the_bodies_stay_apart(
    hand: HandModel, held: list[Grasp], signed_distance: SignedDistance
) -> None:
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
                walls.append(mesh.face_normals[nearest(mesh.vertices, mesh.faces, touching[:8])[1]].mean(0))
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


def test_hands_before_their_grasp_do_not_touch(
    every: list[Grasp], before: list[Grasp], signed_distance: SignedDistance
) -> None:
    assert 0.08 < len(before) / len(every) < 0.35
    for grasp in before:
        assert 0 < grasp.pregrasp <= FARTHEST and grasp.penetration == 0 and not grasp.contact.any()
    for grasp in before[:3]:
        distance = signed_distance(placed(grasp), grasp.object.faces, grasp.vertices.astype(float))
        assert distance.min() > TOUCHING - 1e-5


def test_the_object_touches_where_the_hand_is(
    hand: HandModel, held: list[Grasp], before: list[Grasp], signed_distance: SignedDistance
) -> None:
    grasp = held[0]
    points = trimesh.sample.sample_surface(trimesh.Trimesh(grasp.object.vertices, grasp.object.faces), 500, seed=1)[0]
    touched = grasp.object_contact(hand.faces, points)
    distance = np.abs(signed_distance(grasp.vertices, hand.faces, points))
    clear = np.abs(distance - TOUCHING) > 1e-5
    assert touched.any()
    np.testing.assert_array_equal(touched[clear], (distance < TOUCHING)[clear])
    assert len(grasp.object_contact(hand.faces)) == len(grasp.object.vertices)
    assert not before[0].object_contact(hand.faces).any()


def test_a_hand_with_another_mesh_that_is_open_at_the_wrist_grasps(hand: HandModel) -> None:
    """Like MANO: fewer vertices, no cap."""
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
