# SPDX-License-Identifier: Apache-2.0
"""An object to grasp: its surface, its distance field, and the tunnels in which fingers can hold it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hoi_ros.mesh.force_closure import FRICTION
from hoi_ros.mesh.normals import face_normals
from hoi_ros.mesh.raycast import TriangleScene
from training.data.synthetic.grasps.grips import Grip
from training.data.synthetic.grasps.placement import aligned_frames
from training.data.synthetic.grasps.placement import Tunnels
from training.data.synthetic.objects import ObjectShape

WITHDRAWN = 0.16
"""Distance from the object at which the approach begins, metres."""
CANDIDATES = 24
"""Tunnels of an object in which a hand is tried."""

_TRIALS = 400
"""Tunnels that are tested for room; CANDIDATES of them are kept."""
_CORRIDOR = 0.009
"""Half the thickness of a finger, metres."""
_ANTIPODAL = np.cos(np.arctan(FRICTION))
"""Least cosine between the line of two opposite contacts and the surface normals there."""
_NEAR = 0.006
"""Distance from the object's bounding box beyond which gaps are not measured, metres."""


class Gap(NamedTuple):
    """Signed distances to a surface.

    Attributes:
        distance: (N,) metres, negative inside, infinite where far.
        normals: (N, 3) outward unit normals of the nearest triangles.
    """

    distance: np.ndarray
    normals: np.ndarray


def signed_gap(scene: TriangleScene, points: np.ndarray) -> Gap:
    """Signed distances of points (N, 3) to a closed mesh."""
    nearest, normals = scene.nearest(points)
    distance = np.linalg.norm(points - nearest, axis=1)
    return Gap(np.where(scene.inside(points), -distance, distance), normals)


class HeldObject:
    """An object with random points on its surface.

    Args:
        shape: the object.
        rng: source of the points.
        samples: number of points.
    """

    def __init__(self, shape: ObjectShape, rng: np.random.Generator, samples: int = 800) -> None:
        self.shape = shape
        self.scene = TriangleScene(shape.vertices, shape.faces)
        vertices = shape.vertices.astype(float)
        across = face_normals(vertices, shape.faces)
        area = np.linalg.norm(across, axis=1)
        picked = rng.choice(len(area), samples, p=area / area.sum())
        shares = rng.random((samples, 2))
        shares = np.where(shares.sum(1, keepdims=True) > 1, 1 - shares, shares)
        corners = vertices[shape.faces]
        self.points = corners[picked, 0] + (shares[:, :, None] * (corners[picked, 1:] - corners[picked, :1])).sum(1)
        self.normals = across[picked] / area[picked, None]

    def gap(self, points: np.ndarray) -> Gap:
        """Signed distances of points (N, 3), infinite outside of the object's bounding box and a margin."""
        low, high = self.shape.vertices.min(0) - _NEAR, self.shape.vertices.max(0) + _NEAR
        near = ((points > low) & (points < high)).all(1)
        distance, normals = np.full(len(points), np.inf), np.zeros((len(points), 3))
        if near.any():
            distance[near], normals[near] = signed_gap(self.scene, points[near])
        return Gap(distance, normals)

    def depth_in(self, vertices: np.ndarray, faces: np.ndarray) -> float:
        """Greatest depth of this object's surface inside another closed mesh, metres."""
        surface = np.concatenate([self.points, self.shape.vertices])
        near = surface[((surface > vertices.min(0)) & (surface < vertices.max(0))).all(1)]
        if not len(near):
            return 0.0
        other = TriangleScene(vertices, faces)
        within = near[other.inside(near)]
        return float(-signed_gap(other, within).distance.min()) if len(within) else 0.0

    def tunnels(self, grip: Grip, rng: np.random.Generator) -> Tunnels | None:
        """Samples CANDIDATES tunnels that suit a grip and leave room for thumb and fingers; None if there is none.

        Tunnels near the object's middle are preferred. In a power grip a long object prefers to lie along the palm.
        """
        pairs, widths = self._sides(rng)
        fitting = np.flatnonzero((widths > grip.widths[0]) & (widths < grip.widths[1]))
        if not len(fitting):
            return None
        picked = rng.choice(fitting, _TRIALS)
        pairs, widths = pairs[picked], widths[picked]
        frames = aligned_frames(pairs[:, 1] - pairs[:, 0], rng.standard_normal((_TRIALS, 3)))
        beside = pairs + _CORRIDOR * np.array([[-1], [1]]) * frames[:, None, :, 0]
        room = self.scene.cast(beside, -frames[:, None, :, 1]).reach.min(1)
        free = (room > WITHDRAWN) & ~self.scene.inside(beside).any(1)
        if not free.any():
            return None
        middles = pairs.mean(1)
        spread, axes = np.linalg.eigh(np.cov(self.points.T))
        likely = free * (np.exp(-0.7 * ((middles @ axes) ** 2 / spread).sum(1)) + 0.03)
        if grip.kind == 'power':
            longer = 1 - np.sqrt(spread[1] / spread[2])
            likely *= np.exp(4 * longer * np.abs(frames[:, :, 2] @ axes[:, 2]))
        chosen = rng.choice(_TRIALS, CANDIDATES, p=likely / likely.sum())
        return Tunnels(middles[chosen], widths[chosen], frames[chosen])

    def _sides(self, rng: np.random.Generator, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of opposite points (N, 2, 3) that fingers could press together, and their distances (N,).

        Each pair is a surface point, and the next or the outermost wall along its normal into the object.
        """
        picked = rng.choice(len(self.points), count)
        points, inwards = self.points[picked], -self.normals[picked]
        wall = self.scene.cast(points + 1e-4 * inwards, inwards)
        outer = self.scene.cast(points + inwards, -inwards)
        widths = np.concatenate([wall.reach + 1e-4, 1 - outer.reach])
        points, inwards = np.tile(points, (2, 1)), np.tile(inwards, (2, 1))
        opposite = (np.concatenate([wall.normals, outer.normals]) * inwards).sum(1) > _ANTIPODAL
        # With a single wall both rays hit the same one.
        opposite[count:] &= np.abs(outer.reach + wall.reach - 1) > 1e-3
        points, inwards, widths = points[opposite], inwards[opposite], widths[opposite]
        return np.stack([points, points + widths[:, None] * inwards], 1), widths
