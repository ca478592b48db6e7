# SPDX-License-Identifier: Apache-2.0
"""Articulated ICP: the mesh is pulled onto what the camera saw, and only there."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hoi_ros.camera import Pinhole
from hoi_ros.hand.articulation import ANGLES
from hoi_ros.hand.articulation import Articulated
from hoi_ros.hand.articulation import Articulation
from hoi_ros.hand.articulation import PLACE
from hoi_ros.hand.articulation import SHAPE
from hoi_ros.hand.articulation import TURN
from hoi_ros.hand.articulation import turned
from hoi_ros.hand.fitting import HandFit
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.poses import gesture_angles
from hoi_ros.hand.skinning import Skin
from hoi_ros.hand.surface_fit import SurfaceFitter
from hoi_ros.mesh.normals import vertex_normals
from hoi_ros.simulation.raycast import Raycaster

CAMERA = Pinhole(320, 240, 300.0, 300.0, 160.0, 120.0)
MEAN_SHAPE = np.zeros(10, np.float32)


def posed(model: HandModel, gesture: str) -> np.ndarray:
    pose = model.pose_of(gesture_angles(model, gesture)).astype(np.float32)
    pose[:3] = [np.pi, 0, 0]  # fingers up in the image, palm to the camera
    return pose


def fit_of(model: HandModel, pose: np.ndarray, translation: np.ndarray) -> HandFit:
    keypoints = model.forward(pose, MEAN_SHAPE, translation, vertices=False).keypoints
    return HandFit(
        pose.astype(np.float32), MEAN_SHAPE, translation.astype(np.float32), 0.0, keypoints.astype(np.float32)
    )


def seen(model: HandModel, pose: np.ndarray, translation: np.ndarray) -> np.ndarray:
    vertices = model.forward(pose, MEAN_SHAPE, translation).vertices
    depth = Raycaster(vertices, model.faces).look(CAMERA).depth
    rows, columns = np.nonzero(depth)
    points = CAMERA.unproject(np.stack([columns, rows], 1), depth[rows, columns])
    return points[:: max(1, len(points) // 600)]


@pytest.mark.parametrize('side', ['right', 'left'])
@pytest.mark.parametrize('gesture', ['open', 'relaxed', 'point'])
def test_a_wrong_pose_moves_towards_the_true_one(side, gesture):
    right = HandModel.load()
    model = right if side == 'right' else right.mirrored()
    rng = np.random.default_rng(4)
    truth, place = posed(model, gesture), np.array([0, 0.08, 0.45], np.float32)
    points = seen(model, truth, place)
    target = model.forward(truth, MEAN_SHAPE, place, vertices=False).keypoints
    before, after = [], []
    for _ in range(8):
        pose = truth + np.concatenate([rng.normal(0, 0.05, 3), rng.normal(0, 0.08, 45)])
        start = fit_of(model, pose, place + rng.normal(0, 0.006, 3))
        refined = SurfaceFitter(model).refine(start, np.full(21, 0.3), points)
        before.append(np.linalg.norm(start.keypoints - target, axis=1).mean())
        after.append(np.linalg.norm(refined.keypoints - target, axis=1).mean())
        np.testing.assert_allclose(
            model.forward(refined.pose, refined.shape, refined.translation, vertices=False).keypoints,
            refined.keypoints,
            atol=1e-5,
        )
        angles = model.anatomical(refined.pose)[1:]
        assert (angles >= model.limits[1:, :, 0] - 1e-4).all()
        assert (angles <= model.limits[1:, :, 1] + 1e-4).all()
    assert np.mean(after) < 0.6 * np.mean(before)


def test_what_lies_elsewhere_pulls_nothing():
    model = HandModel.load()
    start = fit_of(model, posed(model, 'open'), np.array([0, 0.08, 0.45], np.float32))
    line = np.linspace(-0.1, 0.1, 20)
    wall = np.stack(np.meshgrid(line, line, [0.6]), -1)
    fitter = SurfaceFitter(model)
    assert fitter.refine(start, np.ones(21), wall.reshape(-1, 3)) is start
    assert fitter.refine(start, np.ones(21), np.empty((0, 3))) is start


def test_a_true_pose_stays():
    model = HandModel.load()
    pose, place = posed(model, 'relaxed'), np.array([0, 0.08, 0.45], np.float32)
    start = fit_of(model, pose, place)
    refined = SurfaceFitter(model).refine(start, np.ones(21), seen(model, pose, place))
    assert np.linalg.norm(refined.keypoints - start.keypoints, axis=1).max() < 0.0035


def test_normals_point_out_of_the_hand():
    model = HandModel.load()
    normals = vertex_normals(model.template, model.faces)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)

    # The volume grows when every vertex moves along its normal.
    def volume(points):
        a, b, c = points[model.faces].transpose(1, 0, 2)
        return (np.cross(a, b) * c).sum() / 6

    assert volume(model.template + 1e-3 * normals) > volume(model.template) * 1.05


@pytest.mark.parametrize('correctives', [False, True])
def test_the_posed_mesh_is_that_of_the_model(correctives: bool) -> None:
    model = HandModel.load()
    rng = np.random.default_rng(0)
    if correctives:
        model = dataclasses.replace(model, pose_basis=rng.normal(0, 1e-3, (len(model.template), 3, 135)))
    pose, shape, place = rng.normal(0, 0.4, 48), rng.normal(0, 1, 10), rng.normal(size=3)
    state = skeleton(model, pose, shape, place)
    np.testing.assert_allclose(
        Skin(model).posed(state).vertices.T, model.forward(pose, shape, place).vertices, atol=1e-6
    )


def test_the_rows_of_the_normal_equations_are_derivatives_along_the_normals() -> None:
    model = HandModel.load()
    hand, skin = Articulation(model), Skin(model)
    rng = np.random.default_rng(0)
    state = skeleton(model, rng.normal(0, 0.4, 48), rng.normal(0, 1, 10), np.zeros(3))
    surface = skin.posed(state)
    # Where a vertex follows one joint its surface turns exactly with the joint; elsewhere the shape's part is near.
    rigid = np.flatnonzero(model.weights.max(1) > 0.9999)
    assert len(rigid) > 200
    rows = skin.along(surface, state, hand.jacobian(state), rigid)

    def moved(step: np.ndarray) -> np.ndarray:
        angles = state.angles + step[ANGLES].reshape(5, 3, 3)
        other = hand.posed(turned(state.turn, step[TURN]), state.place + step[PLACE], angles, state.shape + step[SHAPE])
        return (skin.posed(other).vertices * surface.normals).sum(0)[rigid]

    steps = 1e-5 * np.eye(61)
    expected = np.stack([(moved(step) - moved(-step)) / 2e-5 for step in steps])
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def skeleton(model: HandModel, pose: np.ndarray, shape: np.ndarray, translation: np.ndarray) -> Articulated:
    hand = Articulation(model)
    return hand.posed(
        Rotation.from_rotvec(pose[:3]).as_matrix(), hand.place_of(translation, shape), hand.angles_of(pose), shape
    )
