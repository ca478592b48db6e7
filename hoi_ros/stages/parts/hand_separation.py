# SPDX-License-Identifier: Apache-2.0
"""Moves hands out of other hands: the anti-penetration guidance of InterHandGen (Lee et al., CVPR 2024, section 3.4).

A vertex of the moving hand penetrates where it lies behind the normal of the nearest vertex of the other hand (equation
8); its depth is that along the normal. The paper descends the gradient of the squared depths (equation 7) in its own
numbers, 4 times its length in the last step. That length depends on the number of vertices and on the units. Here the
step is that of Gauss and Newton in whitened numbers: the least change, in standard deviations of the training data,
that takes the vertices out to first order. The paper's weight of 4 takes it whole.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from hoi_ros.hand.model import HandModel
from hoi_ros.hand.pair import mirrored
from hoi_ros.hand.pair_surface import PairSurface
from hoi_ros.hand.pair_surface import PosedPoints
from hoi_ros.hand.pair_surface import spread_vertices
from hoi_ros.mesh.normals import vertex_normals

_MIRROR = np.array([-1, 1, 1], np.float32)


class HandSurfaces(NamedTuple):
    """Hands that stay, (B, V, 3) float32 each: vertices in metres and unit normals, outwards."""

    vertices: np.ndarray
    normals: np.ndarray


class Penetration(NamedTuple):
    """What penetrates, the deepest first, P a hand; where there are fewer, the rest has depth 0.

    Attributes:
        which: (B, P) vertices, numbers among the points of the moving hands.
        nearest: (B, P) the vertex of the other hand that each is nearest to.
        depths: (B, P) float32 metres.
        normals: (B, P, 3) float32, of the nearest vertices.
    """

    which: np.ndarray
    nearest: np.ndarray
    depths: np.ndarray
    normals: np.ndarray


@dataclasses.dataclass(frozen=True)
class SeparationConfig:
    """How hands are moved out of each other. Lengths in metres."""

    vertices: int = 400
    """Vertices of the moving hand that are looked at, spread over it."""
    deepest: int = 48
    """Most of them that push at a time."""
    reach: float = 0.025
    """A vertex farther than this from the nearest one of the other hand is behind that one's normal without being
    inside: at the rim of a hand, and beyond it."""
    margin: float = 0.0005
    """Distance at which vertices come to lie outside."""
    tolerance: float = 0.002
    """Depth that weighs as much as a change of the hand by one standard deviation."""


class HandSeparation:
    """Takes right hands out of left ones.

    Args:
        hand: the right hand model.
        config: of the step.
    """

    def __init__(self, hand: HandModel, config: SeparationConfig | None = None) -> None:
        self.config = config = config or SeparationConfig()
        self._surface = PairSurface(hand, spread_vertices(hand, config.vertices))
        self._whole, self._faces = PairSurface(hand), hand.faces

    def staying(self, left: np.ndarray) -> HandSurfaces:
        """The surfaces of left hands (B, 64)."""
        vertices = self._whole.posed(mirrored(left)).points[:, : self._whole.vertices]
        normals = np.stack([vertex_normals(each, self._faces) for each in vertices]).astype(np.float32)
        return HandSurfaces(vertices * _MIRROR, normals * _MIRROR)

    def penetrating(self, right: np.ndarray, other: HandSurfaces) -> Penetration:
        """What of right hands (B, 64) is inside left hands of the same frame."""
        return penetration(self._surface.posed(right), other, self.config, self._surface.vertices)

    def step(self, right: np.ndarray, other: HandSurfaces, deviation: np.ndarray, share: float) -> np.ndarray:
        """(B, 64) by how much right hands are to be moved, in standard deviations; 0 where nothing penetrates.

        Args:
            right: (B, 64) their vectors.
            other: the left hands in the same frame.
            deviation: (64,) of the numbers in the training data.
            share: of the way out, 0 to 1.
        """
        posed = self._surface.posed(right)
        found = penetration(posed, other, self.config, self._surface.vertices)
        moved = np.zeros(right.shape, np.float32)
        touched = np.flatnonzero(found.depths[:, 0] > 0)
        if len(touched):
            some = PosedPoints(*(part[touched] for part in posed))
            found = Penetration(*(part[touched] for part in found))
            rows = self._surface.rows(some, found.which, found.normals) * deviation.astype(np.float32)
            moved[touched] = share * way_out(rows, found.depths, self.config)
        return moved


def way_out(rows: np.ndarray, depths: np.ndarray, config: SeparationConfig) -> np.ndarray:
    """(B, 64) the least change, in standard deviations, that takes vertices out.

    Args:
        rows: (B, P, 64) how far a standard deviation of each number moves them along the normals, metres.
        depths: (B, P) metres; 0 where a row does not count.
        config: of the step.
    """
    counted = depths > 0
    rows = rows * counted[..., None]
    wanted = np.where(counted, depths + config.margin, 0)
    normal = rows @ rows.swapaxes(1, 2)
    normal[:, np.arange(rows.shape[1]), np.arange(rows.shape[1])] += config.tolerance**2
    pulls = np.linalg.solve(normal, wanted[..., None])
    return (rows.swapaxes(1, 2) @ pulls)[..., 0]


def penetration(posed: PosedPoints, other: HandSurfaces, config: SeparationConfig, vertices: int) -> Penetration:
    """The vertices of hands that are inside others.

    Args:
        posed: the hands.
        other: the others.
        config: reach and number.
        vertices: the first so many of the points are vertices.
    """
    count, most = len(posed.points), config.deepest
    result = Penetration(
        np.zeros((count, most), int),
        np.zeros((count, most), int),
        np.zeros((count, most), np.float32),
        np.zeros((count, most, 3), np.float32),
    )
    for hand in range(count):
        points, targets = posed.points[hand, :vertices], other.vertices[hand]
        near = np.flatnonzero(((points > targets.min(0)) & (points < targets.max(0))).all(1))
        if not len(near):
            continue
        points = points[near]
        low, high = points.min(0) - config.reach, points.max(0) + config.reach
        beside = np.flatnonzero(((targets > low) & (targets < high)).all(1))
        if not len(beside):
            continue
        nearest = beside[_nearest(points, targets[beside])]
        offsets, normals = points - targets[nearest], other.normals[hand][nearest]
        depths = -(offsets * normals).sum(1)
        inside = np.flatnonzero((depths > 0) & ((offsets * offsets).sum(1) < config.reach**2))
        inside = inside[np.argsort(-depths[inside], kind='stable')[:most]]
        for part, values in zip(result, (near, nearest, depths, normals), strict=True):
            part[hand, : len(inside)] = values[inside]
    return result


def _nearest(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N,) the nearest of targets (M, 3) to points (N, 3): |p − t|² − |p|² = |t|² − 2 p·t, as one product."""
    factors = np.concatenate([-2 * points, np.ones((len(points), 1), np.float32)], 1)
    terms = np.concatenate([targets, (targets * targets).sum(1, keepdims=True)], 1)
    return (factors @ terms.T).argmin(1)
