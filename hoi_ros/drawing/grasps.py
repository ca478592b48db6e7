# SPDX-License-Identifier: Apache-2.0
"""Pictures of a hand and its object coloured by contact, together and each alone. Load Open3D."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.spatial import cKDTree

from hoi_ros.drawing.contact_colours import contact_colours
from hoi_ros.mesh.raycast import TriangleScene

_PAPER, _SKIN, _THING = (250, 250, 250), (236, 200, 178), (176, 188, 204)
_OPACITY = 0.6
"""Of a hand before its object."""
_MARGIN = 1.08
_NEAREST = 3


@dataclasses.dataclass(frozen=True)
class Surface:
    """A mesh and contact on it, metres, any frame."""

    vertices: np.ndarray
    """(V, 3)."""
    faces: np.ndarray
    """(F, 3) counter-clockwise from outside."""
    points: np.ndarray
    """(N, 3) on it."""
    contact: np.ndarray
    """(N,) at the points, 0 to 1."""


@dataclasses.dataclass(frozen=True)
class View:
    """An orthographic view."""

    axes: np.ndarray
    """(3, 3) rows: right, down and away from the viewer."""
    centre: np.ndarray
    """(3,) in the middle of the picture, metres."""
    reach: float
    """Half the side of the picture, metres."""

    @classmethod
    def around(cls, points: np.ndarray, axes: np.ndarray) -> View:
        """The view along axes (3, 3) that shows all points (N, 3)."""
        seen = points @ axes.T
        low, high = seen.min(0), seen.max(0)
        return cls(axes, (low + high) / 2 @ axes, _MARGIN * float((high - low)[:2].max()) / 2)


def draw_contact(hand: Surface | None, thing: Surface | None, view: View, side: int) -> np.ndarray:
    """(side, side, 3) uint8 RGB: yellow where a surface is touched, red where firmly; a hand is translucent.

    Args:
        hand, thing: what is drawn.
        view: of the picture.
        side: pixels.
    """
    picture: np.ndarray = np.full((side, side, 3), _PAPER, float)
    covered = np.full((side, side), np.inf)
    if thing is not None:
        covered, shade = _seen(thing, view, side, _THING)
        picture = np.where(np.isfinite(covered)[..., None], shade, picture)
    if hand is not None:
        depth, shade = _seen(hand, view, side, _SKIN)
        nearer = depth < covered
        opacity = np.where(np.isfinite(covered), _OPACITY, 1.0)[..., None]
        picture = np.where(nearer[..., None], opacity * shade + (1 - opacity) * picture, picture)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _seen(surface: Surface, view: View, side: int, colour: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Depth (side, side) of a surface, infinite beside it, and its shaded colours (side, side, 3)."""
    steps = (np.arange(side) + 0.5) / side * 2 - 1
    across, down = np.meshgrid(steps, steps)
    centred = (surface.vertices - view.centre) @ view.axes.T / view.reach
    start = float(centred[:, 2].min()) - 1
    origins = np.stack([across, down, np.full_like(across, start)], -1)
    away = np.array([0.0, 0, 1])
    hits = TriangleScene(centred, surface.faces).cast(origins, away)
    hit = np.isfinite(hits.reach)
    depth = np.where(hit, start + hits.reach, np.inf)
    points = origins[hit] + hits.reach[hit, None] * away
    nearby = (surface.points - view.centre) @ view.axes.T / view.reach
    distances, nearest = cKDTree(nearby).query(points, min(_NEAREST, len(nearby)))
    weights = 1 / np.maximum(distances, 1e-6).reshape(len(points), -1)
    contact = (weights * surface.contact[nearest.reshape(len(points), -1)]).sum(1) / weights.sum(1)
    light = 0.45 + 0.55 * np.abs(hits.normals[hit, 2])
    shade = np.zeros((side, side, 3))
    shade[hit] = light[:, None] * contact_colours(contact, colour)
    return depth, shade
