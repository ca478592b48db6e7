# SPDX-License-Identifier: Apache-2.0
"""Converts a user's own MANO_RIGHT.pkl (https://mano.is.tue.mpg.de, under its licence) to a hand model.

`python -m training.hand.mano --pickle MANO_RIGHT.pkl --out hand.npz` needs neither chumpy nor Python 2 and
calls nothing that the pickle names: arrays are rebuilt from the bytes the file holds.
"""

from __future__ import annotations

import dataclasses
import pickle
import re
from pathlib import Path
from typing import Any
from typing import Self

import numpy as np
import scipy.sparse
import tyro

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.skeleton import JOINT_NAMES
from hoi_ros.hand.skeleton import JOINT_PARENTS
from hoi_ros.hand.skeleton import TIP_JOINTS
from training.hand.build import LIMITS_DEGREES

# The fingertips of the right hand as manopth and most of the literature take them, thumb to little.
_MANO_VERTICES = 778
_MANO_TIPS = (745, 317, 444, 556, 673)
_NEEDED = ('v_template', 'shapedirs', 'posedirs', 'J_regressor', 'weights', 'f', 'kintree_table')

# Far above any hand's joint regressor: a damaged size must not fill the memory.
_MOST_NUMBERS = 10_000_000


class ManoFileError(ValueError):
    """A MANO pickle is damaged, asks for code that has no place in it, or holds no right hand."""


class _Record:
    """Stands for an object of the pickle: keeps what the file says of it, runs nothing."""

    kind = ''
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Self:
        record = super().__new__(cls)
        record.arguments = arguments
        record.state = None
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _kind(name: str) -> type[_Record]:
    return type(f'_{name.title()}Record', (_Record,), {'kind': name})


_ARRAY, _SPARSE_COLUMNS, _SPARSE_ROWS = _kind('array'), _kind('csc'), _kind('csr')
_DTYPE, _BYTES, _REBUILT, _OTHER = _kind('dtype'), _kind('bytes'), _kind('rebuilt'), _kind('other')
_CHUMPY, _SELECT = _kind('chumpy'), _kind('select')

# All that a pickle may name, as Python 2 and 3, old and new NumPy and SciPy write it.
_ADMITTED: dict[tuple[str, str], type[_Record]] = {
    ('numpy.core.multiarray', '_reconstruct'): _ARRAY,
    ('numpy._core.multiarray', '_reconstruct'): _ARRAY,
    ('numpy', 'ndarray'): _OTHER,
    ('numpy', 'dtype'): _DTYPE,
    ('scipy.sparse.csc', 'csc_matrix'): _SPARSE_COLUMNS,
    ('scipy.sparse._csc', 'csc_matrix'): _SPARSE_COLUMNS,
    ('scipy.sparse.csr', 'csr_matrix'): _SPARSE_ROWS,
    ('scipy.sparse._csr', 'csr_matrix'): _SPARSE_ROWS,
    ('chumpy.ch', 'Ch'): _CHUMPY,
    ('chumpy.reordering', 'Select'): _SELECT,
    ('_codecs', 'encode'): _BYTES,
    **{(module, '_reconstructor'): _REBUILT for module in ('copy_reg', 'copyreg')},
    **{(module, name): _OTHER
       for module in ('__builtin__', 'builtins') for name in ('object', 'set', 'frozenset')},
}


class _InertUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[_Record]:
        admitted = _ADMITTED.get((module, name))
        if admitted is None:
            raise ManoFileError(f'refused, and nothing run: it asks for {module}.{name}, which has no place '
                                'in a MANO model; take the file of the MANO download')
        return admitted


def convert(path: str | Path) -> HandModel:
    """Reads MANO_RIGHT.pkl and makes its HandModel.

    Raises:
        ManoFileError: see `read_pickle` and `hand_model`; the message begins with the path.
    """
    try:
        return hand_model(read_pickle(path))
    except ManoFileError as error:
        raise ManoFileError(f'{path}: {error}') from error


def read_pickle(path: str | Path) -> dict[str, np.ndarray]:
    """Reads the arrays of a MANO pickle (Python 2 or 3) without running anything it names.

    Returns:
        The arrays that make a hand model, by MANO's names.

    Raises:
        ManoFileError: the file is missing or damaged, holds no dictionary, lacks an array, or names a class
            or function that is not one of NumPy's and SciPy's array classes or chumpy's Ch and Select.
    """
    path = Path(path)
    if not path.is_file():
        raise ManoFileError('no such file; give the MANO_RIGHT.pkl of your MANO download')
    try:
        with path.open('rb') as file:
            content = _InertUnpickler(file, encoding='latin1').load()
    except ManoFileError:
        raise
    except Exception as error:  # a damaged pickle raises almost any kind
        raise ManoFileError(f'not a readable pickle ({error}); download it again') from error
    if not isinstance(content, dict):
        raise ManoFileError(f'holds a {type(content).__name__}, expected the dictionary of a MANO model')
    missing = [name for name in _NEEDED if name not in content]
    if missing:
        raise ManoFileError(f'lacks {", ".join(missing)}: no MANO model, whose file has {", ".join(_NEEDED)}')
    arrays = {}
    for name in _NEEDED:
        try:
            arrays[name] = np.atleast_1d(_array(content[name]))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
            raise ManoFileError(f'{name} cannot be rebuilt ({error}); download the file again') from error
    return arrays


def hand_model(arrays: dict[str, np.ndarray]) -> HandModel:
    """Makes the HandModel of MANO's right hand.

    The frame, the shape space and the pose correctives stay MANO's; the pose is its full axis-angle about the
    flat hand (`use_pca=False, flat_hand_mean=True` elsewhere: hands_mean is not added). The fingertips,
    vertices in MANO, here turn rigidly with the last joint of their finger.

    Args:
        arrays: as `read_pickle` gives them.

    Raises:
        ManoFileError: an array has another shape or numbers out of range, or the hand is a left one.
    """
    template, faces = arrays['v_template'].astype(float), arrays['f'].astype(np.int64)
    count = len(template)
    expected = {'v_template': (count, 3), 'shapedirs': (count, 3, 10), 'posedirs': (count, 3, 135),
                'J_regressor': (16, count), 'weights': (count, 16), 'f': (len(faces), 3),
                'kintree_table': (2, 16)}
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise ManoFileError(f'{name} has shape {arrays[name].shape}, expected {shape}')
        if not np.isfinite(arrays[name]).all():
            raise ManoFileError(f'{name} has numbers that are not finite; download the file again')
    if not ((faces >= 0) & (faces < count)).all():
        raise ManoFileError(f'f names vertices {faces.min()} to {faces.max()}, expected 0 to {count - 1}')
    parents = arrays['kintree_table'][0].astype(np.int64)
    if parents[1:].tolist() != list(JOINT_PARENTS[1:]):
        raise ManoFileError(f'kintree_table has the parents {parents[1:].tolist()}, '
                            f'expected {list(JOINT_PARENTS[1:])}')

    shape_basis, weights = arrays['shapedirs'].astype(float), arrays['weights'].astype(float)
    regressor = arrays['J_regressor'].astype(float)
    joints = regressor @ template
    tip_rows = list(_MANO_TIPS) if count == _MANO_VERTICES else _furthest(template, joints, weights)
    tips = template[tip_rows]
    across, along = joints[1] - joints[7], joints[4] - joints[0]
    thumb = joints[13:].mean(0) - joints[[1, 4, 7, 10]].mean(0)
    if thumb @ np.cross(across, along) <= 0:
        raise ManoFileError('this is a left hand: convert MANO_RIGHT.pkl, whose mirror image '
                            '(HandModel.mirrored) is the left hand')

    limits = [LIMITS_DEGREES.get(name) or LIMITS_DEGREES[name.split('_')[-1]] for name in JOINT_NAMES]
    return HandModel(
        template=_single(template), shape_basis=_single(shape_basis), joints=_single(joints),
        joint_shape_basis=_single(np.einsum('jv,vxs->jxs', regressor, shape_basis)), tips=_single(tips),
        tip_shape_basis=_single(shape_basis[tip_rows]), weights=_single(weights),
        faces=faces.astype(np.int32), axes=_single(anatomical_axes(joints, tips)),
        limits=_single(np.radians(limits)), pose_basis=_single(arrays['posedirs']))


def anatomical_axes(joints: np.ndarray, tips: np.ndarray) -> np.ndarray:
    """Anatomical frames of any right hand from its joints at rest.

    Twist runs along the bone. A finger's flexion turns it about the axis across bone and palm, towards the
    palm; abduction is positive towards the thumb. The thumb flexes towards a point before the little finger's
    knuckle, a quarter of the palm's width out of the palm, where it opposes the finger; its abduction leaves
    the palm.

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
    """The vertex of each finger's last joint that lies furthest along the bone before it."""
    carrier = weights.argmax(1)
    rows = []
    for joint in TIP_JOINTS:
        own = np.flatnonzero(carrier == joint)
        if not len(own):
            raise ManoFileError(f'no vertex follows {JOINT_NAMES[joint]}: weights are not those of a hand')
        rows.append(int(own[(template[own] @ (joints[joint] - joints[joint - 1])).argmax()]))
    return rows


def _array(value: Any) -> np.ndarray:
    """The array that a record, or a list of numbers, stands for."""
    if not isinstance(value, _Record):
        return np.asarray(value, float)
    record = value
    if record.kind == 'rebuilt':  # copy_reg._reconstructor(class, object, None)
        record = record.arguments[0]()
        record.state = value.state
    state = record.state
    if record.kind == 'array':
        return _rebuilt_array(*state)
    if record.kind == 'chumpy':
        return _array(state['x'])
    if record.kind == 'select':
        picked = _array(state['a']).ravel()[_array(state['idxs'])]
        shape = state.get('preferred_shape')
        return picked if shape is None else picked.reshape(shape)
    if record.kind in ('csc', 'csr'):
        rows, columns = (int(size) for size in state['_shape'])
        if rows * columns > _MOST_NUMBERS:
            raise ValueError(f'a matrix of {rows} × {columns} is too large for a hand')
        matrix = scipy.sparse.csc_matrix if record.kind == 'csc' else scipy.sparse.csr_matrix
        parts = tuple(_array(state[name]) for name in ('data', 'indices', 'indptr'))
        return matrix(parts, (rows, columns)).toarray()
    raise ValueError('it is no array')


def _rebuilt_array(_version: int, shape: tuple[int, ...], dtype: _Record, by_column: bool,
                   data: Any) -> np.ndarray:
    code, order = str(dtype.arguments[0]), str(dtype.state[1])
    if not re.fullmatch('[biuf][1248]', code) or order not in ('<', '>', '|', '='):
        raise ValueError(f'an array of dtype {order}{code}, expected plain numbers')
    if isinstance(data, _Record):  # _codecs.encode(text, 'latin1')
        data = data.arguments[0]
    if isinstance(data, str):
        data = data.encode('latin1')
    flat = np.frombuffer(data, np.dtype(order + code))
    return flat.reshape(shape, order='F' if by_column else 'C').astype(flat.dtype.newbyteorder('='))


@dataclasses.dataclass(frozen=True)
class ManoConfig:
    """Converts MANO_RIGHT.pkl to a hand model file."""

    pickle: Path
    """MANO_RIGHT.pkl of your own MANO download."""
    out: Path = Path('hand.npz')
    """The file to write; give it to HandModel.load."""


def main(config: ManoConfig) -> None:
    try:
        model = convert(config.pickle)
    except ManoFileError as error:
        raise SystemExit(f'error: {error}') from error
    config.out.parent.mkdir(parents=True, exist_ok=True)
    model.save(config.out)
    print(f'{config.out}: {len(model.template)} vertices, {len(model.faces)} triangles')


if __name__ == '__main__':
    main(tyro.cli(ManoConfig))
