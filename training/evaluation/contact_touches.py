# SPDX-License-Identifier: Apache-2.0
"""What truly touches: by the distance between two surfaces."""

from __future__ import annotations

import numpy as np

from hoi_ros.mesh.contact import TOUCHING
from hoi_ros.mesh.raycast import TriangleScene
from hoi_ros.stages.parts.contact_points import PALM

FEWEST = 2
"""Vertices of a finger that must touch, as of `ContactMeasure`."""


def touching_vertices(hand: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,) bool: vertices (V, 3) of a hand within TOUCHING of a mesh, or inside it.

    Args:
        hand: metres.
        vertices: (M, 3) metres.
        faces: (F, 3) counter-clockwise from outside.
    """
    scene, points = TriangleScene(vertices, faces), hand.astype(np.float32)
    return (scene.distances(points) <= TOUCHING) | scene.inside(points)


def touching_fingers(touching: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """(5,) bool, thumb to little finger: which touch.

    Args:
        touching: (V,) bool of the vertices.
        parts: (V,) of `parts_of_vertices`.
    """
    return np.bincount(parts[touching], minlength=PALM + 1)[:PALM] >= FEWEST
