# SPDX-License-Identifier: Apache-2.0
"""Reads meshes of objects: OBJ, PLY, STL and GLB files, in metres."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from hoi_ros.mesh.mending import mended
from hoi_ros.mesh.mending import MendedMesh
from hoi_ros.mesh.mending import welded

SUFFIXES = '.obj', '.ply', '.stl', '.glb', '.gltf', '.off'
SMALLEST, LARGEST = 0.005, 1.5
"""Diagonals of the bounding box of objects that a hand holds, metres. Millimetres exceed them."""
MOST_FACES = 40_000
"""Meshes of more triangles are decimated to this number: edges of 1 to 2 mm on an object of 20 cm."""
_FLIP = np.array([-1, 1, 1])


class ObjectFileError(ValueError):
    """A file that holds no usable mesh."""


def read_object(path: Path, mirrored: bool = False) -> MendedMesh:
    """Reads a mesh, decimates and mends it. Loads trimesh, and Open3D for a huge mesh.

    Args:
        path: of the file.
        mirrored: whether to return the mirror image, x → −x, of what the file holds: exactly what the mirror image of
            the file gives.

    Raises:
        ObjectFileError: the file is missing or unreadable, or its mesh is empty, not finite, without area, or not
            within the sizes of objects in metres.
    """
    vertices, faces = _triangles(path)
    if not len(vertices) or not len(faces):
        raise ObjectFileError(f'{path}: {len(vertices)} vertices and {len(faces)} triangles, expected a triangle mesh')
    if not np.isfinite(vertices).all():
        bad = int((~np.isfinite(vertices).all(1)).sum())
        raise ObjectFileError(f'{path}: {bad} of {len(vertices)} vertices are not finite')
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ObjectFileError(f'{path}: triangles name vertices up to {faces.max()}, there are {len(vertices)}')
    used = vertices[np.unique(faces)]
    diagonal = float(np.linalg.norm(np.ptp(used, axis=0)))
    if diagonal > LARGEST:
        raise ObjectFileError(
            f'{path}: the object measures {diagonal:.4g} m across, expected at most {LARGEST:g} m: '
            'it seems to be in millimetres; give the mesh in metres'
        )
    if diagonal < SMALLEST:
        raise ObjectFileError(f'{path}: the object measures {diagonal:.2g} m across, expected at least {SMALLEST:g} m')
    if mirrored:
        vertices, faces = vertices * _FLIP, faces[:, ::-1]
    notes = []
    if len(faces) > MOST_FACES:
        notes.append(f'the mesh of {len(faces)} triangles was decimated to {MOST_FACES}')
        vertices, faces = _decimated(*welded(vertices, faces))
    try:
        mesh = mended(vertices, faces)
    except ValueError as error:
        raise ObjectFileError(f'{path}: {error}') from error
    return dataclasses.replace(mesh, notes=(*notes, *mesh.notes))


def _triangles(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) vertices and (F, 3) faces of a file; the meshes of a scene are joined where they stand."""
    import trimesh  # imported here: no robot needs it

    if not path.is_file():
        raise ObjectFileError(f'{path}: there is no such file')
    if path.suffix.lower() not in SUFFIXES:
        raise ObjectFileError(f'{path}: the suffix is {path.suffix!r}, expected {", ".join(SUFFIXES)}')
    try:
        mesh: Any = trimesh.load(path, process=False, force='mesh', skip_materials=True)
        return np.asarray(mesh.vertices, float).reshape(-1, 3), np.asarray(mesh.faces, np.int64).reshape(-1, 3)
    except Exception as error:  # a damaged file raises whatever its parser meets
        raise ObjectFileError(f'{path}: it cannot be read as {path.suffix[1:].upper()} ({error})') from error


def _decimated(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A mesh with `MOST_FACES` triangles (Garland and Heckbert 1997)."""
    import open3d  # imported here: it takes a second

    mesh: Any = open3d.geometry.TriangleMesh(
        open3d.utility.Vector3dVector(vertices), open3d.utility.Vector3iVector(faces.astype(np.int32))
    )
    mesh = mesh.simplify_quadric_decimation(MOST_FACES)
    return np.asarray(mesh.vertices), np.asarray(mesh.triangles, np.int64)
