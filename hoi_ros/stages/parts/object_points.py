# SPDX-License-Identifier: Apache-2.0
"""An object as the two-hand prior takes it: even points on its surface, and their groups for the object encoder.

The groups are those of PointNet++ (Qi et al., NeurIPS 2017): centres far from each other, and the nearest points within
a radius of each. They are found here, once an object, so that the network needs neither.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from hoi_ros.mesh.farthest_points import farthest_points
from hoi_ros.mesh.object_files import LARGEST
from hoi_ros.mesh.object_files import SMALLEST
from hoi_ros.mesh.sampling import even_places

COUNT = 512
"""Points of an object."""
UNIT = 0.1
"""Metres in one unit of the encoder's points."""
LEVELS = ((64, 16, 0.4), (16, 16, 0.8))
"""Centres, neighbours and radius of both levels. The radius is a share of the distance of the farthest point from the
centroid: PointNet++ scales objects to the unit sphere, here the points keep their size."""

_BOX = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_BOX_FACES = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5]),
        *([0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6]),
        *([0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ]
)


class ObjectError(ValueError):
    """An object that no hands can be generated for."""


class ObjectPoints(NamedTuple):
    """Points on an object in its own frame: its axes, and the centre of its bounding box in them.

    Attributes:
        points: (512, 3) float32, metres.
        normals: (512, 3) float32 unit normals, outwards where triangles run counter-clockwise from outside.
        origin: (3,) that centre in the frame of the mesh, metres.
    """

    points: np.ndarray
    normals: np.ndarray
    origin: np.ndarray


class Groups(NamedTuple):
    """Groups of the points of a batch of objects, int32; the inputs of the encoder by these names.

    Attributes:
        centres: (B, 64) points that are the centres of the first level.
        neighbours: (B, 64, 16) points around each, the nearest first; the centre again where there are fewer.
        coarse_centres: (B, 16) centres of the second level, of those of the first.
        coarse_neighbours: (B, 16, 16) centres of the first level around each.
    """

    centres: np.ndarray
    neighbours: np.ndarray
    coarse_centres: np.ndarray
    coarse_neighbours: np.ndarray


def object_points_of(vertices: np.ndarray, faces: np.ndarray) -> ObjectPoints:
    """Spreads 512 points evenly over a triangle mesh, which need not be closed.

    Args:
        vertices: (V, 3) metres.
        faces: (F, 3) vertex indices.

    Raises:
        ObjectError: the mesh is empty, not finite, refers to missing vertices, has no area, or is larger or smaller
            than an object that hands hold.
    """
    vertices, faces = np.asarray(vertices), np.asarray(faces)
    origin = checked_centre(vertices, faces)
    try:
        # The order of equal triangles must not depend on where in space the mesh lies.
        places = even_places(np.round(vertices - origin, 6), faces, COUNT)
    except ValueError as error:
        raise ObjectError(f'{error}: give a mesh with a surface') from error
    points = places.points(vertices - origin, faces)
    return ObjectPoints(points.astype(np.float32), places.normals(vertices, faces).astype(np.float32), origin)


def checked_centre(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(3,) centre of the bounding box of a mesh, metres; quick, so that a request can be refused at once.

    Args:
        vertices: (V, 3) metres.
        faces: (F, 3) vertex indices.

    Raises:
        ObjectError: as of `object_points_of`, which also refuses meshes without area.
    """
    for name, array in (('vertices', vertices), ('triangles', faces)):
        if array.ndim != 2 or array.shape[1] != 3 or len(array) == 0:
            raise ObjectError(f'the {name} of the object have shape {array.shape}, expected (N, 3): give a mesh')
    if faces.dtype.kind not in 'iu':
        raise ObjectError(f'the triangles of the object are {faces.dtype}, expected whole numbers: vertex indices')
    for named in (faces.min(), faces.max()):
        if not 0 <= named < len(vertices):
            most = len(vertices) - 1
            raise ObjectError(
                f'a triangle of the object names vertex {named}, expected 0 to {most}: count vertices from 0'
            )
    used = vertices[np.unique(faces)].astype(float)
    if not np.isfinite(used).all():
        bad = int((~np.isfinite(used).all(1)).sum())
        raise ObjectError(f'{bad} of {len(used)} vertices of the object are not finite: repair the mesh')
    low, high = used.min(0), used.max(0)
    _check_size(float(np.linalg.norm(high - low)))
    return (low + high) / 2


def box_mesh(size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (8, 3) and faces (12, 3) of a box about the origin, along the axes.

    Args:
        size: (3,) sides, metres.

    Raises:
        ObjectError: a side is not a number above 0, or the box is larger or smaller than an object that hands hold.
    """
    size = np.asarray(size, float)
    if size.shape != (3,) or not (np.isfinite(size) & (size > 0)).all():
        raise ObjectError(f'the sides of the box are {size.tolist()}, expected three lengths above 0 m')
    _check_size(float(np.linalg.norm(size)))
    return _BOX * size, _BOX_FACES.copy()


def grouped(points: np.ndarray) -> Groups:
    """Groups of the points (B, 512, 3) of a batch of objects, of any unit.

    They do not depend on the order of the points where no two distances are equal. About 2 ms an object.
    """
    points = np.asarray(points, float)
    around = points - points.mean(1, keepdims=True)
    size = np.sqrt((around**2).sum(-1).max(1))
    found: list[np.ndarray] = []
    for count, neighbours, share in LEVELS:
        centres = farthest_points(around, count)
        kept = np.take_along_axis(around, centres[..., None], 1)
        found += [centres, _nearest(around, kept, centres, neighbours, share * size)]
        around = kept
    return Groups(*(part.astype(np.int32) for part in found))


def _check_size(diagonal: float) -> None:
    if diagonal > LARGEST:
        raise ObjectError(
            f'the object measures {diagonal:.4g} m across, expected at most {LARGEST:g} m: it seems to be in '
            'millimetres; give it in metres'
        )
    if diagonal < SMALLEST:
        raise ObjectError(
            f'the object measures {diagonal:.2g} m across, expected at least {SMALLEST:g} m: give it in metres'
        )


def _nearest(
    points: np.ndarray, centres: np.ndarray, numbers: np.ndarray, count: int, radius: np.ndarray
) -> np.ndarray:
    """(B, M, count) the nearest of points (B, N, 3) to centres (B, M, 3) within radii (B,); beyond, the centre's own
    number (B, M)."""
    found = np.empty((*centres.shape[:2], count), np.int64)
    for item, (cloud, asked, limit) in enumerate(zip(points, centres, radius)):
        distance, index = cKDTree(cloud).query(asked, count)
        found[item] = np.where(distance <= limit, index, numbers[item, :, None])
    return found
