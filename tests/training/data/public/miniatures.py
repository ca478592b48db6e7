# SPDX-License-Identifier: Apache-2.0
"""Miniature folders of the public data sets, in the layouts, units, axes and orders of their makers."""

import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import trimesh
import yaml
from scipy.spatial.transform import Rotation

from hoi_ros.hand import HandModel
from hoi_ros.hand import KEYPOINT_NAMES
from tests.training.data.public.labelled_view import HALF_TURN
from tests.training.data.public.labelled_view import opengl
from tests.training.data.public.labelled_view import View
from training.data.hand_object import HandObjectSamples
from training.data.public import dexycb
from training.data.public.dexycb import DexYcb
from training.data.public.freihand import FreiHand
from training.data.public.ho3d import Ho3d
from training.data.public.obman import ObMan
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


FIRST = {'freihand': 0, 'obman': 0, 'ho3d': 0, 'dexycb': 15}
"""A sample of each miniature that has an image."""
SEQUENCE = f'dexycb/{dexycb.SUBJECTS[6]}/20200709_141854'
FRAME = f'{SEQUENCE}/{dexycb.CAMERAS[-1]}'
"""The DexYCB sequence and camera with images."""


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
            root_joint = hand.wrist(view.shape)
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
