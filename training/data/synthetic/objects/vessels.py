# SPDX-License-Identifier: Apache-2.0
"""Cans, bottles, mugs, bowls and spray bottles."""

from __future__ import annotations

import numpy as np

from training.data.synthetic.objects.sections import log_uniform
from training.data.synthetic.objects.sections import oval
from training.data.synthetic.objects.sections import rounded_edge
from training.data.synthetic.objects.sections import stacked
from training.data.synthetic.objects.sections import uniform
from training.data.synthetic.objects.sewing import SewnMesh


def can(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A can or a short cylinder, sometimes with a waist."""
    radius = log_uniform(rng, 0.014, 0.046)
    height = radius * log_uniform(rng, 0.9, 5.5)
    height = float(np.clip(height, 0.02, 0.2))
    low, high = (
        rounded_edge(radius, end, uniform(rng, 0.03, 0.25) * min(radius, height / 2), upwards)
        for end, upwards in ((0, True), (height, False))
    )
    waist = 1 - (uniform(rng, 0, 0.12) if rng.random() < 0.3 else 0) * np.sin(np.linspace(0, np.pi, 7)[1:-1])
    between = np.linspace(low[1][-1], high[1][0], 7)[1:-1]
    skin = SewnMesh()
    skin.tube(
        stacked(np.concatenate([low[1], between, high[1]]), np.concatenate([low[0], radius * waist, high[0]]), oval(36))
    )
    return skin.mesh()


def bottle(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A bottle with shoulder, neck and cap; its body may be flat or squarish."""
    radius = log_uniform(rng, 0.02, 0.045)
    body = radius * uniform(rng, 2.2, 4.5)
    shoulder = radius * uniform(rng, 0.4, 1.8)
    neck = max(radius * uniform(rng, 0.28, 0.6), 0.008)
    rise, cap = uniform(rng, 0.005, 0.05), uniform(rng, 0.01, 0.03)
    low = rounded_edge(radius, 0, 0.12 * radius, True)
    slope = np.linspace(0, 1, 7)[1:]
    waist = uniform(rng, -0.05, 0.16) if rng.random() < 0.5 else 0.0
    wall = np.linspace(0, 1, 8)[1:]
    bend = uniform(rng, 0.8, 1.7)
    top = body + shoulder + rise
    wide = neck * uniform(rng, 1.02, 1.3)
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
    flat = uniform(rng, 0.5, 1.0) if rng.random() < 0.4 else 1.0
    exponent = uniform(rng, 2.5, 6.0) if rng.random() < 0.35 else 2.0
    scale = np.stack([radii, radii * (1 + (flat - 1) * flatness)], 1)
    # The body's cross section becomes a circle along the shoulder.
    square, circle = stacked(heights, scale, oval(32, exponent)), stacked(heights, scale, oval(32))
    skin = SewnMesh()
    skin.tube(circle + flatness[:, None, None] * (square - circle))
    return skin.mesh()


def mug(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A mug with a handle at +x."""
    top = uniform(rng, 0.032, 0.048)
    bottom = top * uniform(rng, 0.72, 1.05)
    height = uniform(rng, 0.065, 0.12)
    wall = uniform(rng, 0.003, 0.006)
    width, thick = uniform(rng, 0.005, 0.010), uniform(rng, 0.004, 0.007)  # half-axes of the handle
    upper = height * uniform(rng, 0.72, 0.86)
    lower = height * uniform(rng, 0.14, 0.3)
    depth = uniform(rng, 0.026, 0.042)
    belly = uniform(rng, -0.05, 0.08)

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
    skin = SewnMesh()
    loops = skin.tube(stacked(heights, radii, np.stack([np.cos(turn), np.sin(turn)], 1)), [(6, 8, 0, 4), (2, 4, 0, 4)])
    way = np.linspace(0.08, 0.92, 12) * np.pi
    exponent = uniform(rng, 0.6, 1.0)
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
    return vertices * uniform(rng, 0.75, 1.05), faces


def bowl(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A bowl with a foot."""
    rim = uniform(rng, 0.045, 0.085)
    height = rim * uniform(rng, 0.45, 1.0)
    wall = uniform(rng, 0.003, 0.007)
    foot = rim * uniform(rng, 0.35, 0.6)
    bend = uniform(rng, 0.45, 0.9)
    share = np.linspace(0, 1, 11)
    outer = foot + (rim - foot) * share**bend
    floor = wall * 1.3
    inner = np.maximum(np.interp(share, share, outer) - wall * uniform(rng, 1.0, 1.4), 0.3 * foot)
    lift = floor + (height - floor) * share
    heights = np.concatenate([[0], 0.0015 + (height - 0.0015) * share, [height + wall / 4] * 2, lift[::-1]])
    radii = np.concatenate([[foot - 0.0015], outer, [outer[-1] - wall / 4, inner[-1] + wall / 4], inner[::-1]])
    skin = SewnMesh()
    skin.tube(stacked(heights, radii, oval(40)))
    return skin.mesh()


def spray(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A flat bottle under a head with a nozzle and a trigger."""
    head = np.array([uniform(rng, 0.009, 0.014), uniform(rng, 0.01, 0.014)])  # half-axes
    stem = uniform(rng, 0.009, 0.012)
    front, back = uniform(rng, 0.045, 0.065), uniform(rng, 0.02, 0.035)
    root = stem + uniform(rng, 0.006, 0.01)
    places = np.concatenate(
        [
            [-back, -back + 0.003],
            np.linspace(-stem, stem, 6),
            [root, root + 0.0035, root + 0.007, root + 0.012, front, front + 0.008, front + 0.009],
        ]
    )
    size = np.concatenate([[0.7, 0.95], np.ones(9), [0.95, 0.8, 0.4, 0.35]])
    rings = stacked(places, size[:, None] * head, oval(24, 3.0))[..., [2, 0, 1]]
    skin = SewnMesh()
    neck, hinge = skin.tube(rings, [(2, 7, 16, 21), (8, 10, 17, 19)])
    wide, deep = uniform(rng, 0.032, 0.048), uniform(rng, 0.02, 0.032)
    height, shoulder = uniform(rng, 0.1, 0.15), uniform(rng, 0.02, 0.05)
    top = -head[1] - uniform(rng, 0.01, 0.025)
    slope = np.linspace(0, 1, 6)
    down = np.concatenate(
        [
            [-head[1] - 0.003, top],
            top - shoulder * slope[1:],
            top - shoulder - height * np.array([0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 0.985, 1.0]),
        ]
    )
    swell = 1 - np.cos(np.pi / 2 * slope[1:]) ** 1.2
    pinch = uniform(rng, 0, 0.15)
    body = np.concatenate([swell, 1 - pinch * np.sin(np.pi * np.array([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1]))])
    body[-1] *= 0.9
    narrow = stem * 1.05
    radii = np.stack([np.concatenate([[narrow] * 2, narrow + (half - narrow) * body]) for half in (wide, deep)], 1)
    zero = np.zeros(len(down))
    skin.branch(neck, np.stack([zero, zero, down], 1), np.array([1.0, 0, 0]), radii)
    reach = np.linspace(0, 1, 7)[1:]
    lean = uniform(rng, 0, 0.02)
    # Short enough to stay clear of the shoulder.
    length = min(uniform(rng, 0.03, 0.045), -head[1] - top + 0.35 * shoulder)
    path = np.stack([root + 0.0035 + lean * reach**2, np.zeros(6), -head[1] - length * reach], 1)
    skin.branch(hinge, path, np.array([0.0, 1, 0]), np.tile([0.0055, 0.0035], (6, 1)))
    vertices, faces = skin.mesh()
    return vertices * uniform(rng, 0.75, 1.1), faces
