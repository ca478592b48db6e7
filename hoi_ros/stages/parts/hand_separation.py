# SPDX-License-Identifier: Apache-2.0
"""Moves hands out of other hands: the anti-penetration guidance of InterHandGen (Lee et al., CVPR 2024, section 3.4).

A vertex of one hand penetrates where it lies behind the normal of the nearest vertex of the other hand (equation 8);
its depth is that along the normal. Both hands' vertices are looked at, since a fingertip fits between the vertices of a
palm. The paper descends the gradient of the squared depths (equation 7) in its own numbers, 4 times its length in the
last step. That length depends on the number of vertices and on the units. Here the step is that of Gauss and Newton in
whitened numbers: the least change, in standard deviations of the training data, that takes the vertices out to first
order. The paper's weight of 4 takes it whole. The shape stays, which says who the person is and not where the hand is.
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

_MIRROR = np.array([-1, 1, 1], np.float32)


class HandSurfaces(NamedTuple):
    """Hands, (B, V, 3) float32 each: vertices in metres and their normals, outwards."""

    vertices: np.ndarray
    normals: np.ndarray


class Penetration(NamedTuple):
    """What of B hands and others is inside each other, the deepest first; with fewer than P vertices, the rest has
    depth 0.

    Attributes:
        own: (B, P) a vertex of the hand.
        other: (B, P) one of the other hand, of the two the nearest to the one that is inside.
        directions: (B, P, 3) float32, in which the hand has to go.
        depths: (B, P) float32 metres, along that direction.
        ways: (B, 3) float32 directions in which the hands are pushed as a whole, not normalised; unchanged where
            nothing penetrates.
    """

    own: np.ndarray
    other: np.ndarray
    directions: np.ndarray
    depths: np.ndarray
    ways: np.ndarray


@dataclasses.dataclass(frozen=True)
class SeparationConfig:
    """How hands are moved out of each other. Lengths in metres."""

    vertices: int = 400
    """Vertices of each hand that are looked at, spread over it."""
    deepest: int = 48
    """Most of them that push at a time."""
    reach: float = 0.025
    """A vertex farther than this from the nearest one of the other hand is behind that one's normal without being
    inside: at the rim of a hand, and beyond it."""
    margin: float = 0.001
    """Distance at which vertices come to lie outside."""
    tolerance: float = 0.004
    """Depth that weighs as much as a change of the hand by one standard deviation."""
    largest: float = 2.0
    """A step changes no number by more than this, in standard deviations."""


class HandSeparation:
    """Takes right hands out of left ones.

    Args:
        hand: the right hand model.
        config: of the step.
    """

    def __init__(self, hand: HandModel, config: SeparationConfig | None = None) -> None:
        self.config = config = config or SeparationConfig()
        self.surface = PairSurface(hand)
        self._looked_at = spread_vertices(hand, config.vertices)

    def left(self, left: np.ndarray) -> HandSurfaces:
        """The surfaces of left hands (B, 64)."""
        surfaces = self.surfaces(self.surface.posed(mirrored(left)))
        return HandSurfaces(surfaces.vertices * _MIRROR, surfaces.normals * _MIRROR)

    def surfaces(self, posed: PosedPoints) -> HandSurfaces:
        """The surfaces of posed right hands."""
        return HandSurfaces(posed.points[:, : self.surface.vertices], posed.normals)

    def step(
        self,
        right: np.ndarray,
        left: HandSurfaces,
        deviation: np.ndarray,
        share: float,
        ways: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(B, 64) by how much right hands are to be moved, in standard deviations, 0 where nothing penetrates; and
        (B, 3) the directions in which they are pushed, which are an argument of the next step.

        Args:
            right: (B, 64) their vectors.
            left: the left hands in the same frame.
            deviation: (64,) of the numbers in the training data.
            share: of the way out, 0 to 1.
            ways: (B, 3) of the step before; none or 0 for the first step.
        """
        posed = self.surface.posed(right)
        found = self.penetration(self.surfaces(posed), left, ways)
        moved, touched = np.zeros(right.shape, np.float32), found.depths[:, 0] > 0
        if touched.any():
            some = PosedPoints(*(part[touched] for part in posed))
            rows = self.surface.rows(some, found.own[touched], found.directions[touched])
            moved[touched] = share * way_out(rows * deviation.astype(np.float32), found.depths[touched], self.config)
        return moved, found.ways

    def penetration(self, hands: HandSurfaces, others: HandSurfaces, ways: np.ndarray | None = None) -> Penetration:
        """What of hands and others is inside each other.

        Where surfaces have passed through one another, some vertices would leave on the far side. Those whose way out
        is against the mean way are left out. A mean way against that of the step before is not taken: halfway through
        the other one, a hand that turns back comes out on neither side.

        Args:
            hands, others: in one frame.
            ways: (B, 3) of the step before; none or 0 for the first step.
        """
        count, most = len(hands.vertices), self.config.deepest
        result = Penetration(
            np.zeros((count, most), int),
            np.zeros((count, most), int),
            np.zeros((count, most, 3), np.float32),
            np.zeros((count, most), np.float32),
            np.zeros((count, 3), np.float32) if ways is None else ways.copy(),
        )
        for number in range(count):
            hand, other = (HandSurfaces(*(part[number] for part in each)) for each in (hands, others))
            own, into, depths = self._inside(hand, other)
            others_own, into_own, others_depths = self._inside(other, hand)
            directions = np.concatenate([other.normals[into], -hand.normals[into_own]])
            depths = np.concatenate([depths, others_depths])
            if not len(depths):
                continue
            mean = depths @ directions
            if mean @ result.ways[number] >= 0:
                result.ways[number] = mean
            along = directions @ result.ways[number] > 0
            order = np.argsort(-depths * along, kind='stable')[: min(most, along.sum())]
            found = np.concatenate([own, into_own]), np.concatenate([into, others_own]), directions, depths
            for part, values in zip(result, found):
                part[number, : len(order)] = values[order]
        return result

    def _inside(self, hand: HandSurfaces, other: HandSurfaces) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vertices of a hand that are inside another, of one each: numbers (N,), the nearest vertices (N,) of the
        other, and depths (N,)."""
        points, targets = hand.vertices[self._looked_at], other.vertices
        near = np.flatnonzero(((points > targets.min(0)) & (points < targets.max(0))).all(1))
        points = points[near]
        low, high = (end(points, 0, initial=at) for end, at in ((np.min, np.inf), (np.max, -np.inf)))
        reach = self.config.reach
        beside = np.flatnonzero(((targets > low - reach) & (targets < high + reach)).all(1))
        if not len(beside):
            return np.zeros(0, int), np.zeros(0, int), np.zeros(0, np.float32)
        nearest = beside[nearest_of(points, targets[beside])]
        offsets = points - targets[nearest]
        depths = -(offsets * other.normals[nearest]).sum(1)
        inside = np.flatnonzero((depths > 0) & ((offsets * offsets).sum(1) < reach**2))
        return self._looked_at[near[inside]], nearest[inside], depths[inside]


def way_out(rows: np.ndarray, depths: np.ndarray, config: SeparationConfig) -> np.ndarray:
    """(B, 64) the least change, in standard deviations, that takes vertices out.

    Args:
        rows: (B, P, 64) how far a standard deviation of each number moves them on their way out, metres.
        depths: (B, P) metres; 0 where a row does not count.
        config: of the step.
    """
    counted = depths > 0
    rows = rows * counted[..., None]
    wanted = np.where(counted, depths + config.margin, 0)
    # Single precision loses the tolerance beside many vertices that move alike.
    rows = rows.astype(float)
    across = rows.swapaxes(1, 2)
    normal = across @ rows + config.tolerance**2 * np.eye(rows.shape[2])
    change = np.linalg.solve(normal, across @ wanted[..., None])[..., 0]
    return change / np.maximum(np.abs(change).max(1, keepdims=True) / config.largest, 1)


def nearest_of(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N,) the nearest of targets (M, 3) to points (N, 3): |p − t|² − |p|² = |t|² − 2 p·t, as one product."""
    factors = np.concatenate([-2 * points, np.ones((len(points), 1), np.float32)], 1)
    terms = np.concatenate([targets, (targets * targets).sum(1, keepdims=True)], 1)
    return (factors @ terms.T).argmin(1)
