# SPDX-License-Identifier: Apache-2.0
"""Articulated ICP: the mesh is pulled onto what the camera saw, and only there."""

import numpy as np
import pytest

from hoi_ros.camera import Pinhole
from hoi_ros.hand.fitting import HandFit
from hoi_ros.hand.model import HandModel
from hoi_ros.hand.poses import gesture_angles
from hoi_ros.hand.surface_fit import SurfaceFitter
from hoi_ros.hand.surface_fit import vertex_normals
from hoi_ros.simulation.raycast import Raycaster

CAMERA = Pinhole(320, 240, 300.0, 300.0, 160.0, 120.0)
SHAPE = np.zeros(10, np.float32)


def posed(model: HandModel, gesture: str) -> np.ndarray:
    pose = model.pose_of(gesture_angles(model, gesture)).astype(np.float32)
    pose[:3] = [np.pi, 0, 0]  # fingers up in the image, palm to the camera
    return pose


def fit_of(model: HandModel, pose: np.ndarray, translation: np.ndarray) -> HandFit:
    keypoints = model.forward(pose, SHAPE, translation, vertices=False).keypoints
    return HandFit(pose.astype(np.float32), SHAPE, translation.astype(np.float32), 0.0, keypoints.astype(np.float32))


def seen(model: HandModel, pose: np.ndarray, translation: np.ndarray) -> np.ndarray:
    vertices = model.forward(pose, SHAPE, translation).vertices
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
    target = model.forward(truth, SHAPE, place, vertices=False).keypoints
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


def test_growth_is_the_derivative_of_the_posed_hand_with_its_shape():
    model = HandModel.load()
    fitter = SurfaceFitter(model)
    rng = np.random.default_rng(0)
    pose, shape, place = rng.normal(0, 0.4, 48), rng.normal(0, 1, 10), np.zeros(3)
    rotations = model.forward(pose, shape, place).transforms[:, :3, :3]
    growth = fitter._growth(rotations)
    blended = (model.weights @ rotations.reshape(16, 9)).reshape(-1, 3, 3)
    expected = blended @ model.shape_basis + (model.weights @ growth.reshape(16, 30)).reshape(-1, 3, 10)
    for number in range(10):
        step = np.eye(10)[number] * 1e-3
        difference = (
            model.forward(pose, shape + step, place).vertices - model.forward(pose, shape - step, place).vertices
        ) / 2e-3
        np.testing.assert_allclose(difference, expected[..., number], atol=1e-9)
