# SPDX-License-Identifier: Apache-2.0
"""Sewing watertight meshes from rings of vertices; nothing is cut by boolean operations, which can fail."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class SewnMesh:
    """A triangle mesh sewn between rings of vertices, which run counter-clockwise seen from where the rings lead."""

    def __init__(self) -> None:
        self._points: list[np.ndarray] = []
        self._faces: list[np.ndarray] = []
        self._count = 0

    def tube(self, rings: np.ndarray, holes: Sequence[tuple[int, int, int, int]] = ()) -> list[np.ndarray]:
        """Adds a tube with closed ends and rectangular holes in its wall.

        Args:
            rings: (N, S, 3) metres.
            holes: first ring, last ring, first column and last column of each hole; columns wrap around.

        Returns:
            The vertex indices around each hole, counter-clockwise from outside.
        """
        count, around = rings.shape[:2]
        grid = np.stack([self._add(ring) for ring in rings])
        kept = np.ones((count - 1, around), bool)
        loops = []
        for low, high, left, right in holes:
            columns = np.arange(left, right + 1) % around
            kept[low:high, columns[:-1]] = False
            loops.append(
                np.concatenate(
                    [
                        grid[low, columns],
                        grid[low + 1 : high + 1, columns[-1]],
                        grid[high, columns[-2::-1]],
                        grid[high - 1 : low : -1, columns[0]],
                    ]
                )
            )
        for ring in range(count - 1):
            self._sew(grid[ring], grid[ring + 1], kept[ring])
        self._cap(grid[0][::-1])
        self._cap(grid[-1])
        return loops

    def branch(
        self,
        loop: np.ndarray,
        centres: np.ndarray,
        across: np.ndarray,
        radii: np.ndarray,
        end: np.ndarray | None = None,
    ) -> None:
        """Adds a tube of elliptic rings from a hole to a closed end or into another hole.

        Args:
            loop: vertex indices around the first hole, as `tube` returns them.
            centres: (K, 3) centres of the rings, metres; the path begins at the hole.
            across: (3,) direction of the rings' first half-axis, perpendicular to the whole path.
            radii: (K, 2) half-axes, metres.
            end: vertex indices around the hole where the tube ends; None closes the end.
        """
        start = self._positions(loop)
        middle = (start.min(0) + start.max(0)) / 2
        path = np.concatenate([middle[None], centres])
        ahead = np.gradient(path, axis=0)
        other = unit(np.cross(ahead, across))
        beside = unit(np.cross(ahead[0], across))
        turns = np.arctan2(
            (start - middle) @ beside / np.ptp(start @ beside), (start - middle) @ across / np.ptp(start @ across)
        )
        rings = (
            centres[:, None]
            + radii[:, :1, None] * np.cos(turns)[:, None] * across
            + radii[:, 1:, None] * np.sin(turns)[:, None] * other[1:, None]
        )
        last = loop
        for ring in rings:
            following = self._add(ring)
            self._sew(last, following)
            last = following
        if end is None:
            self._cap(last)
            return
        goal, here = end[::-1], self._positions(last)
        shifts = [np.linalg.norm(self._positions(np.roll(goal, shift)) - here) for shift in range(len(goal))]
        self._sew(last, np.roll(goal, int(np.argmin(shifts))))

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (M, 3) and faces (F, 3)."""
        # Vertices inside a hole belong to no triangle.
        used, faces = np.unique(np.concatenate(self._faces), return_inverse=True)
        return np.concatenate(self._points)[used], faces.reshape(-1, 3)

    def _add(self, points: np.ndarray) -> np.ndarray:
        self._points.append(points)
        self._count += len(points)
        return np.arange(self._count - len(points), self._count)

    def _positions(self, indices: np.ndarray) -> np.ndarray:
        return np.concatenate(self._points)[indices]

    def _sew(self, ring: np.ndarray, following: np.ndarray, kept: np.ndarray | slice = slice(None)) -> None:
        """Adds two triangles for each kept column between two rings."""
        beside, diagonal = np.roll(ring, -1), np.roll(following, -1)
        self._faces.append(np.stack([ring, beside, following], 1)[kept])
        self._faces.append(np.stack([beside, diagonal, following], 1)[kept])

    def _cap(self, ring: np.ndarray) -> None:
        """Closes a ring with triangles around its middle."""
        centre = self._add(self._positions(ring).mean(0)[None])
        self._faces.append(np.stack([ring, np.roll(ring, -1), np.broadcast_to(centre, ring.shape)], 1))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) of length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
