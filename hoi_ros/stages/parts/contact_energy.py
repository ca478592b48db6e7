# SPDX-License-Identifier: Apache-2.0
"""The energy of a grasp against a target contact: capsule contact and penetration.

After Grady et al., "ContactOpt: Optimizing Contact to Improve Grasps" (CVPR 2021). Every hand vertex and every object
point stands for a small disc of its surface, so that the energy does not depend on how finely a surface is sampled.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from scipy.spatial import cKDTree

from hoi_ros.hand.model import HandModel
from hoi_ros.mesh.nearest import nearest_points
from hoi_ros.mesh.normals import face_normals

RADIUS = 0.001
"""Radius of the capsules, metres: full contact within it, and contact falls as 1 / distance beyond."""
_ABOVE, _BELOW = 0.0005, 0.001
"""Ends of a capsule above and below the surface, along its normal, metres."""
_MISSING = 3.0
"""Weight of missing contact; surplus contact has weight 1."""
_TOLERANCE = 0.002
"""Penetration that costs nothing, metres: flesh gives."""
_LARGEST_DISC = 0.004
"""Largest radius of a disc, metres."""
NEIGHBOURS = 7
"""Points, the point itself among them, whose median is a point's contact where points are paired."""
_FAR = 0.05
"""Metres beyond which contact counts as 0."""


@dataclasses.dataclass(frozen=True)
class ObjectSurfacePoints:
    """Points on an object's surface, metres, any frame.

    Raises:
        ValueError: an array has another shape, holds numbers that are not finite, or no normal has a length.
    """

    points: np.ndarray
    """(N, 3)."""
    normals: np.ndarray
    """(N, 3) outward; a normal shorter than half a unit is taken as unknown, and its point left out."""

    def __post_init__(self) -> None:
        for name, array in (('points', self.points), ('normals', self.normals)):
            if array.ndim != 2 or array.shape[1] != 3 or len(array) == 0:
                raise ValueError(f'{name} of the object have shape {array.shape}, expected (N, 3) with N ≥ 1')
            if not np.isfinite(array).all():
                bad = int((~np.isfinite(array).all(1)).sum())
                raise ValueError(f'{bad} of {len(array)} {name} of the object are not finite: leave this object out')
        if len(self.points) != len(self.normals):
            raise ValueError(f'the object has {len(self.points)} points and {len(self.normals)} normals')
        if not self.has_normal.any():
            raise ValueError('no point of the object has a normal of unit length: its triangles have no area')

    @functools.cached_property
    def tree(self) -> cKDTree:
        """Of the points."""
        return cKDTree(self.points)

    @property
    def has_normal(self) -> np.ndarray:
        """(N,) whether the point's normal is known."""
        return (self.normals**2).sum(1) > 0.25


@dataclasses.dataclass(frozen=True)
class EnergyWeights:
    """Weights of the terms. Each term is a mean over the points of its surface."""

    hand: float = 2.5
    """Of the hand's contact; the object's has weight 1."""
    penetration: float = 320.0
    """Of penetration, per metre."""
    nearness: float = 0.02
    """Of the logarithm of one plus the wrist's squared move, in standard deviations of the prior."""


class GraspEnergy:
    """Measures grasps of one object against one target contact.

    The energy is the sum of
    - the mean over the object's points of w |c − target|, with c the capsule contact and w = 3 where c is too low;
    - the same mean over the hand's vertices, weighted;
    - the mean penetration beyond 2 mm of the hand's vertices in the object and of the object's points in the hand,
      weighted.

    Attributes:
        points, normals: (N, 3) of the object, those with a normal.
        tree: the KD-tree of the points.
        neighbours: (N, K) each point and those nearest to it.
        disc: radius of the object's discs.

    Args:
        hand_discs: of `discs_of_vertices`.
        surface: of the object.
        hand_contact, object_contact: the target.
    """

    def __init__(
        self,
        hand_discs: np.ndarray,
        surface: ObjectSurfacePoints,
        hand_contact: np.ndarray,
        object_contact: np.ndarray,
        weights: EnergyWeights,
    ) -> None:
        known = surface.has_normal
        self.points = surface.points[known].astype(float)
        normals = surface.normals[known].astype(float)
        self.normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        self.hand_contact, self.object_contact = hand_contact.astype(float), object_contact[known].astype(float)
        self.tree = surface.tree if known.all() else cKDTree(self.points)
        distances, neighbours = self.tree.query(self.points, min(NEIGHBOURS, len(self.points)))
        self.neighbours = neighbours.reshape(len(self.points), -1)
        # Random points of one density have a neighbour at half the mean spacing of a grid of that density.
        spacing = distances.reshape(len(self.points), -1)[:, :2][:, -1]
        self.disc = min(float(np.median(spacing)), _LARGEST_DISC)
        self.hand_discs = hand_discs
        self._weights = weights

    def __call__(self, vertices: np.ndarray, normals: np.ndarray) -> float:
        """The energy of a hand.

        Args:
            vertices: (V, 3) metres, in the object's frame.
            normals: (V, 3) unit.
        """
        contact, deep = self._felt(vertices, normals, self.points, self.normals, self.disc)
        hand = _missed(contact, self.hand_contact)
        inside = deep.mean()
        contact, deep = self._felt(self.points, self.normals, vertices, normals, self.hand_discs)
        inside += deep.mean()
        touched = _missed(contact, self.object_contact)
        return float(touched + self._weights.hand * hand + self._weights.penetration * inside)

    @staticmethod
    def _felt(
        points: np.ndarray,
        normals: np.ndarray,
        others: np.ndarray,
        other_normals: np.ndarray,
        discs: np.ndarray | float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N,) contact that points feel from another surface, and (N,) their depth in it beyond what flesh gives."""
        contact, deep = np.zeros(len(points)), np.zeros(len(points))
        nearest = nearest_points(points, others)
        offsets = others[nearest] - points
        near = np.flatnonzero((offsets * offsets).sum(1) < _FAR**2)
        offsets, nearest = offsets[near], nearest[near]
        disc = discs[nearest] if isinstance(discs, np.ndarray) else discs
        contact[near] = capsule_contact(offsets, normals[near], disc)
        inside = (offsets * other_normals[nearest]).sum(1)
        deep[near] = np.maximum(inside - _TOLERANCE, 0)
        return contact, deep


def discs_of_vertices(model: HandModel) -> np.ndarray:
    """(V,) radii of the discs that the vertices of a hand model stand for, metres."""
    area = np.linalg.norm(face_normals(model.template.astype(float), model.faces), axis=1) / 6
    shares = np.bincount(model.faces.ravel(), np.repeat(area, 3), len(model.template))
    return np.minimum(np.sqrt(shares / np.pi), _LARGEST_DISC)


def capsule_contact(offsets: np.ndarray, normals: np.ndarray, discs: np.ndarray | float) -> np.ndarray:
    """(N,) contact, 0 to 1, of points with unit normals (N, 3), from the offsets (N, 3) to the nearest points of
    another surface and the radii of the discs there, metres: 1 within RADIUS of the capsule's axis, RADIUS / distance
    beyond."""
    along = (offsets * normals).sum(1)
    aside = np.sqrt(np.maximum((offsets * offsets).sum(1) - along * along, 0))
    outside = np.maximum(np.maximum(along - _ABOVE, -_BELOW - along), 0)
    distance = np.hypot(outside, np.maximum(aside - discs, 0))
    return RADIUS / np.maximum(distance, RADIUS)


def _missed(contact: np.ndarray, target: np.ndarray) -> float:
    missing = target - contact
    return float(np.where(missing > 0, _MISSING * missing, -missing).mean())
