# SPDX-License-Identifier: Apache-2.0
"""Depth images of triangle meshes, by Open3D's ray casting (Embree) on the CPU."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hoi_ros.camera.pinhole import Pinhole


class RayHits(NamedTuple):
    """What each pixel sees: depth (H, W) z in metres, 0 where nothing; triangles (H, W) int, −1 where nothing;
    normals (H, W, 3) of the triangles, unit length; shares (H, W, 2) of the triangle's second and third corner in the
    place that is seen."""

    depth: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray
    shares: np.ndarray


class Raycaster:
    """A set of triangles that cameras look at.

    Args:
        vertices: (V, 3) metres in the camera's optical frame.
        faces: (F, 3) vertex indices.
        threads: of the ray casting; 0 takes all cores.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, threads: int = 1) -> None:
        import open3d  # loaded here: it takes a second, and only simulation needs it

        self._tensor = open3d.core.Tensor
        self._threads = threads
        self._scene = open3d.t.geometry.RaycastingScene(nthreads=threads)
        self._scene.add_triangles(
            self._tensor(np.ascontiguousarray(vertices, np.float32)),
            self._tensor(np.ascontiguousarray(faces, np.uint32)),
        )

    def look(self, camera: Pinhole) -> RayHits:
        """One ray through each pixel's centre."""
        rays = np.zeros((camera.height, camera.width, 6), np.float32)
        # A direction with z = 1 makes the hit's parameter the depth itself.
        rays[..., 3] = ((np.arange(camera.width) - camera.cx) / camera.fx)[None, :]
        rays[..., 4] = ((np.arange(camera.height) - camera.cy) / camera.fy)[:, None]
        rays[..., 5] = 1
        hits = self._scene.cast_rays(self._tensor(rays), nthreads=self._threads)
        depth = hits['t_hit'].numpy()
        hit = np.isfinite(depth)
        triangles = np.where(hit, hits['primitive_ids'].numpy().astype(np.int64), -1)
        return RayHits(
            np.where(hit, depth, 0), triangles, hits['primitive_normals'].numpy(), hits['primitive_uvs'].numpy()
        )
