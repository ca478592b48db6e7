# SPDX-License-Identifier: Apache-2.0
"""A hand and a box before a camera, with everything that the data sets label."""

import dataclasses

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.hand.poses import sample_angles
from hoi_ros.simulation.raycast import Raycaster
from training.data.hand_object import HandObjectSample

HAND_COLOUR, OBJECT_COLOUR = (205, 150, 120), (110, 130, 230)
HALF_TURN = np.diag([1.0, -1.0, -1.0])
BLENDER_CAMERA = Pinhole(256, 256, 480, 480, 127.5, 127.5)
REAL_CAMERA = Pinhole(640, 480, 614.6, 614.2, 320.3, 241.7)


@dataclasses.dataclass
class View:
    """A hand and a box in the optical frame, metres, and their images."""

    camera: Pinhole
    side: str
    pose: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    keypoints: np.ndarray
    vertices: np.ndarray
    mesh: trimesh.Trimesh
    object_pose: np.ndarray
    image: np.ndarray
    depth: np.ndarray
    silhouette: np.ndarray

    @property
    def placed(self) -> np.ndarray:
        return trimesh.transform_points(self.mesh.vertices, self.object_pose)


def view_of(hand: HandModel, camera: Pinhole, index: int, side: str = 'right') -> View:
    """Renders a hand, and a box before its palm, before a wall."""
    rng = np.random.default_rng([11, index])
    model = (
        hand
        if side == 'right'
        else dataclasses.replace(
            hand.mirrored(),
            shape_basis=hand.shape_basis,
            joint_shape_basis=hand.joint_shape_basis,
            tip_shape_basis=hand.tip_shape_basis,
        )
    )  # as in MANO_LEFT.pkl
    pose = model.pose_of(sample_angles(hand, rng)).astype(float)
    pose[:3] = (Rotation.from_rotvec([np.pi, 0, 0]) * Rotation.from_rotvec(rng.normal(0, 0.4, 3))).as_rotvec()
    shape, distance = rng.normal(0, 0.7, 10), camera.fx / camera.width * 0.4
    translation = np.array([0.02, 0.05, distance]) + rng.uniform(-0.01, 0.01, 3)
    vertices, keypoints, _ = model.forward(pose, shape, translation)
    mesh = trimesh.creation.box((0.05, 0.07, 0.03)).subdivide()
    normal = Rotation.from_rotvec(pose[:3]).as_matrix()[:, 2]
    object_pose = np.eye(4)
    object_pose[:3, :3] = Rotation.random(rng=rng).as_matrix()
    object_pose[:3, 3] = keypoints[[0, 5, 9, 17]].mean(0) + 0.06 * normal

    parts = [vertices, trimesh.transform_points(mesh.vertices, object_pose)]
    faces = np.concatenate([model.faces, mesh.faces + len(vertices)])
    hits = Raycaster(np.concatenate(parts), faces).look(camera)
    image = np.empty((camera.height, camera.width, 3), np.uint8)
    image[:] = np.linspace(80, 140, camera.width)[:, None] + [0, 10, 20]
    of_hand = (hits.triangles >= 0) & (hits.triangles < len(model.faces))
    of_object = hits.triangles >= len(model.faces)
    for where, colour in ((of_hand, HAND_COLOUR), (of_object, OBJECT_COLOUR)):
        image[where] = np.clip(np.array(colour) * (0.6 + 0.4 * np.abs(hits.normals[where][:, 2:])), 0, 255)
    alone = Raycaster(parts[1], mesh.faces).look(camera).triangles >= 0
    return View(
        camera, side, pose, shape, translation, keypoints, vertices, mesh, object_pose, image, hits.depth, alone
    )


def opengl(points: np.ndarray) -> np.ndarray:
    """From the optical frame to a camera with y up that looks along −z, and back."""
    return points @ HALF_TURN


def assert_read(sample: HandObjectSample, view: View, has: str = '') -> None:
    """The sample is the view in the optical frame; `has` names what of pose, shape, vertices, object and depth."""
    assert sample.side == view.side and sample.image.dtype == np.uint8
    np.testing.assert_allclose(sample.camera.matrix, view.camera.matrix, atol=1e-6)
    assert (sample.camera.width, sample.camera.height) == (view.camera.width, view.camera.height)
    assert np.abs(sample.image.astype(int) - view.image).mean() < 4, 'channels or image swapped'
    np.testing.assert_allclose(sample.keypoints, view.keypoints, atol=2e-6)
    assert (sample.pose is not None) == ('pose' in has) and (sample.shape is not None) == ('shape' in has)
    if 'pose' in has:
        turns = (Rotation.from_rotvec(pose.reshape(16, 3)) for pose in (sample.pose, view.pose))
        assert (next(turns).inv() * next(turns)).magnitude().max() < 1e-4
    if 'shape' in has:
        np.testing.assert_allclose(sample.shape, view.shape, atol=1e-6)
    assert (sample.hand_vertices is not None) == ('vertices' in has)
    if 'vertices' in has:
        np.testing.assert_allclose(sample.hand_vertices, view.vertices, atol=5e-6)
    assert (sample.held is not None) == ('object' in has) and (sample.depth is not None) == ('depth' in has)
    if 'object' in has:
        mesh = trimesh.Trimesh(sample.held.placed, sample.held.faces, process=False)
        assert len(mesh.vertices) == len(view.mesh.vertices) and mesh.is_watertight and mesh.volume > 0
        np.testing.assert_allclose(np.linalg.det(sample.held.pose[:3, :3]), 1, atol=1e-5)
        order = np.lexsort(np.round(sample.held.placed, 5).T), np.lexsort(np.round(view.placed, 5).T)
        np.testing.assert_allclose(sample.held.placed[order[0]], view.placed[order[1]], atol=3e-6)
    if 'depth' in has:
        assert sample.depth.dtype == np.float32
        np.testing.assert_allclose(sample.depth, view.depth, atol=6e-4)
