# SPDX-License-Identifier: Apache-2.0
"""Scanned household objects (YCB: Calli et al., "The YCB Object and Model Set", ICAR 2015), for hands to hold.

A folder holds one folder an object: `mesh.obj` in metres, with texture coordinates, and `texture.jpg`. Twelve objects
are held out; the others are for training and validation. Parts that do not belong to the largest closed surface are
left out, and objects without one, too: grasps need an inside.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from pathlib import Path

import numpy as np
import trimesh

from hoi_ros.mesh.raycast import TriangleScene
from training.data.hand_object import Texture
from training.data.synthetic.objects import ObjectShape

HELD_OUT = (
    'apple',
    'bleach_cleanser',
    'f_cups',
    'gelatin_box',
    'hammer',
    'large_marker',
    'mustard_bottle',
    'potted_meat_can',
    'rubiks_cube',
    'spoon',
    'tennis_ball',
    'tomato_soup_can',
)
"""Objects that only the split 'held_out' shows."""
_SYMMETRIC = 0.003
"""Mirror images deviate at most this far from symmetric objects, metres."""
_LARGEST = 0.35
"""Objects of a longer side are not held by one hand, metres."""


@dataclasses.dataclass(frozen=True)
class ScannedObjects:
    """The objects of a split.

    Args:
        folder: of the objects.
        split: 'held_out' shows HELD_OUT, every other split the rest.
        share: of these objects among all that hands hold.

    Raises:
        FileNotFoundError: the folder holds none of them.
    """

    folder: Path
    split: str
    share: float = 0.5

    def __post_init__(self) -> None:
        if not self.names:
            raise FileNotFoundError(
                f'{self.folder}: no NAME/mesh.obj for the split {self.split}: name the folder objects'
            )

    @functools.cached_property
    def names(self) -> list[str]:
        """Of the objects, in order."""
        found = sorted(path.parent.name for path in self.folder.glob('*/mesh.obj'))
        return [name for name in found if (name in HELD_OUT) == (self.split == 'held_out')]

    @property
    def meshes(self) -> list[Path]:
        """Their files."""
        return [self.folder / name / 'mesh.obj' for name in self.names]

    @staticmethod
    def key(folder: Path | None) -> str:
        """What samples with these objects depend on: the names and sizes of the files; '' without a folder."""
        if folder is None:
            return ''
        paths = [path for name in ('mesh.obj', 'texture.jpg') for path in sorted(folder.glob(f'*/{name}'))]
        files = ''.join(f'{path.parent.name} {path.stat().st_size}\n' for path in paths)
        return f'scans {hashlib.sha256(files.encode()).hexdigest()[:16]}, '

    def draw(self, rng: np.random.Generator) -> ObjectShape:
        """A random object that a hand can hold."""
        for _ in range(200):
            shape = scanned(self.folder / self.names[rng.integers(len(self.names))])
            if shape is not None:
                return shape
        raise ValueError(f'{self.folder}: none of {len(self.names)} objects has a closed surface')


def scanned_objects(folder: Path | None, split: str) -> ScannedObjects | None:
    """The objects of a split; None without a folder."""
    return ScannedObjects(folder, split) if folder else None


@functools.lru_cache(maxsize=128)
def scanned(folder: Path) -> ObjectShape | None:
    """An object, its origin in the middle of its bounding box; None without a closed surface or if it is too large.

    Args:
        folder: with mesh.obj and texture.jpg.
    """
    mesh = trimesh.load(folder / 'mesh.obj', process=False, force='mesh')
    vertices, number = np.unique(np.round(mesh.vertices, 7), axis=0, return_inverse=True)
    number = number.ravel()
    faces = number[mesh.faces]
    whole = trimesh.Trimesh(vertices, faces, process=False)
    parts = trimesh.graph.connected_components(whole.face_adjacency, nodes=np.arange(len(faces)))
    kept = np.sort(max(parts, key=len))
    solid = trimesh.Trimesh(vertices, faces[kept], process=False)
    used, compact = np.unique(solid.faces, return_inverse=True)
    solid = trimesh.Trimesh(vertices[used], compact.reshape(-1, 3), process=False)
    if not solid.is_watertight or solid.volume <= 0 or solid.extents.max() > _LARGEST:
        return None
    middle = solid.bounds.mean(0)
    corners, own = np.unique(mesh.faces[kept], return_inverse=True)
    texture = Texture(
        image=folder / 'texture.jpg',
        vertices=np.searchsorted(used, number[corners]).astype(np.int32),
        faces=own.reshape(-1, 3).astype(np.int32),
        places=np.asarray(mesh.visual.uv, np.float32)[corners],
        reflection=_reflection(solid.vertices - middle, solid.faces),
    )
    return ObjectShape(
        f'scan {folder.name}',
        (solid.vertices - middle).astype(np.float32),
        np.asarray(solid.faces, np.int32),
        texture,
    )


def _reflection(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray | None:
    """A reflection (4, 4) that maps a mesh about to itself; None without one.

    The planes that are tried lie in the middle across the axes of the frame, and in the centroid across the principal
    axes.
    """
    corners = vertices[faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    centres = corners.mean(1)
    centroid = np.average(centres, 0, areas)
    principal = np.linalg.eigh(np.cov((centres - centroid).T, aweights=areas))[1].T
    points = centres[np.random.default_rng(0).choice(len(centres), 300, p=areas / areas.sum())]
    scene = TriangleScene(vertices, faces)
    found, least = None, _SYMMETRIC
    for normal, origin in [*((axis, np.zeros(3)) for axis in np.eye(3)), *((axis, centroid) for axis in principal)]:
        reflection = np.eye(4)
        reflection[:3, :3] -= 2 * np.outer(normal, normal)
        reflection[:3, 3] = 2 * (origin @ normal) * normal
        moved = points @ reflection[:3, :3].T + reflection[:3, 3]
        error = np.quantile(np.linalg.norm(moved - scene.nearest(moved)[0], axis=1), 0.95)
        if error < least - 2e-4:  # rounding does not decide between equals
            found, least = reflection, error
    return found
