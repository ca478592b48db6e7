# SPDX-License-Identifier: Apache-2.0
"""Depth images of triangle meshes, by ray casting on the CPU."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hoi_ros.camera.pinhole import Pinhole
from hoi_ros.mesh.raycast import TriangleScene


class RayHits(NamedTuple):
    """The surface at each pixel.

    Attributes:
        depth: (H, W) z in metres, 0 without a hit.
        triangles: (H, W) int64, −1 without a hit.
        normals: (H, W, 3) unit normals of the triangles.
        shares: (H, W, 2) barycentric weights of the triangle's second and third corner.
    """

    depth: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray
    shares: np.ndarray


class Raycaster:
    """A set of triangles that cameras render.

    Args:
        vertices: (V, 3) metres in the camera's optical frame.
        faces: (F, 3) vertex indices.
        threads: threads of the ray casting; 0 uses all cores.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, threads: int = 1) -> None:
        self.scene = TriangleScene(vertices, faces, threads)

    def look(self, camera: Pinhole) -> RayHits:
        """Casts one ray through each pixel's centre."""
        hits = self.scene.cast(np.zeros(3), pixel_rays(camera))
        return RayHits(np.where(hits.triangles >= 0, hits.reach, 0), hits.triangles, hits.normals, hits.shares)


def pixel_rays(camera: Pinhole) -> np.ndarray:
    """(H, W, 3) float32 directions of the pixels with z = 1: the reach of a hit is its depth."""
    rays = np.ones((camera.height, camera.width, 3), np.float32)
    rays[..., 0] = ((np.arange(camera.width) - camera.cx) / camera.fx)[None, :]
    rays[..., 1] = ((np.arange(camera.height) - camera.cy) / camera.fy)[:, None]
    return rays
