# SPDX-License-Identifier: Apache-2.0
"""The parametric hand: linear blend skinning over 16 joints, pose of 48 and shape of 10 numbers.

The layout is MANO's (Romero, Tzionas, Black, "Embodied Hands", 2017): a converted MANO file and the project's own
hand are interchangeable. The same code runs on NumPy arrays and on PyTorch tensors.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from hoi_ros.hand.skeleton import JOINT_PARENTS
from hoi_ros.hand.skeleton import KEYPOINT_SOURCES
from hoi_ros.hand.skeleton import TIP_JOINTS
from hoi_ros.resources import model_dir

Array = Any  # np.ndarray or torch.Tensor

_ARRAYS = (
    'template',
    'shape_basis',
    'joints',
    'joint_shape_basis',
    'tips',
    'tip_shape_basis',
    'weights',
    'faces',
    'axes',
    'limits',
)

MOST_TURNED = 100.0
"""Largest number of an axis-angle rotation that is posed, radians: beyond, single precision is lost."""
CROSS = np.zeros((3, 9), np.float32)
CROSS[[0, 0, 1, 1, 2, 2], [7, 5, 2, 6, 3, 1]] = [1, -1, 1, -1, 1, -1]
"""vector @ CROSS is the matrix of its cross product, row by row."""


class HandGeometry(NamedTuple):
    """A posed hand: vertices (..., V, 3) and keypoints (..., 21, 3) in metres; transforms (..., 16, 4, 4) of the
    joints take points of the unposed, shaped hand to the posed one."""

    vertices: Array
    keypoints: Array
    transforms: Array


class HandModelError(ValueError):
    """A hand model file that is missing, damaged or of another layout."""


@dataclasses.dataclass(frozen=True)
class HandModel:
    """One side of the parametric hand.

    The rest frame of the project's own right hand: origin at the wrist, x to the thumb's side, y along the
    fingers, z out of the palm. The left hand is its mirror image, x → −x.

    Attributes:
        template: (V, 3) vertices at rest, metres.
        shape_basis: (V, 3, 10) displacement per unit of shape, metres.
        joints: (16, 3) joints at rest, metres, in MANO's order.
        joint_shape_basis: (16, 3, 10).
        tips: (5, 3) fingertips at rest, thumb to little, carried by the last joint of their finger.
        tip_shape_basis: (5, 3, 10).
        weights: (V, 16) skinning weights, each row sums to 1.
        faces: (F, 3) triangles, counter-clockwise from outside.
        axes: (16, 3, 3) anatomical frame of each joint at rest; columns: flexion, abduction (positive towards
            the thumb's side; of the thumb, out of the palm), twist (along the bone; against it in a left hand, so
            that the same angles pose both).
        limits: (16, 3, 2) lowest and highest rotation-vector component in that frame, radians.
        pose_basis: (V, 3, 135) MANO's pose correctives, or None.
        side: 'right' or 'left'.
    """

    template: Array
    shape_basis: Array
    joints: Array
    joint_shape_basis: Array
    tips: Array
    tip_shape_basis: Array
    weights: Array
    faces: Array
    axes: Array
    limits: Array
    pose_basis: Array | None = None
    side: str = 'right'

    @classmethod
    def load(cls, path: str | Path | None = None) -> HandModel:
        """Loads a right hand from an .npz file, by default the project's own.

        Raises:
            HandModelError: the file is missing, damaged, or lacks an array or has one of another shape.
        """
        path = Path(path) if path is not None else model_dir('hand_model') / 'hand.npz'
        if not path.is_file():
            raise HandModelError(
                f'{path}: the hand model is missing; give a file made by `python -m training.hand.build` '
                'or `python -m training.hand.mano`'
            )
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (ValueError, OSError, EOFError, KeyError) as error:
            raise HandModelError(f'{path}: not a readable .npz hand model ({error}); make it again') from error
        except Exception as error:  # zipfile and zlib raise their own errors on damaged archives
            raise HandModelError(f'{path}: damaged hand model ({error}); make it again') from error
        missing = [name for name in _ARRAYS if name not in arrays]
        if missing:
            raise HandModelError(f'{path}: lacks {", ".join(missing)}; it is not a hand model of this version')
        vertices = arrays['template'].shape[0]
        expected = {
            'template': (vertices, 3),
            'shape_basis': (vertices, 3, 10),
            'joints': (16, 3),
            'joint_shape_basis': (16, 3, 10),
            'tips': (5, 3),
            'tip_shape_basis': (5, 3, 10),
            'weights': (vertices, 16),
            'axes': (16, 3, 3),
            'limits': (16, 3, 2),
        }
        for name, shape in expected.items():
            if arrays[name].shape != shape:
                raise HandModelError(f'{path}: {name} has shape {arrays[name].shape}, expected {shape}')
        floats: dict[str, Any] = {name: np.ascontiguousarray(arrays[name], np.float32) for name in expected}
        pose_basis = arrays.get('pose_basis')
        if pose_basis is not None and pose_basis.shape != (vertices, 3, 135):
            raise HandModelError(f'{path}: pose_basis has shape {pose_basis.shape}, expected {(vertices, 3, 135)}')
        for name, array in floats.items():
            if not np.isfinite(array).all():
                raise HandModelError(f'{path}: {int((~np.isfinite(array)).sum())} numbers of {name} are not finite')
        faces = arrays['faces']
        if not (faces.size and faces.min() >= 0 and faces.max() < vertices):
            raise HandModelError(f'{path}: its faces do not name vertices 0 to {vertices - 1}')
        return cls(
            faces=arrays['faces'].astype(np.int32),
            **floats,
            pose_basis=None if pose_basis is None else pose_basis.astype(np.float32),
        )

    def save(self, path: str | Path) -> None:
        """Saves the model to an .npz file for `load`."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        if self.pose_basis is not None:
            arrays['pose_basis'] = self.pose_basis
        np.savez_compressed(path, **arrays)

    @property
    def parents(self) -> tuple[int, ...]:
        """The parent of each articulated joint; −1 for the wrist."""
        return JOINT_PARENTS

    def digest(self) -> str:
        """16 hexadecimal digits that differ between hand models."""
        digest = hashlib.sha256(self.side.encode())
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                digest.update(f'{field.name} {value.dtype} {value.shape}'.encode() + value.tobytes())
        return digest.hexdigest()[:16]

    def mirrored(self) -> HandModel:
        """The hand of the other side: x → −x, with triangles reversed to face outwards."""
        flip = np.array([-1, 1, 1], np.float32)
        # The mirror image of the axis of a rotation is minus the mirrored axis; flexion stays flexion.
        axes = self.axes * np.array([1, -1, -1], np.float32)[:, None]
        pose_basis = None
        if self.pose_basis is not None:
            signs = np.outer(flip, flip).reshape(-1)
            pose_basis = self.pose_basis * flip[:, None] * np.tile(signs, 15)
        return dataclasses.replace(
            self,
            template=self.template * flip,
            shape_basis=self.shape_basis * flip[:, None],
            joints=self.joints * flip,
            joint_shape_basis=self.joint_shape_basis * flip[:, None],
            tips=self.tips * flip,
            tip_shape_basis=self.tip_shape_basis * flip[:, None],
            axes=axes,
            faces=np.ascontiguousarray(self.faces[:, ::-1]),
            pose_basis=pose_basis,
            side='left' if self.side == 'right' else 'right',
        )

    def to_torch(self, device: Any = 'cpu', dtype: Any = None) -> HandModel:
        """The same hand in PyTorch tensors (by default float32), for differentiable use."""
        import torch

        arrays: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                wanted = dtype if value.dtype.kind == 'f' else None
                arrays[field.name] = torch.as_tensor(value, device=device, dtype=wanted)
        return dataclasses.replace(self, **arrays)

    def forward(self, pose: Array, shape: Array, translation: Array, vertices: bool = True) -> HandGeometry:
        """Poses the hand.

        Args:
            pose: (..., 48) axis-angle, radians; the first three turn the whole hand about its wrist.
            shape: (..., 10).
            translation: (..., 3) metres.
            vertices: whether to skin the mesh; otherwise the vertices have shape (..., 0, 3).

        Returns:
            The geometry in the frame of the translation.
        """
        batch = pose.shape[:-1]
        rotations = rotation_matrices(pose.reshape(*batch, 16, 3))
        joints = self.joints + _along_shape(self.joint_shape_basis, shape)
        tips = self.tips + _along_shape(self.tip_shape_basis, shape)

        # The joints are ordered finger by finger, three in a chain from the wrist.
        own = rotations[..., 1:, :, :].reshape(*batch, 5, 3, 3, 3)
        bones = (joints[..., 1:, :] - joints[..., JOINT_PARENTS[1:], :]).reshape(*joints.shape[:-2], 5, 3, 3)
        root = joints[..., 0, :] + translation
        turned: list[Array] = [rotations[..., :1, :, :]]
        placed: list[Array] = [root[..., None, :]]
        for level in range(3):
            placed.append(placed[-1] + (turned[-1] @ bones[..., level, :, None])[..., 0])
            turned.append(turned[-1] @ own[..., level, :, :])
        rotation = _concatenate([turned[0], _stack(turned[1:], -3).reshape(*batch, 15, 3, 3)], -3)
        position = _concatenate([placed[0], _stack(placed[1:], -2).reshape(*batch, 15, 3)], -2)
        beyond = tips - joints[..., TIP_JOINTS, :]
        tip_points = position[..., TIP_JOINTS, :] + (rotation[..., TIP_JOINTS, :, :] @ beyond[..., None])[..., 0]
        keypoints = _concatenate([position, tip_points], -2)[..., KEYPOINT_SOURCES, :]

        shift = position - (rotation @ joints[..., None])[..., 0]
        rows = _concatenate([rotation, shift[..., None]], -1)
        bottom = rows[..., :1, :] * 0 + self._last_row(rows)
        transforms = _concatenate([rows, bottom], -2)

        if not vertices:
            return HandGeometry(keypoints[..., :0, :], keypoints, transforms)
        rest = self.template + _along_shape(self.shape_basis, shape)
        if self.pose_basis is not None:
            corrective = (rotations[..., 1:, :, :] - self._identity(rows)).reshape(*batch, 135)
            rest = rest + _along_shape(self.pose_basis, corrective)
        blended = (self.weights @ rows.reshape(*batch, 16, 12)).reshape(*batch, -1, 3, 4)
        skinned = _products(blended[..., :3], rest) + blended[..., 3]
        return HandGeometry(skinned, keypoints, transforms)

    def wrist(self, shape: Array) -> Array:
        """(..., 3) place of the wrist joint of hands of shapes (..., 10) whose translation is 0, metres; whatever their
        pose, since they turn about it."""
        return self.joints[0] + shape @ self.joint_shape_basis[0].T

    def anatomical(self, pose: Array) -> Array:
        """(..., 48) pose → (..., 16, 3) flexion, abduction and twist of each joint, radians."""
        return (pose.reshape(*pose.shape[:-1], 16, 1, 3) @ self.axes)[..., 0, :]

    def pose_of(self, angles: Array) -> Array:
        """(..., 16, 3) flexion, abduction and twist → (..., 48) pose: the inverse of `anatomical`."""
        return (self.axes @ angles[..., None])[..., 0].reshape(*angles.shape[:-2], 48)

    def _last_row(self, like: Array) -> Array:
        return _constant(np.array([[0, 0, 0, 1]], np.float32), like)

    def _identity(self, like: Array) -> Array:
        return _constant(np.eye(3, dtype=np.float32), like)


def rotation_matrices(vectors: Array) -> Array:
    """Rodrigues' formula: rotation vectors (..., 3), radians → rotation matrices (..., 3, 3)."""
    squared = (vectors * vectors).sum(-1)[..., None, None]
    # The offset keeps the derivative finite at the identity; it moves an angle by less than 1e-8.
    angle = (squared + 1e-16) ** 0.5
    cross = (vectors @ _constant(CROSS, vectors)).reshape(*vectors.shape, 3)
    sine, cosine = (np.sin(angle), np.cos(angle)) if isinstance(angle, np.ndarray) else (angle.sin(), angle.cos())
    identity = _constant(np.eye(3, dtype=np.float32), cross)
    return identity + sine / angle * cross + (1 - cosine) / angle**2 * (cross @ cross)


def mirror_pose(pose: Array) -> Array:
    """The pose (..., 48) of the mirror image of a hand: right ↔ left under x → −x."""
    signs = _constant(np.tile(np.array([1, -1, -1], np.float32), 16), pose)
    return pose * signs


def _along_shape(basis: Array, coefficients: Array) -> Array:
    points, dimensions, count = basis.shape
    flat = basis.reshape(points * dimensions, count)
    return (coefficients @ flat.T).reshape(*coefficients.shape[:-1], points, dimensions)


def _products(matrices: Array, vectors: Array) -> Array:
    """Each matrix (..., 3, 3) times its vector (..., 3)."""
    if isinstance(matrices, np.ndarray):
        return np.einsum('...ij,...j->...i', matrices, vectors)
    return (matrices @ vectors[..., None])[..., 0]


def _stack(arrays: list[Array], axis: int) -> Array:
    if isinstance(arrays[0], np.ndarray) or np.isscalar(arrays[0]):
        return np.stack(arrays, axis)
    import torch

    return torch.stack(arrays, axis)


def _concatenate(arrays: list[Array], axis: int) -> Array:
    if isinstance(arrays[0], np.ndarray):
        return np.concatenate(arrays, axis)
    import torch

    return torch.cat(arrays, axis)


def _constant(values: np.ndarray, like: Array) -> Array:
    if isinstance(like, np.ndarray):
        return values
    import torch

    return torch.as_tensor(values, dtype=like.dtype, device=like.device)
