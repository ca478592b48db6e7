# SPDX-License-Identifier: Apache-2.0
"""A triangle mesh to measure on: distances, inside, contact, samples."""

from __future__ import annotations

import functools

import numpy as np

from hoi_ros.mesh.closing import is_closed
from hoi_ros.mesh.closing import OpenSurfaceError
from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.normals import face_normals
from hoi_ros.mesh.raycast import TriangleScene

_RAYS = np.array([[0.439, 0.618, 0.652], [-0.712, 0.310, 0.630], [0.234, -0.811, 0.536]])
"""Directions of the inside test; oblique, so that no ray runs along an axis-parallel face or edge."""


class Surface:
    """A triangle mesh; queries load Open3D.

    Args:
        vertices: (V, 3) metres.
        faces: (F, 3) vertex indices.

    Raises:
        ValueError: an array has another shape, a vertex is not finite, or a face refers to a missing vertex.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self.vertices, self.faces = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
        for name, array in (('vertices', self.vertices), ('faces', self.faces)):
            if array.ndim != 2 or array.shape[1] != 3 or len(array) == 0:
                raise ValueError(f'{name} have shape {array.shape}, expected (N, 3) with at least one row')
        if not np.isfinite(self.vertices).all():
            bad = int((~np.isfinite(self.vertices).all(1)).sum())
            raise ValueError(f'{bad} of {len(self.vertices)} vertices are not finite: count the sample as a failure')
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise ValueError(
                f'faces name vertices {self.faces.min()} to {self.faces.max()}, expected 0 to {len(self.vertices) - 1}'
            )

    @functools.cached_property
    def closed(self) -> bool:
        """Whether the mesh has an inside, see `is_closed`."""
        return is_closed(self.vertices, self.faces)

    def check_closed(self) -> None:
        """Raises an OpenSurfaceError if the mesh has no inside."""
        if not self.closed:
            raise OpenSurfaceError(
                f'a mesh of {len(self.faces)} triangles has no inside: close its holes '
                '(`close_holes`) and turn its triangles the same way'
            )

    def distances(self, points: np.ndarray) -> np.ndarray:
        """(N,) unsigned distances of points (N, 3) to the surface, metres."""
        return self._scene.distances(self._local(points)).astype(np.float64)

    def contains(self, points: np.ndarray) -> np.ndarray:
        """(N,) whether points (N, 3) are inside: the surface winds around them at least once.

        Parts where the mesh overlaps itself, such as the fingers of a fist or the folds of an icosphere, count as
        inside; an odd-even count of crossings would exclude them.

        Raises:
            OpenSurfaceError: the mesh is not closed.
        """
        self.check_closed()
        points = np.asarray(points, np.float64)
        near = ((points >= self.vertices.min(0)) & (points <= self.vertices.max(0))).all(1)
        if not near.any():  # Open3D crashes without rays
            return near
        local = self._local(points[near])
        origins, directions = np.tile(local, (len(_RAYS), 1)), np.repeat(_RAYS, len(local), 0).astype(np.float32)
        ray, triangle = self._scene.crossings(origins, directions)
        along = (self._normals[triangle] * directions[ray]).sum(1)
        winding = np.bincount(ray, np.sign(along), minlength=len(origins)).reshape(len(_RAYS), len(local))
        # A ray that meets an edge may be wrong: the median of the three is not.
        near[near] = np.median(winding, 0) != 0
        return near

    def touches(self, points: np.ndarray, within: float = TOUCHING) -> bool | None:
        """Whether one of points (N, 3) is inside or within a distance (≤, metres) of the surface.

        Returns:
            None if no point is that near and the mesh is not closed: points may be inside or not.
        """
        if (self.distances(points) <= within).any():
            return True
        return bool(self.contains(points).any()) if self.closed else None

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """(count, 3) points, uniform over the area; uniform over the triangles if all of them have no area."""
        corners = self.vertices[self.faces]
        areas = np.linalg.norm(self._normals, axis=1)
        chosen = corners[rng.choice(len(corners), count, p=areas / areas.sum() if areas.sum() > 0 else None)]
        along, across = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
        return (1 - along) * chosen[:, 0] + along * ((1 - across) * chosen[:, 1] + across * chosen[:, 2])

    @functools.cached_property
    def _normals(self) -> np.ndarray:
        return face_normals(self.vertices, self.faces)

    @functools.cached_property
    def _centre(self) -> np.ndarray:
        return self.vertices.mean(0)

    @functools.cached_property
    def _scene(self) -> TriangleScene:
        return TriangleScene(self._local(self.vertices), self.faces)

    def _local(self, points: np.ndarray) -> np.ndarray:
        """Points about the mesh's mean, float32: single precision is finest near 0."""
        return (np.asarray(points, np.float64) - self._centre).astype(np.float32)
