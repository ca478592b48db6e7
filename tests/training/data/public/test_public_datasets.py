# SPDX-License-Identifier: Apache-2.0
"""Adapters of FreiHAND, ObMan, HO-3D and DexYCB, on miniature folders of the layouts that their makers describe.

A scene, known in the optical frame, is written in each data set's own folders, units, axes and orders; what the
adapter reads must be the scene again, and the drawn sheet must show it on the image.
"""

from __future__ import annotations

import builtins
import dataclasses
import json
import pickle
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import trimesh
import tyro
import yaml
from scipy.spatial.transform import Rotation

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.hand import HandModel
from hoi_ros.hand import KEYPOINT_NAMES
from hoi_ros.hand.poses import sample_angles
from hoi_ros.resources import models_dir
from hoi_ros.simulation.raycast import Raycaster
from training.data.hand_object import HandObjectSample
from training.data.hand_object import HandObjectSamples
from training.data.public import dexycb
from training.data.public import preview as preview_dataset
from training.data.public.choice import DataChoice
from training.data.public.dataset_files import DatasetError
from training.data.public.dexycb import DexYcb
from training.data.public.freihand import FreiHand
from training.data.public.ho3d import Ho3d
from training.data.public.obman import ObMan
from training.evaluation.reconstruction import evaluate
from training.evaluation.reconstruction import ReconstructionEvaluation
from training.hand import mano
from training.hand.mano import PoseSpace

# The order of handJoints3D, as joint_order.png of shreyashampali/ho3d numbers the joints 0 to 20.
MANO_ORDER = [
    'wrist',
    *(f'{finger}_{joint}' for finger in ('index', 'middle', 'little', 'ring') for joint in ('mcp', 'pip', 'dip')),
    'thumb_cmc',
    'thumb_mcp',
    'thumb_ip',
    *(f'{finger}_tip' for finger in ('thumb', 'index', 'middle', 'ring', 'little')),
]
HALF_TURN = np.diag([1.0, -1.0, -1.0])
HAND_COLOUR, OBJECT_COLOUR = (205, 150, 120), (110, 130, 230)
BLENDER_CAMERA = Pinhole(256, 256, 480, 480, 127.5, 127.5)
REAL_CAMERA = Pinhole(640, 480, 614.6, 614.2, 320.3, 241.7)


@dataclasses.dataclass
class View:
    """What a camera sees: everything in its optical frame, metres."""

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


@pytest.fixture(scope='module')
def hand() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope='module')
def space() -> PoseSpace:
    """Stands for MANO's: a mean pose and 45 orthogonal components."""
    rng = np.random.default_rng(3)
    return PoseSpace(
        rng.normal(0, 0.1, 45).astype(np.float32), np.linalg.qr(rng.normal(size=(45, 45)))[0].astype(np.float32)
    )


def seen(hand: HandModel, camera: Pinhole, index: int, side: str = 'right') -> View:
    """A hand, and a box before its palm, drawn before a wall."""
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
    )  # the shape displacements that MANO_LEFT.pkl has
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


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = [cv2.IMWRITE_JPEG_QUALITY, 98] if path.suffix == '.jpg' else []
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image, options)


def write_mesh(path: Path, mesh: trimesh.Trimesh, scale: float = 1) -> None:
    """An OBJ of two materials, each corner of each triangle with a texture coordinate of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ['mtllib textured_simple.mtl', *(f'v {x} {y} {z}' for x, y, z in (mesh.vertices / scale).tolist())]
    lines += [f'vt {number / 1000} 0.5' for number in range(3 * len(mesh.faces))]
    for number, face in enumerate(mesh.faces):
        if number in (0, len(mesh.faces) // 2):
            lines.append(f'usemtl material_{number}')
        lines.append('f ' + ' '.join(f'{corner + 1}/{3 * number + place + 1}' for place, corner in enumerate(face)))
    path.write_text('\n'.join(lines) + '\n')


def write_pickle(path: Path, content: Any, protocol: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol))


def write_freihand(root: Path, views: list[View], space: PoseSpace, split: str = 'training') -> None:
    count = 4 if split == 'training' else 1
    for number, view in enumerate(views):
        for version in range(count):  # each version's images are a little darker than those before
            write_image(root / split / 'rgb' / f'{number + 32560 * version:08d}.jpg', view.image - 20 * version)
    labels: dict[str, list] = {'K': [], 'xyz': [], 'verts': [], 'mano': []}
    for view in views:
        labels['K'].append(view.camera.matrix.tolist())
        labels['xyz'].append(view.keypoints.tolist())
        labels['verts'].append(view.vertices.tolist())
        written = np.concatenate([view.pose[:3], view.pose[3:] - space.mean])
        labels['mano'].append([[*written.tolist(), *view.shape.tolist(), 100.0, 90.0, 1500.0]])
    for name, values in labels.items():
        (root / f'{split}_{name}.json').write_text(json.dumps(values))


def write_obman(root: Path, shapenet: Path, views: list[View]) -> None:
    for number, view in enumerate(views):
        scale = 0.2 + 0.05 * number
        affine = np.diag([1.0, -1.0, -1.0, 1.0]) @ view.object_pose @ np.diag([scale, scale, scale, 1.0])
        meta = {
            'side': view.side,
            'coords_3d': opengl(view.keypoints).astype(np.float32),
            'verts_3d': opengl(view.vertices).astype(np.float32),
            'affine_transform': affine.astype(np.float32),
            'class_id': '02876657',
            'sample_id': f'sample{number}',
            'obj_scale': scale,
            'coords_2d': (view.camera.project(view.keypoints) + 0.5).astype(np.float32),
            'obj_path': f'/sequoia/ShapeNetCore.v2/02876657/sample{number}/models/model_normalized.obj',
            'hand_pose': view.pose[3:],
            'pca_pose': view.pose[3:],
            'shape': np.zeros(10, np.float32),
            'depth_min': np.float32(0.4),
            'depth_max': np.float32(0.9),
            'z': 0.6,
            'grasp_quality': 0.3,
        }
        write_image(root / 'test' / 'rgb' / f'{number:08d}.jpg', view.image)
        write_pickle(root / 'test' / 'meta' / f'{number:08d}.pkl', meta, protocol=3)
        write_mesh(shapenet / '02876657' / f'sample{number}' / 'models' / 'model_normalized.obj', view.mesh, scale)


def write_ho3d(root: Path, models: Path, hand: HandModel, views: list[View], suffix: str) -> None:
    """The views as training frames, and the same again as evaluation frames."""
    write_mesh(models / '003_cracker_box' / 'textured_simple.obj', views[0].mesh)
    names = [f'MC1/{number:04d}' for number in range(len(views))]
    for split in ('train', 'evaluation'):
        (root).mkdir(exist_ok=True)
        (root / f'{split}.txt').write_text('\n'.join(reversed(names)) + '\n')
        for name, view in zip(names, views, strict=True):
            sequence, frame = name.split('/')
            root_joint = hand.joints[0] + hand.joint_shape_basis[0] @ view.shape
            turn = Rotation.from_matrix(HALF_TURN) * Rotation.from_rotvec(view.pose[:3])
            order = [KEYPOINT_NAMES.index(joint) for joint in MANO_ORDER]
            rotation = Rotation.from_matrix(HALF_TURN @ view.object_pose[:3, :3])
            meta = {
                'camMat': view.camera.matrix,
                'objName': '003_cracker_box',
                'objLabel': np.int64(2),
                'objRot': rotation.as_rotvec()[:, None],
                'objTrans': HALF_TURN @ view.object_pose[:3, 3],
                'camIDList': ['0', '1'],
                'objCorners3DRest': np.zeros((8, 3)),
                'handJoints3D': opengl(view.keypoints)[order],
                'handPose': np.concatenate([turn.as_rotvec(), view.pose[3:]]),
                'handBeta': view.shape,
                # MANO turns about its root joint: that joint, not the origin, has to land where it is.
                'handTrans': HALF_TURN @ (root_joint + view.translation) - root_joint,
                'handVertContact': near(view),
            }
            if split == 'evaluation':
                for key in ('handPose', 'handBeta', 'handTrans', 'handVertContact'):
                    del meta[key]
                meta.update(handJoints3D=meta['handJoints3D'][0], handBoundingBox=[1, 2, 3, 4])
            folder = root / split / sequence
            write_image(folder / 'rgb' / f'{frame}{suffix}', view.image)
            code = np.round(view.depth / 0.00012498664727900177).astype(int)
            write_image(
                folder / 'depth' / f'{frame}.png', np.stack([code % 256, code // 256, 0 * code], -1).astype(np.uint8)
            )
            write_pickle(folder / 'meta' / f'{frame}.pkl', meta)


def near(view: View) -> np.ndarray:
    return view.vertices[:, 2] < np.median(view.vertices[:, 2])


def write_dexycb(root: Path, views: list[View], space: PoseSpace, subjects: tuple[str, ...] = dexycb.SUBJECTS) -> None:
    """Folders of all sequences, with the views as the frames of the second sequence of each subject's last camera."""
    for number in range(21):
        write_mesh(root / 'models' / dexycb.OBJECTS[number] / 'textured_simple.obj', views[0].mesh)
    camera = views[0].camera
    intrinsics = {'fx': camera.fx, 'fy': camera.fy, 'ppx': camera.cx, 'ppy': camera.cy}
    (root / 'calibration' / 'intrinsics').mkdir(parents=True)
    for serial in dexycb.CAMERAS:
        (root / 'calibration' / 'intrinsics' / f'{serial}_640x480.yml').write_text(
            yaml.dump({'serial': serial, 'color': intrinsics, 'depth': {'fx': 1.0}})
        )
    for subject in subjects:
        for side in ('left', 'right'):
            calibration = root / 'calibration' / f'mano_{subject}_{side}'
            calibration.mkdir()
            (calibration / 'mano.yml').write_text(yaml.dump({'betas': views[0].shape.tolist()}))
        for number in range(100):
            folder = root / subject / f'20200709_{141754 + 100 * number}'
            folder.mkdir(parents=True)
            (folder / 'meta.yml').write_text(
                f'mano_calib: [{subject}_{views[0].side}]\nmano_sides: [{views[0].side}]\n'
                f'num_frames: {len(views)}\nycb_ids: [10, {1 + number // 5}, 3]\nycb_grasp_ind: 1\n'
            )
        folder = root / subject / f'20200709_{141754 + 100}' / dexycb.CAMERAS[-1]
        for number, view in enumerate(views):
            write_image(folder / f'color_{number:06d}.jpg', view.image)
            write_image(
                folder / f'aligned_depth_to_color_{number:06d}.png', np.round(view.depth * 1000).astype(np.uint16)
            )
            mirror = space if view.side == 'right' else space.mirrored()
            fingers = np.linalg.solve(mirror.components.T.astype(float), view.pose[3:] - mirror.mean)
            poses = np.stack([np.zeros((3, 4)), view.object_pose[:3], np.ones((3, 4))]).astype(np.float32)
            np.savez(
                folder / f'labels_{number:06d}.npz',
                seg=np.zeros((480, 640), np.uint8),
                pose_y=poses,
                pose_m=np.concatenate([view.pose[:3], fingers, view.translation])[None].astype(np.float32),
                joint_3d=view.keypoints[None].astype(np.float32),
                joint_2d=np.zeros((1, 21, 2), np.float32),
            )


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


@pytest.fixture(scope='module')
def blender_views(hand: HandModel) -> list[View]:
    return [seen(hand, BLENDER_CAMERA, index) for index in range(2)]


@pytest.fixture(scope='module')
def real_views(hand: HandModel) -> list[View]:
    return [seen(hand, REAL_CAMERA, index) for index in range(10, 12)]


def test_freihand_gives_the_scene_under_each_background(blender_views, space, tmp_path: Path) -> None:
    write_freihand(tmp_path, blender_views, space)
    split = FreiHand(tmp_path, pose_space=space)
    assert len(split) == 8
    for index, sample in enumerate(split):
        version, number = divmod(index, 2)
        assert sample.name == f'training/{number + 32560 * version:08d}'
        lighter = dataclasses.replace(sample, image=sample.image + 20 * version)
        assert_read(lighter, blender_views[number], 'pose shape vertices')
    alone = FreiHand(tmp_path, versions=('auto',))
    assert len(alone) == 2 and alone[1].name == f'training/{32560 * 3 + 1:08d}'
    assert_read(dataclasses.replace(alone[1], image=alone[1].image + 60), blender_views[1], 'shape vertices')


def test_freihand_evaluates_with_and_without_the_released_labels(blender_views, space, tmp_path: Path) -> None:
    write_freihand(tmp_path, blender_views, space, 'evaluation')
    assert_read(FreiHand(tmp_path, 'evaluation')[1], blender_views[1], 'shape vertices')
    for name in ('xyz', 'verts', 'mano'):
        (tmp_path / f'evaluation_{name}.json').unlink()
    sample = FreiHand(tmp_path, 'evaluation')[1]
    assert sample.keypoints is None and sample.hand_vertices is None and sample.camera == blender_views[1].camera


def test_obman_gives_the_scene_with_the_objects_size_from_the_transform(blender_views, tmp_path: Path) -> None:
    write_obman(tmp_path / 'obman', tmp_path / 'shapenet', blender_views)
    split = ObMan(tmp_path / 'obman', 'test', tmp_path / 'shapenet')
    assert [sample.name for sample in split] == ['test/00000000', 'test/00000001']
    for sample, view in zip(split, blender_views, strict=True):
        assert_read(sample, view, 'vertices object')
        extent = np.ptp(sample.held.vertices, axis=0)
        np.testing.assert_allclose(extent, [0.05, 0.07, 0.03], atol=1e-5)
    assert ObMan(tmp_path / 'obman', 'test')[0].held is None


@pytest.mark.parametrize(('version', 'suffix'), [('v2', '.png'), ('v3', '.jpg')])
def test_ho3d_turns_opengl_and_manos_order_into_the_scene(
    real_views, hand, tmp_path: Path, version: str, suffix: str
) -> None:
    write_ho3d(tmp_path / 'ho3d', tmp_path / 'models', hand, real_views, suffix)
    split = Ho3d(tmp_path / 'ho3d', 'train', version, tmp_path / 'models', hand)
    assert [sample.name for sample in split] == ['MC1/0001', 'MC1/0000'], 'the order is that of train.txt'
    for sample, view in zip(split, reversed(real_views), strict=True):
        assert_read(sample, view, 'pose shape vertices object depth')
        np.testing.assert_array_equal(sample.contact, near(view))
        again = hand.forward(sample.pose, sample.shape, np.zeros(3)).vertices
        np.testing.assert_allclose(again - again[0], sample.hand_vertices - sample.hand_vertices[0], atol=1e-5)
    assert_read(Ho3d(tmp_path / 'ho3d', version=version)[1], real_views[0], 'pose shape depth')


def test_ho3d_evaluation_knows_the_wrist_alone_until_the_labels_are_there(real_views, hand, tmp_path: Path) -> None:
    root = tmp_path / 'ho3d'
    write_ho3d(root, tmp_path / 'models', hand, real_views, '.jpg')
    sample = Ho3d(root, 'evaluation', models=tmp_path / 'models')[1]
    np.testing.assert_allclose(sample.keypoints[0], real_views[0].keypoints[0], atol=1e-6)
    assert np.isnan(sample.keypoints[1:]).all() and sample.pose is None
    order = [KEYPOINT_NAMES.index(joint) for joint in MANO_ORDER]
    for name, values in (
        ('xyz', [opengl(view.keypoints)[order].tolist() for view in reversed(real_views)]),
        ('verts', [opengl(view.vertices).tolist() for view in reversed(real_views)]),
    ):
        (root / f'evaluation_{name}.json').write_text(json.dumps(values))
    assert_read(Ho3d(root, 'evaluation', models=tmp_path / 'models')[1], real_views[0], 'vertices object depth')


@pytest.mark.parametrize('side', ['right', 'left'])
def test_dexycb_gives_the_scene_of_either_hand(hand, space, tmp_path: Path, side: str) -> None:
    view, subject = seen(hand, REAL_CAMERA, 20, side), dexycb.SUBJECTS[6]
    write_dexycb(tmp_path, [view, view], space, (subject,))
    split = DexYcb(tmp_path, 's1', 'val', hand, space)
    assert len(split) == 100 * 8 * 2
    index = 8 * 2 + 7 * 2  # second sequence, last camera, first frame: time runs fastest
    sample = split[index]
    for frame in range(2):
        assert split[index + frame].name == f'{subject}/20200709_141854/{dexycb.CAMERAS[-1]}/{frame:06d}'
    assert sample.held.name == '002_master_chef_can'
    assert_read(sample, view, 'pose shape vertices object depth')
    assert_read(DexYcb(tmp_path, 's1', 'val')[index], view, 'shape object depth')


def test_dexycb_splits_are_the_official_ones(hand, space, tmp_path: Path) -> None:
    write_dexycb(tmp_path, [seen(hand, REAL_CAMERA, 20)], space)
    sizes = {'s0': (6400, 320, 1280), 's1': (5600, 800, 1600), 's2': (6000, 1000, 1000), 's3': (6000, 800, 1200)}
    for setup, expected in sizes.items():
        subjects, cameras, sequences = zip(*(dexycb.split_of(setup, split) for split in dexycb.SPLITS), strict=True)
        frames = [
            {
                (subject, camera, sequence)
                for subject in subjects[split]
                for camera in cameras[split]
                for sequence in sequences[split]
            }
            for split in range(3)
        ]
        assert tuple(map(len, frames)) == expected
        assert len(set.union(*frames)) == 8000, 'the splits share frames or leave some out'
    grasped = {split: {number // 5 for number in dexycb.split_of('s3', split)[2]} for split in dexycb.SPLITS}
    assert grasped['val'] == {3, 19} and grasped['test'] == {7, 11, 15} and len(grasped['train']) == 15
    assert dexycb.split_of('s1', 'test')[0] == (7, 8) and dexycb.split_of('s2', 'val')[1] == (6,)
    assert dexycb.split_of('s0', 'val')[0] == (0, 1) and dexycb.split_of('s0', 'test')[2][:2] == (4, 9)
    split = DexYcb(tmp_path, 's2', 'test')
    assert len(split) == 1000 and split[101].name.startswith(f'{dexycb.SUBJECTS[1]}/20200709_141854/932122062010')


def test_frames_without_labels_are_read_without_them(real_views, hand, space, tmp_path: Path) -> None:
    write_dexycb(tmp_path / 'dexycb', real_views[:1], space, (dexycb.SUBJECTS[6],))
    path = next((tmp_path / 'dexycb').rglob('labels_*.npz'))
    labels = dict(np.load(path))
    np.savez(
        path,
        **{
            **labels,
            'joint_3d': 0 * labels['joint_3d'] - 1,
            'pose_m': 0 * labels['pose_m'],
            'pose_y': 0 * labels['pose_y'],
        },
    )
    sample = DexYcb(tmp_path / 'dexycb', 's1', 'val', hand, space)[15]
    assert sample.keypoints is None and sample.pose is None and sample.hand_vertices is None and sample.held is None
    write_ho3d(tmp_path / 'ho3d', tmp_path / 'models', hand, real_views, '.jpg')
    path = tmp_path / 'ho3d' / 'train' / 'MC1' / 'meta' / '0000.pkl'
    meta = pickle.loads(path.read_bytes())
    write_pickle(path, {name: value if name == 'camMat' else None for name, value in meta.items()})
    sample = Ho3d(tmp_path / 'ho3d', models=tmp_path / 'models', hand=hand)[1]
    assert sample.keypoints is None and sample.pose is None and sample.held is None and sample.contact is None


@dataclasses.dataclass
class Folders:
    """A miniature of each data set, and how to open it."""

    root: Path
    hand: HandModel
    space: PoseSpace

    def open(self, name: str) -> HandObjectSamples:
        root = self.root
        return {
            'freihand': lambda: FreiHand(root / 'freihand', versions=('gs',), pose_space=self.space),
            'obman': lambda: ObMan(root / 'obman', 'test', root / 'shapenet'),
            'ho3d': lambda: Ho3d(root / 'ho3d', 'train', 'v3', root / 'models', self.hand),
            'dexycb': lambda: DexYcb(root / 'dexycb', 's1', 'val', self.hand, self.space),
        }[name]()


@pytest.fixture(scope='module')
def pristine(blender_views, real_views, hand, space, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp('public')
    write_freihand(root / 'freihand', blender_views, space)
    write_obman(root / 'obman', root / 'shapenet', blender_views)
    write_ho3d(root / 'ho3d', root / 'models', hand, real_views, '.jpg')
    write_dexycb(root / 'dexycb', real_views[:1], space, (dexycb.SUBJECTS[6],))
    return root


@pytest.fixture
def folders(pristine, hand, space, tmp_path: Path) -> Folders:
    shutil.copytree(pristine, tmp_path / 'public')
    return Folders(tmp_path / 'public', hand, space)


FIRST = {'freihand': 0, 'obman': 0, 'ho3d': 0, 'dexycb': 15}


@pytest.mark.parametrize('name', FIRST)
def test_a_data_set_travels_to_workers_and_ends(folders, name: str) -> None:
    split = folders.open(name)
    copy, index = pickle.loads(pickle.dumps(split)), FIRST[name]
    np.testing.assert_array_equal(copy[index].image, split[index].image)
    np.testing.assert_array_equal(copy[index].keypoints, split[index].keypoints)
    for beyond in (-1, len(split)):
        with pytest.raises(IndexError, match=f'there are {len(split)}'):
            split[beyond]


@pytest.fixture
def converted(hand, space, tmp_path: Path) -> Path:
    """Stands for a user's MANO as `python -m training.hand.mano` writes it."""
    hand.save(tmp_path / 'mano.npz')
    with np.load(tmp_path / 'mano.npz') as file:
        np.savez(tmp_path / 'converted.npz', **file, pose_mean=space.mean, pose_components=space.components)
    return tmp_path / 'converted.npz'


def test_commands_read_the_official_splits(folders, converted, blender_views, real_views, space) -> None:
    def first(split: str, name: str, index: int = 0, **more) -> HandObjectSample:
        samples, repeats = DataChoice(data=name, root=folders.root / name, hand=converted, **more).public(split)
        assert repeats == (4 if name == 'freihand' else 1) and len(samples) % repeats == 0
        return samples[index]

    assert_read(first('train', 'freihand'), blender_views[0], 'pose shape vertices')
    assert_read(first('test', 'obman', objects=folders.root / 'shapenet'), blender_views[0], 'vertices object')
    assert_read(
        first('train', 'ho3d', 1, objects=folders.root / 'models'), real_views[0], 'pose shape vertices object depth'
    )
    shutil.rmtree(folders.root / 'dexycb')
    write_dexycb(folders.root / 'dexycb', real_views[:1], space, dexycb.SUBJECTS[7:9])
    assert_read(first('test', 'dexycb', 8 + 7, setup='s1'), real_views[0], 'pose shape vertices object depth')
    with pytest.raises(DatasetError, match='0001.png'):
        DataChoice(data='ho3d', root=folders.root / 'ho3d', version='v2').public('train')[0][0]


def test_a_network_is_evaluated_on_an_official_test_split(folders) -> None:
    config = ReconstructionEvaluation(
        models_dir() / 'reconstruction',
        samples=2,
        data='obman',
        root=folders.root / 'obman',
        objects=folders.root / 'shapenet',
    )
    figures = evaluate(config)['obman']
    assert figures['samples'] == 2
    assert all(np.isfinite(figures[name]) for name in ('joint_error_mm', 'hand_f_15mm', 'object_chamfer_mm2'))
    with pytest.raises(SystemExit, match='the test split of ho3d has no labels here'):
        evaluate(dataclasses.replace(config, data='ho3d', root=folders.root / 'ho3d', objects=folders.root / 'models'))


SEQUENCE = f'dexycb/{dexycb.SUBJECTS[6]}/20200709_141854'
FRAME = f'{SEQUENCE}/{dexycb.CAMERAS[-1]}'
REMOVED = [
    ('freihand', 'freihand', 'lmb.informatik.uni-freiburg.de'),
    ('freihand', 'freihand/training/rgb', 'FreiHAND_pub'),
    ('freihand', 'freihand/training_xyz.json', 'no such file'),
    ('freihand', 'freihand/training_K.json', 'unpack'),
    ('freihand', 'freihand/training/rgb/00000000.jpg', 'no such file'),
    ('obman', 'obman/test', 'di.ens.fr'),
    ('obman', 'obman/test/rgb/00000000.jpg', 'obman.zip'),
    ('obman', 'shapenet/02876657/sample0/models/model_normalized.obj', 'ShapeNetCore.v2'),
    ('ho3d', 'ho3d/train.txt', 'github.com/shreyashampali/ho3d'),
    ('ho3d', 'ho3d/train/MC1/meta/0001.pkl', 'train/'),
    ('ho3d', 'ho3d/train/MC1/depth/0001.png', 'no such file'),
    ('ho3d', 'models/003_cracker_box/textured_simple.obj', 'YCB-Video'),
    ('dexycb', f'dexycb/{dexycb.SUBJECTS[6]}', 'dex-ycb.github.io'),
    ('dexycb', SEQUENCE, '99 sequences, expected 100'),
    ('dexycb', f'{SEQUENCE}/meta.yml', 'no such file'),
    ('dexycb', f'{FRAME}/labels_000000.npz', 'no such file'),
    ('dexycb', 'dexycb/calibration/intrinsics/932122062010_640x480.yml', 'calibration/'),
    ('dexycb', 'dexycb/models/002_master_chef_can/textured_simple.obj', 'models/'),
]


@pytest.mark.parametrize(('name', 'removed', 'said'), REMOVED, ids=[removed for _, removed, _ in REMOVED])
def test_what_is_missing_is_named_with_the_mend(folders, name: str, removed: str, said: str) -> None:
    path = folders.root / removed
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DatasetError) as raised:
        folders.open(name)[FIRST[name]]
    # Of a missing sequence its subject is named, whose sequences no longer count to a hundred.
    assert said.lower() in str(raised.value).lower()
    assert str(path.parent if removed == SEQUENCE else path) in str(raised.value)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def change(path: Path, **entries: Any) -> None:
    write_pickle(path, {**pickle.loads(path.read_bytes()), **entries})


def change_arrays(path: Path, **entries: np.ndarray) -> None:
    np.savez(path, **{**dict(np.load(path)), **entries})


DAMAGED: list[tuple[str, str, Callable[[Path], Any], str]] = [
    ('freihand', 'freihand/training_verts.json', cut, 'whole elements, then cut'),
    ('freihand', 'freihand/training_mano.json', lambda path: path.write_text('[[[1, 2]]]'), '1 samples, expected 2'),
    ('freihand', 'freihand/training_xyz.json', lambda path: path.write_text('[[[1, 2]], [[3]]]'), 'element 0 is not'),
    ('freihand', 'freihand/training_xyz.json', lambda path: path.write_text('{"a": 1}'), 'expected a JSON list'),
    ('freihand', 'freihand/training/rgb/00000000.jpg', lambda path: path.write_text('no'), 'not a readable image'),
    ('obman', 'obman/test/meta/00000000.pkl', cut, 'not a readable pickle'),
    ('obman', 'obman/test/meta/00000000.pkl', lambda path: change(path, side='both'), "side 'both', expected left"),
    (
        'obman',
        'obman/test/meta/00000000.pkl',
        lambda path: change(path, coords_3d=np.zeros((20, 3))),
        r'coords_3d has shape \(20, 3\), expected \(21, 3\)',
    ),
    (
        'obman',
        'obman/test/meta/00000000.pkl',
        lambda path: change(path, affine_transform=np.ones((4, 4))),
        'no rotation and scale',
    ),
    (
        'obman',
        'shapenet/02876657/sample0/models/model_normalized.obj',
        lambda path: path.write_text('v 1 2 3\n'),
        'mesh',
    ),
    ('ho3d', 'ho3d/train/MC1/meta/0001.pkl', lambda path: write_pickle(path, [1]), 'holds a list'),
    (
        'ho3d',
        'ho3d/train/MC1/meta/0001.pkl',
        lambda path: write_pickle(path, {'camMat': np.eye(3), 'handPose': [0]}),
        'lacks handJoints3D, has camMat, handPose',
    ),
    ('ho3d', 'ho3d/train/MC1/meta/0001.pkl', lambda path: change(path, camMat='x'), 'camMat cannot be rebuilt'),
    (
        'ho3d',
        'ho3d/train/MC1/depth/0001.png',
        lambda path: write_image(path, np.zeros((4, 4), np.uint16)),
        'expected 3 of uint8',
    ),
    ('ho3d', 'ho3d/train.txt', lambda path: path.write_text('MC1\n'), "names 'MC1', expected SEQUENCE/FRAME"),
    ('dexycb', f'{SEQUENCE}/meta.yml', lambda path: path.write_text('mano_sides: [up]\n'), 'not the mano_sides'),
    (
        'dexycb',
        f'{SEQUENCE}/meta.yml',
        lambda path: path.write_text('!!python/object/apply:os.getcwd []'),
        'not readable YAML',
    ),
    ('dexycb', f'{FRAME}/labels_000000.npz', cut, 'not a readable .npz'),
    (
        'dexycb',
        f'{FRAME}/labels_000000.npz',
        lambda path: change_arrays(path, pose_y=np.ones((2, 3, 4))),
        'poses of 2 objects, expected 3',
    ),
    (
        'dexycb',
        f'{FRAME}/aligned_depth_to_color_000000.png',
        lambda path: write_image(path, np.zeros((4, 4, 3), np.uint8)),
        'expected 1 of uint16',
    ),
]


@pytest.mark.parametrize(('name', 'damaged', 'spoil', 'said'), DAMAGED, ids=[said for *_, said in DAMAGED])
def test_what_is_damaged_is_named(folders, name: str, damaged: str, spoil: Callable[[Path], Any], said: str) -> None:
    spoil(folders.root / damaged)
    with pytest.raises(DatasetError, match=said) as raised:
        folders.open(name)[FIRST[name]]
    assert str(raised.value).startswith(str(folders.root / damaged))


def test_wrong_choices_are_answered_with_the_right_ones(folders) -> None:
    root = folders.root
    for opening, said in (
        (lambda: FreiHand(root, 'train'), "'train': expected one of training, evaluation"),
        (lambda: FreiHand(root / 'freihand', versions=('green',)), 'gs, hom, sample, auto'),
        (lambda: ObMan(root, 'validation'), 'train, val, test'),
        (lambda: Ho3d(root, version='v1'), 'v2, v3'),
        (lambda: DexYcb(root, 's4'), 's0, s1, s2, s3'),
        (lambda: DexYcb(root, split='valid'), 'train, val, test'),
        (lambda: Ho3d(root / 'ho3d', version='v2')[0], r'0001.png: no such file \(there is 0001.j'),
    ):
        with pytest.raises(DatasetError, match=said):
            opening()


class Asks:
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return builtins.open, ('marker', 'w')


@pytest.mark.parametrize(
    ('name', 'path'), [('obman', 'obman/test/meta/00000000.pkl'), ('ho3d', 'ho3d/train/MC1/meta/0001.pkl')]
)
def test_labels_that_ask_for_code_are_refused_unrun(folders, monkeypatch, name: str, path: str) -> None:
    monkeypatch.chdir(folders.root)
    change(Path(path), bg_path=Asks())
    with pytest.raises(DatasetError, match=r'refused, and nothing run: it asks for .*open'):
        folders.open(name)[0]
    assert not Path('marker').exists()


@pytest.mark.parametrize('name', ['ho3d', 'dexycb'])
def test_a_hand_that_is_not_the_labelled_one_is_refused(folders, hand, name: str) -> None:
    folders.hand = dataclasses.replace(hand, joints=hand.joints * 1.4, tips=hand.tips * 1.4)
    with pytest.raises(DatasetError, match=r'the given hand model puts the keypoints \d\d mm .* MANO_RIGHT'):
        folders.open(name)[FIRST[name]]


def test_a_left_hand_whose_pose_space_is_unknown_keeps_its_joints(hand, space, tmp_path: Path) -> None:
    view = seen(hand, REAL_CAMERA, 20, 'left')
    write_dexycb(tmp_path, [view], space, (dexycb.SUBJECTS[6],))
    other = PoseSpace(space.mean, space.components[::-1])
    assert_read(DexYcb(tmp_path, 's1', 'val', hand, other)[15], view, 'shape object depth')


SHEETS = {
    'freihand': [],
    'obman': ['--split', 'test', '--shapenet', '{root}/shapenet'],
    'ho3d': ['--models', '{root}/models', '--hand', '{root}/hand.npz'],
    'dexycb': ['--setup', 's1', '--split', 'val', '--samples', '1', '--hand', '{root}/hand.npz'],
}


@pytest.mark.parametrize('name', SHEETS)
def test_the_sheet_shows_object_and_joints_where_the_image_has_them(
    folders, blender_views, real_views, name: str, capsys
) -> None:
    view = {'freihand': blender_views[0], 'obman': blender_views[0], 'ho3d': real_views[1], 'dexycb': real_views[0]}[
        name
    ]
    folders.hand.save(folders.root / 'hand.npz')
    with np.load(folders.root / 'hand.npz') as file:
        arrays = dict(file)
    np.savez(
        folders.root / 'hand.npz', **arrays, pose_mean=folders.space.mean, pose_components=folders.space.components
    )
    if name == 'dexycb':  # its first sample, of which the miniature holds no frame yet
        frames = folders.root / 'dexycb' / dexycb.SUBJECTS[6]
        shutil.copytree(folders.root / FRAME, frames / '20200709_141754' / dexycb.CAMERAS[0])
    out = folders.root / 'sheet.png'
    arguments = [
        name,
        '--root',
        str(folders.root / name),
        '--out',
        str(out),
        *(option.format(root=folders.root) for option in SHEETS[name]),
    ]
    preview_dataset.main(tyro.cli(preview_dataset.AnySheet, args=arguments))
    assert 'samples; of these have keypoints' in capsys.readouterr().out
    sheet = cv2.cvtColor(cv2.imread(str(out)), cv2.COLOR_BGR2RGB)
    width = 480
    height = round(width * view.camera.height / view.camera.width)
    tile = sheet[:height, :width].astype(int)
    if name != 'freihand':
        drawn = (np.abs(tile - preview_dataset.OUTLINE_COLOUR) < 3).all(-1)
        outline = cv2.morphologyEx(
            cv2.resize(view.silhouette.astype(np.uint8), (width, height)), cv2.MORPH_GRADIENT, np.ones((3, 3))
        )
        far = cv2.distanceTransform(1 - outline, cv2.DIST_L2, 5)
        # Joints and dots of the hand are drawn over a part of the outline.
        assert far[drawn].max() < 4 and drawn.sum() > 0.5 * outline.sum()
    drawn_again = preview_dataset.draw_sample(
        HandObjectSample('truth', view.image, view.camera, view.side, view.keypoints)
    )
    pixels = np.round(view.camera.scaled(width, height).project(view.keypoints)).astype(int)
    for column, row in pixels:
        assert np.abs(tile[row, column] - drawn_again[row, column]).max() < 60


def test_the_sheets_command_ends_with_the_mend(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, 'argv', ['preview_dataset', 'obman', '--root', str(tmp_path)])
    monkeypatch.delitem(sys.modules, 'training.data.public.preview')
    with pytest.raises(SystemExit, match=f'error: {tmp_path}/train/rgb: no such folder.*di.ens.fr'):
        runpy.run_module('training.data.public.preview', run_name='__main__', alter_sys=True)


def test_a_converted_mano_file_keeps_its_pose_space(hand, space, tmp_path: Path) -> None:
    regressor = np.stack(
        [
            np.linalg.lstsq(
                np.append(hand.template, np.ones((len(hand.template), 1)), 1).T, np.append(joint, 1), rcond=None
            )[0]
            for joint in hand.joints
        ]
    )
    parents = np.array([[2**32 - 1, *hand.parents[1:]], range(16)], np.uint32)
    content = {
        'v_template': hand.template,
        'shapedirs': hand.shape_basis,
        'J_regressor': regressor,
        'f': hand.faces,
        'posedirs': np.zeros((len(hand.template), 3, 135)),
        'weights': hand.weights,
        'kintree_table': parents,
        'hands_mean': space.mean,
        'hands_components': space.components,
    }
    for name, kept in (('whole', True), ('bare', False)):
        if not kept:
            del content['hands_mean']
        write_pickle(tmp_path / 'MANO_RIGHT.pkl', content)
        out = tmp_path / f'{name}.npz'
        mano.main(mano.ManoConfig(tmp_path / 'MANO_RIGHT.pkl', out))
        np.testing.assert_array_equal(HandModel.load(out).template, hand.template)
        read = PoseSpace.load(out)
        assert (read is not None) == kept
        if read:
            np.testing.assert_array_equal(read.mean, space.mean)
            np.testing.assert_array_equal(read.components, space.components)
