# SPDX-License-Identifier: Apache-2.0
"""Things of a household that a hand can take, as watertight triangle meshes of continuously varying shape and size.

Each family is sewn from rings of vertices: a tube through rings, closed at both ends, out of whose wall further
tubes may grow (a mug's handle, a hammer's shaft). Nothing is cut by boolean operations, so that nothing can fail.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation


@dataclasses.dataclass(frozen=True)
class ObjectShape:
    """One object: vertices (M, 3) float32 in metres, in its own frame, whose origin is the middle of its bounding
    box and whose z points up where the thing stands; faces (F, 3) int32, counter-clockwise from outside."""

    family: str
    vertices: np.ndarray
    faces: np.ndarray

    @property
    def extents(self) -> np.ndarray:
        """(3,) sides of the bounding box in the object's own frame, metres."""
        return np.ptp(self.vertices, axis=0)


def sample_object(rng: np.random.Generator, families: Sequence[str] | None = None) -> ObjectShape:
    """One object of one of the families, each equally probable; FAMILIES where none are given.

    Raises:
        KeyError: no such family.
    """
    names = FAMILIES if families is None else tuple(families)
    family = names[rng.integers(len(names))]
    vertices, faces = _MAKERS[family](rng)
    middle = (vertices.min(0) + vertices.max(0)) / 2
    return ObjectShape(family, (vertices - middle).astype(np.float32), faces.astype(np.int32))


class _Skin:
    """Triangles sewn between rings of vertices. A ring turns counter-clockwise seen from where the rings lead."""

    def __init__(self) -> None:
        self._points: list[np.ndarray] = []
        self._faces: list[np.ndarray] = []
        self._count = 0

    def tube(self, rings: np.ndarray, holes: Sequence[tuple[int, int, int, int]] = ()) -> list[np.ndarray]:
        """A closed tube through rings (N, S, 3), left open between the rings and columns of each hole.

        Args:
            rings: (N, S, 3).
            holes: first ring, last ring, first column, last column; columns count round and round.

        Returns:
            The vertices around each hole, counter-clockwise from outside.
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
        """A tube of elliptic rings that grows out of a hole, to a closed end or into another hole.

        Args:
            loop: the hole's vertices, as `tube` returns them.
            centres: (K, 3) of the rings; the path begins at the hole.
            across: (3,) the direction of the rings' first half-axis, perpendicular to the whole path.
            radii: (K, 2) half-axes.
            end: the vertices of the hole where it ends.
        """
        start = self._positions(loop)
        middle = (start.min(0) + start.max(0)) / 2
        path = np.concatenate([middle[None], centres])
        ahead = np.gradient(path, axis=0)
        other = _unit(np.cross(ahead, across))
        beside = _unit(np.cross(ahead[0], across))
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
        # The middle of a hole belongs to no triangle.
        used, faces = np.unique(np.concatenate(self._faces), return_inverse=True)
        return np.concatenate(self._points)[used], faces.reshape(-1, 3)

    def _add(self, points: np.ndarray) -> np.ndarray:
        self._points.append(points)
        self._count += len(points)
        return np.arange(self._count - len(points), self._count)

    def _positions(self, indices: np.ndarray) -> np.ndarray:
        return np.concatenate(self._points)[indices]

    def _sew(self, ring: np.ndarray, following: np.ndarray, kept: np.ndarray | slice = slice(None)) -> None:
        beside, diagonal = np.roll(ring, -1), np.roll(following, -1)
        self._faces.append(np.stack([ring, beside, following], 1)[kept])
        self._faces.append(np.stack([beside, diagonal, following], 1)[kept])

    def _cap(self, ring: np.ndarray) -> None:
        centre = self._add(self._positions(ring).mean(0)[None])
        self._faces.append(np.stack([ring, np.roll(ring, -1), np.broadcast_to(centre, ring.shape)], 1))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _oval(count: int, exponent: float = 2.0) -> np.ndarray:
    """(count, 2) a superellipse of half-axes 1, from a circle at 2 to nearly a square at 8."""
    turn = np.arange(count) * 2 * np.pi / count
    cosine, sine = np.cos(turn), np.sin(turn)
    return np.stack(
        [np.sign(cosine) * np.abs(cosine) ** (2 / exponent), np.sign(sine) * np.abs(sine) ** (2 / exponent)], 1
    )


def _stacked(heights: np.ndarray, radii: np.ndarray, section: np.ndarray) -> np.ndarray:
    """Rings (N, S, 3) along z: heights (N,), half-axes (N,) or (N, 2), section (S, 2)."""
    scale = radii[:, None, None] if radii.ndim == 1 else radii[:, None]
    flat = scale * section
    return np.concatenate([flat, np.broadcast_to(heights[:, None, None], (*flat.shape[:2], 1))], -1)


def _edge(radius: float, height: float, rounding: float, upwards: bool) -> tuple[np.ndarray, np.ndarray]:
    """Radii and heights of a rounded edge between a flat end at `height` and a wall at `radius`."""
    turn = np.radians([0, 30, 60, 90])
    radii, heights = radius - rounding * (1 - np.sin(turn)), height + rounding * (1 - np.cos(turn))
    return (radii, heights) if upwards else (radii[::-1], 2 * height - heights[::-1])


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _box(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    thin = _log_uniform(rng, 0.012, 0.075)
    middle = _log_uniform(rng, max(thin, 0.03), max(1.4 * thin, 0.11))
    long = _log_uniform(rng, max(middle, 0.05), 0.22)
    half = np.array([thin, middle, long]) / 2
    if rng.random() < 0.3:
        half = rng.permutation(half)
    rounding = _uniform(rng, 0.05, 0.45) * min(0.012, 0.7 * half.min())
    # A rounded rectangle: the corners' arcs, each followed by a point on the straight side.
    turn = np.radians(
        np.concatenate([[quarter, quarter + 30, quarter + 60, quarter + 90, np.nan] for quarter in (0, 90, 180, 270)])
    )
    corners = np.repeat([[1, 1], [-1, 1], [-1, -1], [1, -1]], 5, axis=0)
    inset = rounding * np.array([0, 0.13, 0.5, 0.87])
    heights = half[2] - rounding * np.array([1.0, 0.5, 0.13, 0])
    heights = np.concatenate([-heights[::-1], [-half[2] / 3, half[2] / 3], heights])
    inset = np.concatenate([inset[::-1], [0, 0], inset])
    rings = []
    for height, less in zip(heights, inset, strict=True):
        arcs = corners * (half[:2] - rounding) + (rounding - less) * np.stack([np.cos(turn), np.sin(turn)], 1)
        straight = np.isnan(turn)
        arcs[straight] = (np.roll(arcs, 1, 0)[straight] + np.roll(arcs, -1, 0)[straight]) / 2
        rings.append(np.concatenate([arcs, np.full((len(arcs), 1), height)], 1))
    skin = _Skin()
    skin.tube(np.stack(rings))
    return skin.mesh()


def _can(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    radius = _log_uniform(rng, 0.014, 0.046)
    height = radius * _log_uniform(rng, 0.9, 5.5)
    height = float(np.clip(height, 0.02, 0.2))
    low, high = (
        _edge(radius, end, _uniform(rng, 0.03, 0.25) * min(radius, height / 2), upwards)
        for end, upwards in ((0, True), (height, False))
    )
    waist = 1 - (_uniform(rng, 0, 0.12) if rng.random() < 0.3 else 0) * np.sin(np.linspace(0, np.pi, 7)[1:-1])
    between = np.linspace(low[1][-1], high[1][0], 7)[1:-1]
    skin = _Skin()
    skin.tube(
        _stacked(
            np.concatenate([low[1], between, high[1]]), np.concatenate([low[0], radius * waist, high[0]]), _oval(36)
        )
    )
    return skin.mesh()


def _bottle(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    radius = _log_uniform(rng, 0.02, 0.045)
    body = radius * _uniform(rng, 2.2, 4.5)
    shoulder = radius * _uniform(rng, 0.4, 1.8)
    neck = max(radius * _uniform(rng, 0.28, 0.6), 0.008)
    rise, cap = _uniform(rng, 0.005, 0.05), _uniform(rng, 0.01, 0.03)
    low = _edge(radius, 0, 0.12 * radius, True)
    slope = np.linspace(0, 1, 7)[1:]
    waist = _uniform(rng, -0.05, 0.16) if rng.random() < 0.5 else 0.0
    wall = np.linspace(0, 1, 8)[1:]
    bend = _uniform(rng, 0.8, 1.7)
    top = body + shoulder + rise
    wide = neck * _uniform(rng, 1.02, 1.3)
    radii = np.concatenate(
        [
            low[0],
            radius * (1 - waist * np.sin(np.pi * wall)),
            neck + (radius - neck) * np.cos(np.pi / 2 * slope) ** bend,
            [neck, wide, wide, wide * 0.9],
        ]
    )
    heights = np.concatenate(
        [
            low[1],
            low[1][-1] + (body - low[1][-1]) * wall,
            body + shoulder * slope,
            [top, top + 0.001, top + 0.8 * cap, top + cap],
        ]
    )
    flatness = np.where(heights <= body, 1.0, np.clip(1 - (heights - body) / shoulder, 0, 1))
    flat = _uniform(rng, 0.5, 1.0) if rng.random() < 0.4 else 1.0
    exponent = _uniform(rng, 2.5, 6.0) if rng.random() < 0.35 else 2.0
    scale = np.stack([radii, radii * (1 + (flat - 1) * flatness)], 1)
    # The body's section may be flat or squarish; it turns into a circle along the shoulder.
    square, circle = _stacked(heights, scale, _oval(32, exponent)), _stacked(heights, scale, _oval(32))
    skin = _Skin()
    skin.tube(circle + flatness[:, None, None] * (square - circle))
    return skin.mesh()


def _mug(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    top = _uniform(rng, 0.032, 0.048)
    bottom = top * _uniform(rng, 0.72, 1.05)
    height = _uniform(rng, 0.065, 0.12)
    wall = _uniform(rng, 0.003, 0.006)
    width, thick = _uniform(rng, 0.005, 0.010), _uniform(rng, 0.004, 0.007)  # half-axes of the handle
    upper = height * _uniform(rng, 0.72, 0.86)
    lower = height * _uniform(rng, 0.14, 0.3)
    depth = _uniform(rng, 0.026, 0.042)
    belly = _uniform(rng, -0.05, 0.08)

    def radius(at: np.ndarray) -> np.ndarray:
        share = np.clip(at / height, 0, 1)
        return bottom + (top - bottom) * share + belly * top * np.sin(np.pi * share)

    outer = np.array(
        [
            0.002,
            lower - thick,
            lower,
            lower + thick,
            (lower + upper) / 2,
            upper - thick,
            upper,
            upper + thick,
            height - 0.001,
        ]
    )
    inner = np.linspace(height - 0.001, wall + 0.004, 8)
    floor = max(wall, 0.004)
    heights = np.concatenate([[0.0], outer, [height, height], inner, [floor]])
    inside = radius(inner) - wall
    radii = np.concatenate(
        [
            [radius(np.zeros(1))[0] - 0.002],
            radius(outer),
            radius(np.full(1, height)) - wall / 3,
            radius(np.full(1, height)) - wall * 2 / 3,
            inside,
            [inside[-1] - 0.004],
        ]
    )
    opening = width / radius(np.array([upper, lower])).mean()
    turn = np.concatenate([np.linspace(-opening, opening, 5), np.linspace(opening, 2 * np.pi - opening, 30)[1:-1]])
    skin = _Skin()
    loops = skin.tube(_stacked(heights, radii, np.stack([np.cos(turn), np.sin(turn)], 1)), [(6, 8, 0, 4), (2, 4, 0, 4)])
    way = np.linspace(0.08, 0.92, 12) * np.pi
    exponent = _uniform(rng, 0.6, 1.0)
    roots = radius(np.array([upper, lower]))
    centres = np.stack(
        [
            roots[0] + (roots[1] - roots[0]) * way / np.pi + depth * np.sin(way) ** exponent,
            np.zeros(12),
            (upper + lower) / 2 + (upper - lower) / 2 * np.cos(way),
        ],
        1,
    )
    skin.branch(loops[0], centres, np.array([0.0, 1, 0]), np.tile([width, thick], (12, 1)), loops[1])
    vertices, faces = skin.mesh()
    return vertices * _uniform(rng, 0.75, 1.05), faces


def _bowl(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    rim = _uniform(rng, 0.045, 0.085)
    height = rim * _uniform(rng, 0.45, 1.0)
    wall = _uniform(rng, 0.003, 0.007)
    foot = rim * _uniform(rng, 0.35, 0.6)
    bend = _uniform(rng, 0.45, 0.9)
    share = np.linspace(0, 1, 11)
    outer = foot + (rim - foot) * share**bend
    floor = wall * 1.3
    inner = np.maximum(np.interp(share, share, outer) - wall * _uniform(rng, 1.0, 1.4), 0.3 * foot)
    lift = floor + (height - floor) * share
    heights = np.concatenate([[0], 0.0015 + (height - 0.0015) * share, [height + wall / 4] * 2, lift[::-1]])
    radii = np.concatenate([[foot - 0.0015], outer, [outer[-1] - wall / 4, inner[-1] + wall / 4], inner[::-1]])
    skin = _Skin()
    skin.tube(_stacked(heights, radii, _oval(40)))
    return skin.mesh()


def _tool(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    kind = rng.random()
    if kind < 0.4:
        return _hammer(rng)
    if kind < 0.7:
        return _driver(rng)
    return _paddle(rng)


def _hammer(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A head across the end of a shaft: hammer, mallet, rake, brush, razor."""
    grip = _uniform(rng, 0.007, 0.016)
    length = _uniform(rng, 0.12, 0.26)
    head = np.array([_uniform(rng, max(1.15 * grip, 0.012), 0.032) for _ in range(2)])  # half-axes
    reach = np.array([_uniform(rng, 0.03, 0.075), _uniform(rng, 0.03, 0.06)])
    stem = 0.75 * min(grip, *head)
    places = np.concatenate(
        [
            [-reach[0], -reach[0] + 0.002, -reach[0] / 2 - stem / 2],
            np.linspace(-stem, stem, 5),
            [reach[1] / 2 + stem / 2, reach[1] - 0.002, reach[1]],
        ]
    )
    ends = np.array([_uniform(rng, 0.3, 1.0), _uniform(rng, 0.75, 1.15)])
    size = np.interp(places, [-reach[0], -stem, stem, reach[1]], [ends[0], 1, 1, ends[1]])
    size[[0, -1]] *= 0.9
    rings = _stacked(places, size[:, None] * head, _oval(24, _uniform(rng, 2.0, 6.0)))[..., [2, 0, 1]]
    skin = _Skin()
    (hole,) = skin.tube(rings, [(3, 7, 16, 20)])
    share = np.linspace(0, 1, 12)
    thickness = np.interp(share, [0, 0.25, 0.5, 0.9, 1], [0.8, 0.8, 1, _uniform(rng, 0.9, 1.2), 0.7]) * grip
    thickness[0] = min(thickness[0], 1.2 * stem)
    centres = np.stack([np.zeros(12), np.zeros(12), -head[1] - 0.003 - length * share], 1)
    flat = _uniform(rng, 0.65, 1.0)
    skin.branch(hole, centres, np.array([1.0, 0, 0]), thickness[:, None] * np.array([1.0, flat]))
    return skin.mesh()


def _driver(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A handle and a shaft in one line: screwdriver, brush, knife, marker."""
    grip, handle = _uniform(rng, 0.006, 0.018), _uniform(rng, 0.08, 0.13)
    shaft, blade = grip * _uniform(rng, 0.3, 1.0), _uniform(rng, 0.04, 0.13)
    shaft = max(shaft, 0.0035)
    swell = _uniform(rng, 0, 0.2)
    share = np.linspace(0, 1, 10)
    low = _edge(grip, 0, 0.5 * grip, True)
    heights = np.concatenate(
        [low[1], low[1][-1] + (handle - low[1][-1]) * share[1:], handle + 0.006 + (blade - 0.006) * share]
    )
    radii = np.concatenate(
        [
            low[0],
            grip * (1 - swell * np.sin(2 * np.pi * share[1:])),
            shaft * np.interp(share, [0, 0.8, 1], [1, 1, _uniform(rng, 0.4, 1)]),
        ]
    )
    tip = _uniform(rng, 0.35, 1.0)
    flat = np.interp(heights, [0, handle, handle + blade], [1, 1, tip])
    skin = _Skin()
    skin.tube(_stacked(heights, np.stack([radii, radii * flat], 1), _oval(24, _uniform(rng, 2.0, 4.0))))
    return skin.mesh()


def _paddle(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A handle that widens into a blade: spoon, spatula, hairbrush, remote control."""
    grip, handle = _uniform(rng, 0.006, 0.014), _uniform(rng, 0.09, 0.17)
    wide, blade = grip * _uniform(rng, 1.4, 3.5), _uniform(rng, 0.04, 0.1)
    thin = _uniform(rng, 0.004, 0.009)
    share = np.linspace(0, 1, 14)
    turn = np.pi * (share[1:] * 0.93 + 0.04)
    low = _edge(grip, 0, 0.4 * grip, True)
    heights = np.concatenate(
        [low[1], low[1][-1] + (handle - low[1][-1]) * share[1:], handle + blade * (1 - np.cos(turn)) / 2]
    )
    neck = grip * _uniform(rng, 0.6, 1.0)
    radii = np.concatenate(
        [
            low[0],
            np.interp(share[1:], [0, 0.5, 1], [grip, grip, neck]),
            np.maximum(wide * np.sin(turn) ** 0.6, np.where(turn < 1.5, neck, 0)),
        ]
    )
    depth = np.minimum(
        radii, np.interp(heights, [0, 0.6 * handle, handle, handle + blade], [grip, grip * 0.8, thin, thin * 0.6])
    )
    skin = _Skin()
    rings = _stacked(heights, np.stack([radii, depth], 1), _oval(28, _uniform(rng, 2.0, 3.5)))
    bent = np.clip((heights - handle) / blade, 0, 1)
    rings[..., 1] += (_uniform(rng, -0.02, 0.02) * bent**2)[:, None]
    skin.tube(rings)
    return skin.mesh()


def _ball(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ball, egg, lemon, orange: an icosphere of 642 vertices with three half-axes, one end more pointed."""
    radius = _log_uniform(rng, 0.018, 0.05)
    axes = radius * (np.ones(3) if rng.random() < 0.5 else rng.uniform([0.85, 0.85, 0.9], [1.0, 1.0, 1.35]))
    points = _SPHERE.vertices * axes
    points[:, :2] *= 1 - _uniform(rng, 0, 0.2) * _SPHERE.vertices[:, 2:]
    return points, np.asarray(_SPHERE.faces)


def _blob(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Stone, potato, toy: smooth bumps and hollows on a sphere, stretched; every ray from the middle leaves once."""
    directions = np.asarray(_SPHERE.vertices)
    bumps = _unit(rng.standard_normal((7, 3)))
    heights = rng.normal(0, 0.36, 7)
    sharpness = rng.uniform(1.5, 5.0, 7)
    swell = (heights * np.exp(sharpness * (directions @ bumps.T - 1))).sum(1)
    stretch = rng.uniform([0.6, 0.7, 0.9], [1.0, 1.0, 1.8])
    points = directions * np.exp(swell - swell.mean())[:, None] * stretch * _log_uniform(rng, 0.022, 0.042)
    return points, np.asarray(_SPHERE.faces)


def _spray(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A flat bottle under a head with a nozzle and a trigger."""
    head = np.array([_uniform(rng, 0.009, 0.014), _uniform(rng, 0.01, 0.014)])  # half-axes
    stem = _uniform(rng, 0.009, 0.012)
    front, back = _uniform(rng, 0.045, 0.065), _uniform(rng, 0.02, 0.035)
    root = stem + _uniform(rng, 0.006, 0.01)
    places = np.concatenate(
        [
            [-back, -back + 0.003],
            np.linspace(-stem, stem, 6),
            [root, root + 0.0035, root + 0.007, root + 0.012, front, front + 0.008, front + 0.009],
        ]
    )
    size = np.concatenate([[0.7, 0.95], np.ones(9), [0.95, 0.8, 0.4, 0.35]])
    rings = _stacked(places, size[:, None] * head, _oval(24, 3.0))[..., [2, 0, 1]]
    skin = _Skin()
    neck, hinge = skin.tube(rings, [(2, 7, 16, 21), (8, 10, 17, 19)])
    wide, deep = _uniform(rng, 0.032, 0.048), _uniform(rng, 0.02, 0.032)
    height, shoulder = _uniform(rng, 0.1, 0.15), _uniform(rng, 0.02, 0.05)
    top = -head[1] - _uniform(rng, 0.01, 0.025)
    slope = np.linspace(0, 1, 6)
    down = np.concatenate(
        [
            [-head[1] - 0.003, top],
            top - shoulder * slope[1:],
            top - shoulder - height * np.array([0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 0.985, 1.0]),
        ]
    )
    swell = 1 - np.cos(np.pi / 2 * slope[1:]) ** 1.2
    pinch = _uniform(rng, 0, 0.15)
    body = np.concatenate([swell, 1 - pinch * np.sin(np.pi * np.array([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1]))])
    body[-1] *= 0.9
    narrow = stem * 1.05
    radii = np.stack([np.concatenate([[narrow] * 2, narrow + (half - narrow) * body]) for half in (wide, deep)], 1)
    zero = np.zeros(len(down))
    skin.branch(neck, np.stack([zero, zero, down], 1), np.array([1.0, 0, 0]), radii)
    reach = np.linspace(0, 1, 7)[1:]
    lean = _uniform(rng, 0, 0.02)
    # Not so long that it runs into the shoulder.
    length = min(_uniform(rng, 0.03, 0.045), -head[1] - top + 0.35 * shoulder)
    path = np.stack([root + 0.0035 + lean * reach**2, np.zeros(6), -head[1] - length * reach], 1)
    skin.branch(hinge, path, np.array([0.0, 1, 0]), np.tile([0.0055, 0.0035], (6, 1)))
    vertices, faces = skin.mesh()
    return vertices * _uniform(rng, 0.75, 1.1), faces


def _banana(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A bent, tapering thing with a stalk: banana, pepper, horn."""
    radius, length = _uniform(rng, 0.014, 0.024), _uniform(rng, 0.12, 0.21)
    bend = np.radians(_uniform(rng, 45, 110))
    share = np.linspace(0, 1, 26)
    stalk = _uniform(rng, 0.2, 0.4)
    size = np.interp(share, [0, 0.02, 0.12, 0.3, 0.6, 0.85, 0.96, 1], [0.2, 0.35, 0.72, 0.97, 1, 0.75, stalk, stalk])
    size[1:-1] = (size[:-2] + 2 * size[1:-1] + size[2:]) / 4
    section = _oval(24) * (1 + _uniform(rng, 0, 0.06) * np.cos(5 * np.arange(24) * 2 * np.pi / 24))[:, None]
    flat = _stacked(np.zeros(26), radius * size, section)
    turn = Rotation.from_rotvec(np.outer((share - 0.5) * bend, [0, 1, 0])).as_matrix()
    centres = length / bend * np.stack([-np.cos((share - 0.5) * bend), np.zeros(26), np.sin((share - 0.5) * bend)], 1)
    skin = _Skin()
    skin.tube(np.einsum('nij,nsj->nsi', turn, flat) + centres[:, None])
    return skin.mesh()


_SPHERE = trimesh.creation.icosphere(3)

_MAKERS: dict[str, Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]] = {
    'box': _box,
    'can': _can,
    'bottle': _bottle,
    'mug': _mug,
    'bowl': _bowl,
    'tool': _tool,
    'ball': _ball,
    'blob': _blob,
    'spray': _spray,
    'banana': _banana,
}

HELD_OUT: tuple[str, str] = ('spray', 'banana')
"""Families of which no object is seen in training."""
FAMILIES: tuple[str, ...] = tuple(name for name in _MAKERS if name not in HELD_OUT)
