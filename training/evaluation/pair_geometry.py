# SPDX-License-Identifier: Apache-2.0
"""How far the hands of pairs pass through each other, and which are near each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import parameters_of
from hoi_ros.mesh.closing import close_holes
from hoi_ros.mesh.closing import is_closed
from hoi_ros.mesh.closing import OpenSurfaceError
from hoi_ros.mesh.contact import mutual_gap
from hoi_ros.mesh.volumes import grid_volume

VOXEL = 0.001
"""Edge of a voxel of the penetration volume, metres."""
NEAR = 0.02
"""Distance of the surfaces within which two hands interact, metres: τ of InterHandGen, section 4.4."""
_BATCH = 128


class PairGeometry(NamedTuple):
    """Of N pairs.

    Attributes:
        volume: (N,) volume that both hands fill, mm³.
        depth: (N,) distance from the other hand's surface of the deepest vertex in it, mm; 0 if none is inside.
        gap: (N,) least distance of a vertex of one hand to the other hand, mm; 0 if one is inside.
    """

    volume: np.ndarray
    depth: np.ndarray
    gap: np.ndarray

    def figures(self) -> dict[str, float]:
        """Means, and the share of pairs that are NEAR each other."""
        return {
            'penetration_mm3': float(self.volume.mean()),
            'penetration_mm': float(self.depth.mean()),
            'proximity': float((self.gap < 1e3 * NEAR).mean()),
        }


class PairMeshes:
    """Closed meshes of both hands.

    Args:
        hand: the right hand; the default model if None.

    Raises:
        OpenSurfaceError: the hand has holes that cannot be filled.
    """

    def __init__(self, hand: HandModel | None = None) -> None:
        self.right = hand or HandModel.load()
        self.left = self.right.mirrored()
        self.right_faces, self.left_faces = close_holes(self.right.faces), close_holes(self.left.faces)
        if not is_closed(self.right.template, self.right_faces):
            raise OpenSurfaceError('the hand model is not closed: its volume cannot be measured')

    def vertices(self, right: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, V, 3) of right and left hands (N, 64), metres."""
        return (
            self.right.forward(*parameters_of(self.right, right)).vertices,
            self.left.forward(*parameters_of(self.left, left)).vertices,
        )

    def geometry(self, right: np.ndarray, left: np.ndarray) -> PairGeometry:
        """Measures pairs of hands (N, 64).

        Raises:
            ValueError: a number of a hand is not finite.
        """
        found = []
        for start in range(0, len(right), _BATCH):
            meshes = self.vertices(right[start : start + _BATCH], left[start : start + _BATCH])
            found += [self.measured(*pair) for pair in zip(*meshes)]
        return PairGeometry(*(1.0 * np.array(found).T))

    def measured(self, right: np.ndarray, left: np.ndarray) -> tuple[float, float, float]:
        """Volume, depth and gap as of `PairGeometry` of one pair of vertices (V, 3), metres.

        Raises:
            ValueError: a vertex is not finite.
        """
        if not (np.isfinite(right).all() and np.isfinite(left).all()):
            raise ValueError('a hand has vertices that are not finite: it has no volume')
        volume = grid_volume(right, self.right_faces, left, self.left_faces, VOXEL)
        signed = mutual_gap(right, self.right_faces, left, self.left_faces)
        return 1e9 * volume, 1e3 * max(-signed, 0), 1e3 * max(signed, 0)
