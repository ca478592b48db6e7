# SPDX-License-Identifier: Apache-2.0
"""Given grasps: a line of JSON each, with the file of an object, its pose, and the joints of a hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

_SMALLEST_HAND, _LARGEST_HAND = 0.05, 0.5
"""Diagonals of the bounding box of 21 joints in metres: of a child's fist, and more than of any hand."""
_FARTHEST = 20.0
"""Longest translation of an object, metres."""
_RIGID = 1e-3
"""Largest deviation of a rotation's products from those of a rotation."""


class GraspLineError(ValueError):
    """A line that describes no grasp."""


@dataclasses.dataclass(frozen=True)
class GivenGrasp:
    """A hand and an object in one frame, metres."""

    object: Path
    """Mesh file, metres."""
    object_pose: np.ndarray
    """(4, 4) from the mesh's frame to that of the joints."""
    joints: np.ndarray
    """(21, 3) in the order of KEYPOINT_NAMES."""
    side: str
    """'right' or 'left'."""


def grasp_of_line(line: str, folder: Path) -> GivenGrasp:
    """Reads a line.

    Args:
        line: JSON: `object`, `joints`, `side`, and `object_pose` unless it is the identity. Other keys are ignored.
        folder: that of relative paths.

    Raises:
        GraspLineError: it is no JSON object, a key is missing, or a value has another shape, is not finite, or not in
            metres.
    """
    try:
        given = json.loads(line)
    except ValueError as error:
        raise GraspLineError(f'the line is not JSON: {error}') from error
    if not isinstance(given, dict):
        raise GraspLineError(f'the line is {_shortened(given)}, expected an object with object, joints and side')
    if missing := [key for key in ('object', 'joints', 'side') if key not in given]:
        raise GraspLineError(f'{" and ".join(missing)} missing; the line has {", ".join(map(str, given)) or "no key"}')
    if given['side'] not in ('right', 'left'):
        raise GraspLineError(f"side is {_shortened(given['side'])}, expected 'right' or 'left'")
    if not isinstance(given['object'], str) or not given['object']:
        raise GraspLineError(f'object is {_shortened(given["object"])}, expected the path of a mesh file')
    pose = given.get('object_pose')
    return GivenGrasp(
        folder / given['object'],
        np.eye(4) if pose is None else _pose(pose),
        _joints(given['joints']),
        given['side'],
    )


def _joints(value: Any) -> np.ndarray:
    joints = _array('joints', value, (21, 3))
    across = float(np.linalg.norm(np.ptp(joints, axis=0)))
    if across > _LARGEST_HAND:
        raise GraspLineError(
            f'the joints measure {across:.4g} m across, expected at most {_LARGEST_HAND:g} m: '
            'they seem to be in millimetres; give metres'
        )
    if across < _SMALLEST_HAND:
        raise GraspLineError(
            f'the joints measure {across:.2g} m across, expected at least {_SMALLEST_HAND:g} m: give metres'
        )
    return joints


def _pose(value: Any) -> np.ndarray:
    pose = _array('object_pose', value, (4, 4))
    turn, place = pose[:3, :3], pose[:3, 3]
    if not np.allclose(pose[3], [0, 0, 0, 1], atol=_RIGID):
        raise GraspLineError(
            f'the last row of object_pose is {pose[3].tolist()}, expected 0, 0, 0, 1; is it transposed?'
        )
    if not np.allclose(turn @ turn.T, np.eye(3), atol=_RIGID) or np.linalg.det(turn) < 0:
        raise GraspLineError(
            f'object_pose is no rotation and translation: its 3×3 has the determinant {np.linalg.det(turn):.4g}, '
            'expected 1; scale or mirror the mesh instead'
        )
    if (far := float(np.linalg.norm(place))) > _FARTHEST:
        raise GraspLineError(f'object_pose moves the object by {far:.4g} m: it seems to be in millimetres; give metres')
    return pose


def _array(name: str, value: Any, shape: tuple[int, int]) -> np.ndarray:
    expected = f'expected {shape[0]}×{shape[1]} numbers'
    try:
        array = np.array(value, float)
    except (TypeError, ValueError) as error:
        raise GraspLineError(f'{name} is {_shortened(value)}, {expected}') from error
    if array.shape != shape:
        raise GraspLineError(f'{name} has the shape {"×".join(map(str, array.shape)) or "of one number"}, {expected}')
    if not np.isfinite(array).all():
        raise GraspLineError(f'{int((~np.isfinite(array)).sum())} of {array.size} numbers of {name} are not finite')
    return array


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f'{text[:37]}...'
