# SPDX-License-Identifier: Apache-2.0
"""Converts a user's own MANO_RIGHT.pkl (https://mano.is.tue.mpg.de, under its licence) to a hand model.

`python -m training.hand.mano --pickle MANO_RIGHT.pkl --out hand.npz` needs neither chumpy nor Python 2 and
runs no code of the pickle: arrays are rebuilt from the bytes of the file.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import tyro

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import JOINT_NAMES
from hoi_ros.hand.skeleton import JOINT_PARENTS
from hoi_ros.hand.skeleton import TIP_JOINTS
from training import inert_pickle
from training.hand.build import LIMITS_DEGREES

_MANO_VERTICES = 778
_MANO_TIPS = (745, 317, 444, 556, 673)
"""Vertices of the right fingertips, thumb to little, as in manopth and most of the literature."""
_NEEDED = ('v_template', 'shapedirs', 'posedirs', 'J_regressor', 'weights', 'f', 'kintree_table')
_POSE_SPACE = ('hands_mean', 'hands_components')


class ManoFileError(ValueError):
    """A MANO pickle is damaged, asks for code, or holds no right hand."""


@dataclasses.dataclass(frozen=True)
class PoseSpace:
    """MANO's mean pose and principal components, in which some data sets write the 45 numbers of the fingers.

    HandModel's pose is relative to the flat hand; MANO's `flat_hand_mean=False` adds the mean, `use_pca=True`
    multiplies with the components.
    """

    mean: np.ndarray
    """(45,) radians."""
    components: np.ndarray
    """(45, 45), one component per row."""

    @classmethod
    def load(cls, path: str | Path) -> PoseSpace | None:
        """Reads the pose space of a hand model file made by `python -m training.hand.mano`; None for a file without
        one, such as the project's own hand."""
        with np.load(path, allow_pickle=False) as file:
            names = [field.name for field in dataclasses.fields(cls)]
            if any(f'pose_{name}' not in file.files for name in names):
                return None
            return cls(*(file[f'pose_{name}'] for name in names))

    def mirrored(self) -> PoseSpace:
        """The pose space of the other hand, x → −x."""
        signs = np.tile(np.array([1, -1, -1], np.float32), 15)
        return PoseSpace(self.mean * signs, self.components * signs)

    def pose(self, written: np.ndarray, principal: bool) -> np.ndarray:
        """Converts a pose relative to the mean to a pose (48,) relative to the flat hand.

        Args:
            written: (48,) the wrist's axis-angle, then the fingers' axis-angles or coefficients.
            principal: whether the 45 numbers are coefficients of the components.
        """
        fingers = written[3:] @ self.components if principal else written[3:]
        return np.concatenate([written[:3], self.mean + fingers])


def convert(path: str | Path) -> HandModel:
    """Reads MANO_RIGHT.pkl and converts it to a HandModel.

    Raises:
        ManoFileError: see `read_pickle` and `hand_model`; the message begins with the path.
    """
    try:
        return hand_model(read_pickle(path))
    except ManoFileError as error:
        raise ManoFileError(f'{path}: {error}') from error


def read_pickle(path: str | Path) -> dict[str, np.ndarray]:
    """Reads the arrays of a MANO pickle (Python 2 or 3) without running code of the pickle.

    Returns:
        The arrays of the hand model and, if the file has one, of its pose space, by MANO's names.

    Raises:
        ManoFileError: the file is missing or damaged, holds no dictionary, lacks an array of the hand model, or names
            anything but NumPy's and SciPy's array classes and chumpy's Ch and Select.
    """
    path = Path(path)
    if not path.is_file():
        raise ManoFileError('no such file; give the MANO_RIGHT.pkl of your MANO download')
    try:
        content = inert_pickle.read_dictionary(path)
    except inert_pickle.PickleError as error:
        raise ManoFileError(str(error)) from error
    missing = [name for name in _NEEDED if name not in content]
    if missing:
        raise ManoFileError(f'lacks {", ".join(missing)}: no MANO model, whose file has {", ".join(_NEEDED)}')
    arrays = {}
    for name in (*_NEEDED, *(name for name in _POSE_SPACE if name in content)):
        try:
            arrays[name] = np.atleast_1d(inert_pickle.array(content[name]))
        except inert_pickle.PickleError as error:
            raise ManoFileError(f'{name} {error}; download the file again') from error
    return arrays


def pose_space(arrays: dict[str, np.ndarray]) -> PoseSpace | None:
    """MANO's pose space of the right hand, or None if the file has none.

    Args:
        arrays: as returned by `read_pickle`.

    Raises:
        ManoFileError: an array has another shape or numbers that are not finite.
    """
    if any(name not in arrays for name in _POSE_SPACE):
        return None
    for name, shape in zip(_POSE_SPACE, ((45,), (45, 45)), strict=True):
        if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
            raise ManoFileError(f'{name} has shape {arrays[name].shape}, expected {shape} finite numbers')
    return PoseSpace(*(_single(arrays[name]) for name in _POSE_SPACE))


def hand_model(arrays: dict[str, np.ndarray]) -> HandModel:
    """Converts MANO's right hand to a HandModel.

    The frame, the shape space and the pose correctives stay MANO's; the pose is its full axis-angle relative
    to the flat hand (`use_pca=False, flat_hand_mean=True` in other code: hands_mean is not added). The fingertips,
    vertices in MANO, turn rigidly with the last joint of their finger.

    Args:
        arrays: as returned by `read_pickle`.

    Raises:
        ManoFileError: an array has another shape or numbers out of range, or the hand is a left one.
    """
    template, faces = arrays['v_template'].astype(float), arrays['f'].astype(np.int64)
    count = len(template)
    expected = {
        'v_template': (count, 3),
        'shapedirs': (count, 3, 10),
        'posedirs': (count, 3, 135),
        'J_regressor': (16, count),
        'weights': (count, 16),
        'f': (len(faces), 3),
        'kintree_table': (2, 16),
    }
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise ManoFileError(f'{name} has shape {arrays[name].shape}, expected {shape}')
        if not np.isfinite(arrays[name]).all():
            raise ManoFileError(f'{name} has numbers that are not finite; download the file again')
    if not ((faces >= 0) & (faces < count)).all():
        raise ManoFileError(f'f names vertices {faces.min()} to {faces.max()}, expected 0 to {count - 1}')
    parents = arrays['kintree_table'][0].astype(np.int64)
    if parents[1:].tolist() != list(JOINT_PARENTS[1:]):
        raise ManoFileError(f'kintree_table has the parents {parents[1:].tolist()}, expected {list(JOINT_PARENTS[1:])}')

    shape_basis, weights = arrays['shapedirs'].astype(float), arrays['weights'].astype(float)
    regressor = arrays['J_regressor'].astype(float)
    joints = regressor @ template
    tip_rows = list(_MANO_TIPS) if count == _MANO_VERTICES else _furthest(template, joints, weights)
    tips = template[tip_rows]
    across, along = joints[1] - joints[7], joints[4] - joints[0]
    thumb = joints[13:].mean(0) - joints[[1, 4, 7, 10]].mean(0)
    if thumb @ np.cross(across, along) <= 0:
        raise ManoFileError(
            'this is a left hand: convert MANO_RIGHT.pkl, whose mirror image (HandModel.mirrored) is the left hand'
        )

    limits = [LIMITS_DEGREES.get(name) or LIMITS_DEGREES[name.split('_')[-1]] for name in JOINT_NAMES]
    return HandModel(
        template=_single(template),
        shape_basis=_single(shape_basis),
        joints=_single(joints),
        joint_shape_basis=_single(np.einsum('jv,vxs->jxs', regressor, shape_basis)),
        tips=_single(tips),
        tip_shape_basis=_single(shape_basis[tip_rows]),
        weights=_single(weights),
        faces=faces.astype(np.int32),
        axes=_single(anatomical_axes(joints, tips)),
        limits=_single(np.radians(limits)),
        pose_basis=_single(arrays['posedirs']),
    )


def anatomical_axes(joints: np.ndarray, tips: np.ndarray) -> np.ndarray:
    """Anatomical frames of any right hand from its joints at rest.

    Twist runs along the bone. The flexion of a finger turns it towards the palm, about the axis across bone and palm;
    its abduction is positive towards the thumb. The thumb flexes towards the point where it opposes the little finger,
    a quarter of the palm's width before that finger's knuckle; its abduction is positive away from the palm.

    Args:
        joints: (16, 3) in MANO's order.
        tips: (5, 3) thumb to little.

    Returns:
        (16, 3, 3), columns flexion, abduction, twist; the wrist's is the identity.
    """
    across = joints[1] - joints[7]
    palm = np.cross(across, joints[4] - joints[0])
    palm = palm / np.linalg.norm(palm)
    opposed = joints[7] + 0.25 * np.linalg.norm(across) * palm
    axes = np.tile(np.eye(3), (16, 1, 1))
    for joint in range(1, 16):
        ahead = tips[TIP_JOINTS.index(joint)] if joint in TIP_JOINTS else joints[joint + 1]
        bone = ahead - joints[joint]
        twist = bone / np.linalg.norm(bone)
        flexion = np.cross(twist, opposed - joints[joint] if joint >= 13 else palm)
        flexion = flexion / np.linalg.norm(flexion)
        axes[joint] = np.stack([flexion, np.cross(twist, flexion), twist], 1)
    return axes


def _single(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32)


def _furthest(template: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> list[int]:
    """For each finger, the vertex of its last joint that lies furthest along the preceding bone."""
    carrier = weights.argmax(1)
    rows = []
    for joint in TIP_JOINTS:
        own = np.flatnonzero(carrier == joint)
        if not len(own):
            raise ManoFileError(f'no vertex follows {JOINT_NAMES[joint]}: weights are not those of a hand')
        rows.append(int(own[(template[own] @ (joints[joint] - joints[joint - 1])).argmax()]))
    return rows


@dataclasses.dataclass(frozen=True)
class ManoConfig:
    """Converts MANO_RIGHT.pkl to a hand model file."""

    pickle: Path
    """MANO_RIGHT.pkl of your own MANO download."""
    out: Path = Path('hand.npz')
    """The file to write, for HandModel.load."""


def main(config: ManoConfig) -> None:
    try:
        arrays = read_pickle(config.pickle)
        model, space = hand_model(arrays), pose_space(arrays)
    except ManoFileError as error:
        raise SystemExit(f'error: {config.pickle}: {error}') from error
    out = config.out if config.out.suffix == '.npz' else Path(f'{config.out}.npz')  # NumPy appends the suffix too
    out.parent.mkdir(parents=True, exist_ok=True)
    model.save(out)
    if space is not None:
        with np.load(out) as file:
            saved = dict(file)
        np.savez_compressed(out, **saved, pose_mean=space.mean, pose_components=space.components)
    print(f'{out}: {len(model.template)} vertices, {len(model.faces)} triangles')


if __name__ == '__main__':
    main(tyro.cli(ManoConfig))
