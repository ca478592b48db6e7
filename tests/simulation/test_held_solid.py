# SPDX-License-Identifier: Apache-2.0
import numpy as np
import open3d
import pytest
from scipy.spatial.transform import Rotation

from hoi_ros.hand import HandModel
from hoi_ros.hand.skeleton import TIP_JOINTS
from hoi_ros.simulation.hand_motion import HandMotion
from hoi_ros.simulation.held_solid import grasp
from hoi_ros.simulation.held_solid import SOLIDS


@pytest.fixture(scope='module')
def model():
    return HandModel.load()


def signed_distance(vertices, faces, points):
    """Metres, negative inside: of the mesh, by ray casting."""
    scene = open3d.t.geometry.RaycastingScene(nthreads=1)
    tensor = open3d.core.Tensor
    scene.add_triangles(tensor(vertices.astype(np.float32)), tensor(faces.astype(np.uint32)))
    return scene.compute_signed_distance(tensor(points.astype(np.float32)), nthreads=1).numpy()


@pytest.mark.parametrize('name', SOLIDS)
def test_the_distance_is_that_of_the_mesh(name):
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
    assert distance.min() > -0.005 and held.gap == pytest.approx(distance.min(), abs=5e-4) and held.touching
    tips = [distance[model.weights.argmax(1) == joint].min() for joint in TIP_JOINTS]
    assert np.median(tips) < 0.01 and max(tips) < 0.02
    assert (held.angles >= model.limits[..., 0] - 1e-6).all() and (held.angles <= model.limits[..., 1] + 1e-6).all()


@pytest.mark.parametrize('side', ['right', 'left'])
def test_what_is_held_stays_where_it_is_in_the_hand(model, side):
    motion = HandMotion(model, side, solid=SOLIDS['can']())
    gaps, poses = [], []
    for time in (0.0, 1.3, 4.4):
        hand = motion(time)
        distance = signed_distance(hand.held.vertices, motion.object_faces, hand.vertices)
        gaps.append(distance.min())
        turned = Rotation.from_rotvec(hand.pose[:3]).inv()
        poses.append(turned.apply(hand.held.position - hand.joints[0]))
        # The box that is told is the box around the mesh.
        own = Rotation.from_quat(hand.held.orientation).inv().apply(hand.held.vertices - hand.held.position)
        np.testing.assert_allclose(2 * np.abs(own).max(0), hand.held.size, atol=1e-3)
    np.testing.assert_allclose(poses, [poses[0]] * 3, atol=1e-4)
    np.testing.assert_allclose(gaps, [gaps[0]] * 3, atol=2e-4)
    assert -0.005 < gaps[0] < 0.005
