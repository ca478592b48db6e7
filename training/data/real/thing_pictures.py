# SPDX-License-Identifier: Apache-2.0
"""Pictures of scanned objects alone, for hands in real photos to hold."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from hoi_ros.mesh.raycast import TriangleScene
from training.data.real.scans import scanned
from training.data.real.scans import ScannedObjects
from training.data.synthetic.colour import encoded
from training.data.synthetic.material import SurfacePoints
from training.data.synthetic.pictured import ScannedSurface

_SIZE = 160
"""Pixels of a picture, each way."""
_MARGIN = 4
"""Pixels beside the object."""
_AMBIENT = (0.25, 0.8)
"""Range of the share of the light that comes from everywhere."""
_UPRIGHT = 0.35
"""Deviation of a picture's roll from the object's longest axis, radians."""


def thing(objects: ScannedObjects, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random scanned object as a distant camera sees it, its longest axis about upright, lit from one side.

    Returns:
        (S, S, 3) uint8 RGB and (S, S) uint8, 255 where the object is; it fills one of the sides.
    """
    shape = objects.draw(rng)
    turn = Rotation.random(random_state=rng).as_matrix()
    vertices = shape.vertices @ turn.T
    across = np.linalg.svd(vertices[:, :2] - vertices[:, :2].mean(0), full_matrices=False)[2][0]
    roll = math.pi / 2 - math.atan2(across[1], across[0]) + rng.normal(0, _UPRIGHT)
    turn = Rotation.from_euler('z', roll).as_matrix() @ turn
    vertices = shape.vertices @ turn.T
    low, high = vertices.min(0), vertices.max(0)
    spacing = float((high - low)[:2].max()) / (_SIZE - 2 * _MARGIN)
    rows, columns = np.mgrid[:_SIZE, :_SIZE] - (_SIZE - 1) / 2
    middle = (low + high) / 2
    origins = np.stack(
        [middle[0] + spacing * columns, middle[1] + spacing * rows, np.full_like(rows, low[2] - 0.1)], -1
    ).reshape(-1, 3)
    # The scene has the object's own axes.
    hits = _scene(objects.folder / shape.family.removeprefix('scan ')).cast(
        (origins @ turn).astype(np.float32), turn[2].astype(np.float32)
    )
    seen = np.flatnonzero(hits.triangles >= 0)
    normals, weights = hits.normals[seen] @ turn.T, hits.weights[seen]
    normals[normals[:, 2] > 0] *= -1
    surface = ScannedSurface.sample(shape.texture, shape.vertices, rng)
    points = SurfacePoints(
        origins[seen].astype(np.float32),
        hits.triangles[seen],
        weights.astype(np.float32),
        normals.astype(np.float32),
        np.full(len(seen), spacing, np.float32),
    )
    light = rng.normal(size=3)
    light[2] = -abs(light[2])
    ambient, strength = rng.uniform(*_AMBIENT), rng.uniform(0.7, 1.3)
    shading = ambient + (1 - ambient) * np.clip(normals @ light / np.linalg.norm(light), 0, None)
    image, cover = np.zeros((_SIZE**2, 3), np.uint8), np.zeros(_SIZE**2, np.uint8)
    colour = encoded(np.clip(surface.look(points).albedo * (strength * shading)[:, None], 0, 1))
    image[seen], cover[seen] = np.round(255 * colour), 255
    return image.reshape(_SIZE, _SIZE, 3), cv2.GaussianBlur(cover.reshape(_SIZE, _SIZE), (0, 0), 0.7)


@functools.lru_cache(maxsize=128)
def _scene(folder: Path) -> TriangleScene:
    shape = scanned(folder)
    return TriangleScene(shape.vertices, shape.faces)
