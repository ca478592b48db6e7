# SPDX-License-Identifier: Apache-2.0
"""Rays, nearest points and inside tests on triangle meshes, by Open3D (Embree) on the CPU, in single precision."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple

import numpy as np


class RayHits(NamedTuple):
    """The first hit of each ray, for rays of shape (...).

    Attributes:
        reach: (...) how many directions away the hit is, infinite without a hit.
        triangles: (...) int64, −1 without a hit.
        normals: (..., 3) unit normals of the triangles.
        shares: (..., 2) barycentric weights of the triangle's second and third corner.
    """

    reach: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray
    shares: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """(..., 3) barycentric weights of the triangle's three corners."""
        return np.concatenate([1 - self.shares.sum(-1, keepdims=True), self.shares], -1)


class TriangleScene:
    """A set of triangles in Open3D's ray-casting scene.

    Args:
        vertices: (V, 3) metres.
        faces: (F, 3) vertex indices.
        threads: threads of each query; 0 uses all cores.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, threads: int = 1) -> None:
        import open3d  # imported here: it takes a second, and no robot needs it

        self._tensor: Any = open3d.core.Tensor
        self._threads = threads
        self._scene: Any = open3d.t.geometry.RaycastingScene(nthreads=threads)
        self._scene.add_triangles(self._float(vertices), self._unsigned(faces))

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> RayHits:
        """Casts rays from origins along directions, (..., 3) each, broadcast against each other."""
        hits = self._scene.cast_rays(self._rays(origins, directions), nthreads=self._threads)
        reach = hits['t_hit'].numpy()
        triangles = np.where(np.isfinite(reach), hits['primitive_ids'].numpy().astype(np.int64), -1)
        return RayHits(reach, triangles, hits['primitive_normals'].numpy(), hits['primitive_uvs'].numpy())

    def occluded(self, origins: np.ndarray, directions: np.ndarray, near: float, far: float) -> np.ndarray:
        """(...) whether a triangle lies between `near` and `far` times the directions from the origins."""
        rays = self._rays(origins, directions)
        return self._scene.test_occlusions(rays, tnear=near, tfar=far, nthreads=self._threads).numpy()

    def crossings(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All intersections of rays (N, 3) each, of at least one ray: the ray (M,) and the triangle (M,) of each."""
        hits = self._scene.list_intersections(self._rays(origins, directions), nthreads=self._threads)
        return hits['ray_ids'].numpy(), hits['primitive_ids'].numpy()

    def distances(self, points: np.ndarray) -> np.ndarray:
        """(...) unsigned distances of points (..., 3) to the triangles, metres."""
        return self._scene.compute_distance(self._float(points), nthreads=self._threads).numpy()

    def nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nearest points (..., 3) on the triangles to points (..., 3), and the unit normals (..., 3) there."""
        found = self._scene.compute_closest_points(self._float(points), nthreads=self._threads)
        return found['points'].numpy(), found['primitive_normals'].numpy()

    def inside(self, points: np.ndarray) -> np.ndarray:
        """(...) whether points (..., 3) lie inside a closed mesh that does not overlap itself."""
        return self._scene.compute_occupancy(self._float(points), nthreads=self._threads).numpy() > 0.5

    def _rays(self, origins: np.ndarray, directions: np.ndarray) -> Any:
        rays = np.empty((*np.broadcast_shapes(np.shape(origins), np.shape(directions))[:-1], 6), np.float32)
        rays[..., :3], rays[..., 3:] = origins, directions
        return self._tensor(rays)

    def _float(self, array: np.ndarray) -> Any:
        return self._tensor(np.ascontiguousarray(array, np.float32))

    def _unsigned(self, array: np.ndarray) -> Any:
        return self._tensor(np.ascontiguousarray(array, np.uint32))
