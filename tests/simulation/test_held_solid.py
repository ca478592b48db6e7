# SPDX-License-Identifier: Apache-2.0
"""Solids, and the simulated hand that closes around them."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hoi_ros.hand import HandModel
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.hand.estimates import ObjectEstimate
from hoi_ros.hand.skeleton import TIP_JOINTS
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.raycast import TriangleScene
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.simulation.held_solid import grasp
from hoi_ros.simulation.held_solid import SOLIDS


@pytest.fixture(scope='module')
def model():
    return HandModel.load()


def signed_distance(vertices, faces, points):
    """Distances to the mesh, metres, negative inside."""
    scene = TriangleScene(vertices, faces)
    return np.where(scene.inside(points), -1, 1) * scene.distances(points)


@pytest.mark.parametrize('name', SOLIDS)
def test_distances_agree_with_the_mesh(name):
    solid = SOLIDS[name]()
    points = np.random.default_rng(0).uniform(-0.08, 0.08, (500, 3))
    np.testing.assert_allclose(solid.distance(points), signed_distance(solid.vertices, solid.faces, points), atol=3e-4)
    np.testing.assert_allclose(np.ptp(solid.vertices, axis=0), solid.size, atol=2e-3)
    assert solid.size[0] <= solid.size[1] <= solid.size[2]


@pytest.mark.parametrize('name', SOLIDS)
@pytest.mark.parametrize('seed', range(2))
def test_the_fingertips_touch_and_do_not_enter(model, name, seed):
    shape = np.clip(np.random.default_rng(seed).normal(0, 0.6, 10), -1.5, 1.5).astype(np.float32)
    held = grasp(model, shape, SOLIDS[name]())
    pose = model.pose_of(held.angles).astype(np.float32)
    vertices = model.forward(pose, shape, np.zeros(3, np.float32)).vertices
    placed = held.solid.vertices @ held.rotation.T + held.position
    distance = signed_distance(placed, held.solid.faces, vertices)
    assert distance.min() > -0.004 and held.gap == pytest.approx(distance.min(), abs=5e-4) and held.touching
    tips = [distance[model.weights.argmax(1) == joint].min() for joint in TIP_JOINTS]
    assert max(tips) <= TOUCHING
    assert (held.angles >= model.limits[..., 0] - 1e-6).all() and (held.angles <= model.limits[..., 1] + 1e-6).all()


@pytest.mark.parametrize('side', ['right', 'left'])
def test_the_held_solid_moves_with_the_hand(model, side):
    motion = HandMotion(model, side, solid=SOLIDS['can']())
    gaps, poses = [], []
    for time in (0.0, 1.3, 4.4):
        hand = motion(time)
        distance = signed_distance(hand.held.vertices, motion.object_faces, hand.vertices)
        gaps.append(distance.min())
        turned = Rotation.from_rotvec(hand.pose[:3]).inv()
        poses.append(turned.apply(hand.held.position - hand.joints[0]))
        # The reported box is the bounding box of the mesh.
        own = Rotation.from_quat(hand.held.orientation).inv().apply(hand.held.vertices - hand.held.position)
        np.testing.assert_allclose(2 * np.abs(own).max(0), hand.held.size, atol=1e-3)
    np.testing.assert_allclose(poses, [poses[0]] * 3, atol=1e-4)
    np.testing.assert_allclose(gaps, [gaps[0]] * 3, atol=2e-4)
    assert -0.004 < gaps[0] <= TOUCHING


def test_hand_and_solid_touch_within_the_contact_threshold(model):
    held = grasp(model, np.zeros(10, np.float32), SOLIDS['ball']())
    assert dataclasses.replace(held, gap=TOUCHING).touching
    assert not dataclasses.replace(held, gap=TOUCHING + 1e-6).touching


def test_the_truth_has_the_types_of_estimates(model):
    holding, empty = HandMotion(model, 'left', solid=SOLIDS['box']()), HandMotion(model, 'left')
    hand = holding(1.0)
    assert isinstance(hand, HandEstimate) and isinstance(hand.held, ObjectEstimate)
    assert hand.held.touching == (hand.held.gap <= TOUCHING)
    assert holding.object_faces.max() < len(hand.held.vertices)
    assert empty(1.0).held is None and empty.object_faces is None
