# SPDX-License-Identifier: Apache-2.0
"""Builds the project's own hand model from the WebXR generic hand (MIT, Amazon).

`python -m training.hand.build --source ../shared/data/hand_model` reads right.glb of the npm package
`@webxr-input-profiles/assets`, folder dist/profiles/generic-hand/.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path

import numpy as np
import trimesh
import tyro

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import JOINT_NAMES
from hoi_ros.hand.skeleton import JOINT_PARENTS
from hoi_ros.hand.skeleton import TIP_JOINTS

_FINGERS = {
    'thumb': 'thumb',
    'index': 'index-finger',
    'middle': 'middle-finger',
    'ring': 'ring-finger',
    'little': 'pinky-finger',
}
_BONES = {
    'cmc': 'metacarpal',
    'mcp': 'phalanx-proximal',
    'ip': 'phalanx-distal',
    'pip': 'phalanx-intermediate',
    'dip': 'phalanx-distal',
}

_TO_REST_FRAME = np.array([[0, 0, -1], [0, -1, 0], [-1, 0, 0]], float)
"""From the file's axes (fingers −y, palm −x, thumb −z) to the model's (thumb's side x, fingers y, palm z)."""

# Active ranges of motion of an adult hand, degrees, as (flexion, abduction, twist), each (lowest, highest).
# Fingers: AAOS, "Joint Motion: Method of Measuring and Recording" (1965); Chen et al., "Constraint Study for a
# Hand Exoskeleton", J. Robotics 2013, tables 1-2. Thumb carpometacarpal: Cooney et al., "The kinesiology of the
# thumb trapeziometacarpal joint", JBJS 63-A, 1981: 53° flexion-extension, 42° abduction-adduction, 17° rotation,
# relative to the rest pose of the mesh. A few degrees of play in hinge joints keep the fit well conditioned.
LIMITS_DEGREES = {
    'wrist': ((-180, 180), (-180, 180), (-180, 180)),
    'mcp': ((-30, 90), (-20, 20), (-8, 8)),
    'pip': ((-8, 110), (-4, 4), (-4, 4)),
    'dip': ((-10, 85), (-4, 4), (-4, 4)),
    'thumb_cmc': ((-20, 33), (-21, 21), (-9, 9)),
    'thumb_mcp': ((-12, 60), (-10, 10), (-6, 6)),
    'thumb_ip': ((-20, 85), (-4, 4), (-4, 4)),
}

SHAPE_NAMES = (
    'size',
    'finger_length',
    'finger_girth',
    'palm_width',
    'palm_length',
    'palm_thickness',
    'thumb_length',
    'thumb_girth',
    'index_against_ring',
    'tip_taper',
)
SHAPE_SPREAD = (0.055, 0.04, 0.06, 0.04, 0.04, 0.06, 0.05, 0.06, 0.03, 0.06)
"""One standard deviation of each shape number, as a share of the length that it scales: about the spread of adult hands
in Greiner, "Hand Anthropometry of U.S. Army Personnel" (1991)."""


@dataclasses.dataclass(frozen=True)
class GenericHand:
    """One GLB of the generic hand: welded vertices, triangles, joints by name, skinning by joint name."""

    vertices: np.ndarray
    faces: np.ndarray
    joint_names: list[str]
    joints: np.ndarray
    orientations: np.ndarray
    weights: np.ndarray


def read_generic_hand(path: str | Path) -> GenericHand:
    """Reads the GLB of a generic hand and welds the seams of its texture.

    Args:
        path: left.glb or right.glb.

    Returns:
        The hand in the file's own frame, metres: 1159 vertices, 2314 triangles, 25 joints.

    Raises:
        ValueError: the file is not a binary glTF.
    """
    data = Path(path).read_bytes()
    if data[:4] != b'glTF':
        raise ValueError(f'{path}: starts with {data[:4]!r}, expected a binary glTF (.glb)')
    header_length = struct.unpack_from('<I', data, 12)[0]
    document = json.loads(data[20 : 20 + header_length])
    body = data[28 + header_length :]

    def read(accessor: int) -> np.ndarray:
        entry = document['accessors'][accessor]
        view = document['bufferViews'][entry['bufferView']]
        kind = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}[entry['componentType']]
        width = {'SCALAR': 1, 'VEC2': 2, 'VEC3': 3, 'VEC4': 4, 'MAT4': 16}[entry['type']]
        offset = view.get('byteOffset', 0) + entry.get('byteOffset', 0)
        return np.frombuffer(body, kind, entry['count'] * width, offset).reshape(entry['count'], width)

    primitive = document['meshes'][0]['primitives'][0]
    skin = document['skins'][0]
    positions = read(primitive['attributes']['POSITION']).astype(float)
    bones = read(primitive['attributes']['JOINTS_0'])
    shares = read(primitive['attributes']['WEIGHTS_0']).astype(float)
    triangles = read(primitive['indices']).reshape(-1, 3).astype(int)
    bind = np.linalg.inv(read(skin['inverseBindMatrices']).reshape(-1, 4, 4).transpose(0, 2, 1).astype(float))

    weights = np.zeros((len(positions), len(skin['joints'])))
    np.add.at(weights, (np.arange(len(positions))[:, None], bones), shares)
    _, first, welded = np.unique(np.round(positions, 6), axis=0, return_index=True, return_inverse=True)
    triangles = welded.reshape(-1)[triangles]
    distinct = (triangles != np.roll(triangles, 1, axis=1)).all(1)
    return GenericHand(
        vertices=positions[first],
        faces=triangles[distinct],
        joint_names=[document['nodes'][node]['name'] for node in skin['joints']],
        joints=bind[:, :3, 3],
        orientations=bind[:, :3, :3],
        weights=weights[first] / weights[first].sum(1, keepdims=True),
    )


def build(generic: GenericHand) -> HandModel:
    """Builds the right HandModel: joints, weights, anatomical frames, limits and ten shape numbers."""
    index = {name: row for row, name in enumerate(generic.joint_names)}
    origin = generic.joints[index['wrist']]
    vertices = (generic.vertices - origin) @ _TO_REST_FRAME.T
    placed = (generic.joints - origin) @ _TO_REST_FRAME.T

    rows = [index['wrist']] + [
        index[f'{_FINGERS[finger]}-{_BONES[bone]}'] for finger, bone in (name.split('_') for name in JOINT_NAMES[1:])
    ]
    joints = placed[rows]
    tips = np.stack([placed[index[f'{name}-tip']] for name in _FINGERS.values()])

    weights = np.zeros((len(vertices), 16))
    for name, column in index.items():
        weights[:, _carrier(name)] += generic.weights[:, column]

    axes = np.tile(np.eye(3), (16, 1, 1))
    for joint in range(1, 16):
        ahead = tips[TIP_JOINTS.index(joint)] if joint in TIP_JOINTS else joints[joint + 1]
        twist = _unit(ahead - joints[joint])
        # In the file, x of a joint lies across the finger, against the axis of flexion.
        across = -_TO_REST_FRAME @ generic.orientations[rows[joint]][:, 0]
        flexion = _unit(across - twist * (across @ twist))
        axes[joint] = np.stack([flexion, np.cross(twist, flexion), twist], 1)

    limits = np.radians([LIMITS_DEGREES.get(name, LIMITS_DEGREES.get(name.split('_')[-1])) for name in JOINT_NAMES])
    displacement, joint_displacement, tip_displacement = _shape_space(vertices, joints, tips, weights, axes)
    return HandModel(
        template=vertices.astype(np.float32),
        shape_basis=displacement.astype(np.float32),
        joints=joints.astype(np.float32),
        joint_shape_basis=joint_displacement.astype(np.float32),
        tips=tips.astype(np.float32),
        tip_shape_basis=tip_displacement.astype(np.float32),
        weights=weights.astype(np.float32),
        faces=generic.faces.astype(np.int32),
        axes=axes.astype(np.float32),
        limits=limits.astype(np.float32),
    )


def _carrier(name: str) -> int:
    """The articulated joint that moves a joint of the file: the wrist for four metacarpals, the last joint of the
    finger for a tip."""
    for finger, prefix in _FINGERS.items():
        if name.startswith(prefix):
            bones = (
                ('metacarpal', 'phalanx-proximal', 'phalanx-distal', 'tip')
                if finger == 'thumb'
                else ('metacarpal', 'phalanx-proximal', 'phalanx-intermediate', 'phalanx-distal', 'tip')
            )
            position = min(bones.index(name[len(prefix) + 1 :]), len(bones) - 2)
            if finger != 'thumb' and position == 0:
                return 0
            first = JOINT_NAMES.index(f'{finger}_cmc' if finger == 'thumb' else f'{finger}_mcp')
            return first + position - (finger != 'thumb')
    return 0


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _shape_space(
    vertices: np.ndarray, joints: np.ndarray, tips: np.ndarray, weights: np.ndarray, axes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Displacements of vertices, joints and tips per unit of each shape number, (N, 3, 10) each.

    Each number is a linear field on every bone: the displacement of its base, a stretch along it and a swelling across
    it. A vertex blends the fields of its bones by its skinning weights.
    """
    ends = np.array([tips[TIP_JOINTS.index(j)] if j in TIP_JOINTS else joints[min(j + 1, 15)] for j in range(16)])
    fields = []
    for name, spread in zip(SHAPE_NAMES, SHAPE_SPREAD, strict=True):
        stretch, swell, palm = np.zeros(16), np.zeros(16), np.zeros(3)
        taper = 0.0
        thumb, fingers = np.arange(13, 16), np.arange(1, 13)
        if name == 'size':
            stretch[1:], swell[1:], palm[:] = spread, spread, spread
        elif name == 'finger_length':
            stretch[fingers] = spread
        elif name == 'finger_girth':
            swell[fingers] = spread
        elif name == 'palm_width':
            palm[0] = spread
        elif name == 'palm_length':
            palm[1] = spread
        elif name == 'palm_thickness':
            palm[2] = spread
        elif name == 'thumb_length':
            stretch[thumb] = spread
        elif name == 'thumb_girth':
            swell[thumb] = spread
        elif name == 'index_against_ring':
            stretch[1:4], stretch[10:13] = spread, -spread
        elif name == 'tip_taper':
            taper = spread
        fields.append(_bone_fields(vertices, joints, ends, axes, stretch, swell, palm, taper))
    points, bases, tip_fields = [], [], []
    for vertex_field, joint_field, end_field in fields:
        points.append((weights[:, :, None] * vertex_field).sum(1))
        bases.append(joint_field)
        tip_fields.append(end_field[list(TIP_JOINTS)])
    return np.stack(points, -1), np.stack(bases, -1), np.stack(tip_fields, -1)


def _bone_fields(
    vertices: np.ndarray,
    joints: np.ndarray,
    ends: np.ndarray,
    axes: np.ndarray,
    stretch: np.ndarray,
    swell: np.ndarray,
    palm: np.ndarray,
    taper: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The field of one shape number: at the vertices (V, 16, 3), at the bases and at the ends of the bones (16, 3)."""
    base = np.zeros((16, 3))
    end = np.zeros((16, 3))
    field = np.zeros((len(vertices), 16, 3))
    for joint in range(16):
        if joint == 0:
            field[:, 0] = vertices * palm
            continue
        parent = JOINT_PARENTS[joint]
        base[joint] = joints[joint] * palm if parent == 0 else end[parent]
        bone = axes[joint][:, 2]
        end[joint] = base[joint] + stretch[joint] * (ends[joint] - joints[joint])
        offset = vertices - joints[joint]
        along = offset @ bone
        radial = offset - along[:, None] * bone
        length = np.linalg.norm(ends[joint] - joints[joint])
        narrowing = taper * np.clip(along / length, 0, 1) if joint in TIP_JOINTS else 0 * along
        field[:, joint] = (
            base[joint] + stretch[joint] * along[:, None] * bone + (swell[joint] - narrowing)[:, None] * radial
        )
    return field, base, end


@dataclasses.dataclass(frozen=True)
class BuildConfig:
    """Builds models/hand_model/hand.npz."""

    source: Path = Path('../shared/data/hand_model')
    """Folder with right.glb."""
    out: Path = Path('models/hand_model/hand.npz')
    """The file to write; its folder also receives the notice of the mesh."""


def main(config: BuildConfig) -> None:
    model = build(read_generic_hand(config.source / 'right.glb'))
    mesh = trimesh.Trimesh(model.template, model.faces, process=False)
    if not mesh.is_watertight:
        raise ValueError(f'{config.source}/right.glb: the welded mesh is not watertight')
    config.out.parent.mkdir(parents=True, exist_ok=True)
    model.save(config.out)
    notice = config.source / 'LICENSE.md'
    if notice.is_file():
        (config.out.parent / 'LICENSE.md').write_text(notice.read_text())
    print(f'{config.out}: {len(model.template)} vertices, {len(model.faces)} triangles, {mesh.volume * 1e6:.1f} cm³')


if __name__ == '__main__':
    main(tyro.cli(BuildConfig))
