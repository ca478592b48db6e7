# SPDX-License-Identifier: Apache-2.0
"""Measures of meshes that share no code with the generators."""

from collections.abc import Callable

import numpy as np
import pytest

from hoi_ros.mesh.normals import cross

WindingNumbers = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@pytest.fixture(scope='session')
def winding_numbers() -> WindingNumbers:
    """(vertices, faces, points) → (N,) how often the surface winds around each point.

    Solid angles of the triangles (Van Oosterom and Strackee 1983) over 4 pi.
    """

    def measure(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> np.ndarray:
        corners = vertices.astype(float)[None] - points[:, None]
        lengths = np.linalg.norm(corners, axis=-1)
        a, b, c = (corners[:, faces[:, corner]] for corner in range(3))
        la, lb, lc = (lengths[:, faces[:, corner]] for corner in range(3))
        volume = _dot(a, cross(b, c))
        below = la * lb * lc + _dot(a, b) * lc + _dot(b, c) * la + _dot(c, a) * lb
        return 2 * np.arctan2(volume, below).sum(1) / (4 * np.pi)

    return measure


def _dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.einsum('...i,...i', first, second)
